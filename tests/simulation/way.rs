//! How requests and answers get from one to the other: after some time, or, where every order is tried, when it is
//! their turn. What is sent is not known here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tokio::sync::oneshot;

use crate::fates::Fate;
use crate::order::{Order, hash_of};
use crate::process::Process;
use crate::world::World;

/// The way of one call of one process.
#[derive(Clone)]
pub struct Way {
    world: Arc<World>,
    process: Arc<Process>,
    /// What it is about, and what it is, where it has to wait for its turn.
    what: Option<(String, String)>,
}

impl Way {
    /// Of a call about a thing; None: its order makes no difference. `content` is all that tells it from other calls.
    pub fn new(
        world: &Arc<World>,
        process: &Arc<Process>,
        thing: Option<String>,
        content: impl FnOnce() -> String,
    ) -> Self {
        let named = |(order, thing): (&Order, String)| {
            let thing = order.name_ids("", &thing);
            let content = order.name_ids(&thing, &content());
            (thing, content)
        };
        let what = world.order.as_ref().zip(thing).map(named);
        Self { world: Arc::clone(world), process: Arc::clone(process), what }
    }

    fn order(&self) -> Option<(&Order, &str, &str)> {
        let (thing, what) = self.what.as_ref()?;
        Some((self.world.order.as_ref()?, thing, what))
    }

    fn moment(&self) -> i64 {
        self.world.clock.now().as_millisecond()
    }

    /// The call begins.
    pub fn begin(&self, changes: bool) {
        let Some((order, _, what)) = self.order() else { return };
        order.call(&self.process.identity);
        if changes {
            order.scar(&self.process.identity, what, self.moment());
        }
    }

    /// Something goes wrong with it.
    pub fn scar(&self, fate: Fate) {
        let Some((order, _, what)) = self.order() else { return };
        order.scar(&self.process.identity, &format!("{what}: {fate:?}"), self.moment());
    }

    fn turn(&self, what: &str, direction: &str) -> String {
        format!("{} {direction} {:x}", self.process.identity, hash_of(&what))
    }

    /// The request arrives.
    pub async fn there(&self) {
        self.go("sends").await;
    }

    /// The answer arrives, or that there is none.
    pub async fn back(&self) {
        self.go("hears").await;
    }

    async fn go(&self, direction: &str) {
        match self.order() {
            Some((order, _, what)) => order.schedule.turn(self.turn(what, direction)).await,
            None if self.world.order.is_some() => {}
            None => tokio::time::sleep(self.world.way()).await,
        }
    }

    /// The request arrives some time from now, not before `least` – but where every order is tried, at any time up
    /// to `most`.
    pub async fn there_late(&self, least: Duration, most: Duration) {
        if let Some((order, _, what)) = self.order() {
            order.schedule.turn_within(self.turn(what, "sends late"), most).await;
        } else {
            let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap();
            let time = self.world.choices.between(milliseconds(least), milliseconds(most));
            tokio::time::sleep(time).await;
        }
    }

    /// Graph has carried a change out; whoever asked for it brought what is new.
    pub fn carried_out(&self, answer: &Response<Bytes>) {
        let Some((order, thing, what)) = self.order() else { return };
        order.name_ids(thing, &format!("{what} {:?}", answer.body()));
        order.changed(&self.world);
    }

    /// The process knows the answer.
    pub fn heard(&self, answer: impl FnOnce() -> String) {
        if let Some((order, ..)) = self.order() {
            order.end_call(&self.process.identity);
            self.told(answer);
        }
    }

    /// The process knows this.
    pub fn told(&self, news: impl FnOnce() -> String) {
        let Some((order, thing, what)) = self.order() else { return };
        let identity = &self.process.identity;
        let news = order.name_ids(thing, &news());
        order.tell(identity, thing, &format!("{what}: {news}"), self.moment());
    }

    /// Waits behind others in the same queue, from now on. None: there is no order here to be waited for.
    pub fn queue(&self, queue: &str) -> Option<oneshot::Receiver<()>> {
        let (order, _, what) = self.order()?;
        Some(order.schedule.queue(queue, self.turn(what, "hears")))
    }
}
