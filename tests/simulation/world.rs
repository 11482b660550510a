//! Everything around the program in one run: Kubernetes, Graph, the way to both, and what goes wrong there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use edusync::auth::refresh::MemoryStore;
use edusync::clock::Clock;
use graph_simulator::{Settings, Simulator};
use jiff::Timestamp;

use crate::choices::{Choices, Path};
use crate::fates::{Fate, Fates};
use crate::kubernetes::Server;
use crate::order::Order;
use crate::rules::Rules;
use crate::story::Story;

/// What the run calls Graph's secrets, so that each can be found wherever it does not belong.
pub const CLIENT_SECRET: &str = "canary-client-secret";
pub const REFRESH_TOKEN: &str = "canary-refresh-token";

/// Everything around the program.
pub struct World {
    pub clock: Clock,
    pub choices: Choices,
    pub story: Story,
    pub server: Server,
    pub simulator: Simulator,
    pub tokens: MemoryStore,
    pub rules: Rules,
    /// Where every order is tried.
    pub order: Option<Order>,
    /// The next create takes so long to reach Graph.
    pub stray: Mutex<Option<Duration>>,
    /// How many calls of a hundred go wrong, while anything does.
    pub trouble: u64,
    /// Nothing goes wrong any more from then on.
    pub peace: Timestamp,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl World {
    /// A world that is peaceful after `trouble_for`.
    pub fn new(choices: Choices, trouble: u64, trouble_for: Duration, provisioning: Duration) -> Arc<Self> {
        let delete_time = Duration::from_secs(8);
        let settings = Settings { provisioning_time: provisioning, delete_time, ..Settings::default() };
        Self::build(choices, trouble, trouble_for, settings, None)
    }

    /// A world in which nothing goes wrong.
    pub fn peaceful(settings: Settings) -> Arc<Self> {
        Self::build(Choices::following(Path::default()), 0, Duration::ZERO, settings, None)
    }

    /// A world in which calls go wrong, and things happen in an order, as a path says.
    pub fn in_order(choices: Choices, trouble_for: Duration, settings: Settings, order: Order) -> Arc<Self> {
        Self::build(choices, 0, trouble_for, settings, Some(order))
    }

    fn build(
        choices: Choices,
        trouble: u64,
        trouble_for: Duration,
        settings: Settings,
        order: Option<Order>,
    ) -> Arc<Self> {
        // A moment of the past, so that nothing here depends on today.
        let clock = Clock::starting_at(Timestamp::from_second(1_725_264_000).unwrap());
        let settings = Settings {
            client_secret: CLIENT_SECRET.to_owned(),
            refresh_token: REFRESH_TOKEN.to_owned(),
            seed: Some(1),
            ..settings
        };
        let story = Story::new(clock);
        let simulator = Simulator::new(settings);
        // It never strikes: it lets the simulator remember, so that a list can lag behind whenever one is to.
        simulator.add_fault("list:lag,by=60s,after=1000000000".parse().unwrap(), clock.now());
        Arc::new(Self {
            clock,
            choices,
            order,
            stray: Mutex::default(),
            rules: Rules::new(story.clone()),
            story,
            server: Server::default(),
            simulator,
            tokens: MemoryStore::default(),
            trouble,
            peace: clock.now() + trouble_for,
        })
    }

    /// How long the create that is being sent takes to arrive, if it is to stray.
    pub fn take_stray(&self) -> Option<Duration> {
        self.stray.lock().unwrap().take()
    }

    /// Does anything go wrong still?
    pub fn is_troubled(&self) -> bool {
        self.clock.now() < self.peace
    }

    /// What becomes of a call.
    pub fn fate(&self, fates: &Fates) -> Fate {
        if !self.is_troubled() {
            return Fate::Well;
        }
        if self.choices.is_path() {
            return match self.choices.fault(fates.explored.len() + 1) {
                0 => Fate::Well,
                option => fates.explored[option - 1],
            };
        }
        // First whether something happens, then what.
        let trouble = self.trouble.min(100);
        let usual = 100 * fates.one_of - trouble;
        let all: u64 = fates.options.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let weights: Vec<u32> = fates
            .options
            .iter()
            .enumerate()
            .map(|(number, (_, weight))| if number == 0 { usual * all } else { trouble * u64::from(*weight) })
            .map(|weight| u32::try_from(weight).unwrap())
            .collect();
        fates.options[self.choices.choose(&weights)].0
    }

    /// How long a message is on its way.
    pub fn way(&self) -> Duration {
        self.choices.between(2, 40)
    }

    /// How far behind a watch is.
    pub fn watch_delay(&self) -> Duration {
        if self.is_troubled() && self.choices.percent(self.trouble / 2) {
            return self.choices.between(500, 8_000);
        }
        self.choices.between(5, 80)
    }

    /// Does a watch begin anew?
    pub fn watch_breaks(&self) -> bool {
        self.is_troubled() && self.choices.percent(self.trouble / 8)
    }
}
