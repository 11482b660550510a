//! Every decision of a run that is not the program's own: from a seed, or from a path to be followed.
//!
//! On a path, the first option is the usual one, and every other one is a deviation: a fault, or a detour in the
//! order of things. What is chosen from is not known here.

use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where decisions come from.
#[derive(Clone)]
pub struct Choices(Arc<Mutex<Source>>);

enum Source {
    Seed(fastrand::Rng),
    Path(Path),
}

/// What was chosen, and out of how many options, from the beginning of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    wanted: Vec<(usize, usize)>,
    /// How many decisions there were, with their options.
    pub options: Vec<usize>,
    left: Bounds,
}

/// How many deviations of each kind there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    pub faults: usize,
    pub detours: usize,
}

impl Path {
    /// At the decision of this number this option; everywhere else the first one.
    pub fn deviating(deviations: &[(usize, usize)], bounds: Bounds) -> Self {
        Self { wanted: deviations.to_vec(), options: Vec::new(), left: bounds }
    }

    fn decide(&mut self, options: usize) -> usize {
        let number = self.options.len();
        self.options.push(options);
        self.wanted.iter().find(|(at, _)| *at == number).map_or(0, |(_, option)| *option)
    }
}

impl Choices {
    /// All decisions come from one number.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Source::Seed(fastrand::Rng::with_seed(seed)))))
    }

    /// All decisions are the usual ones, but for those on the path.
    pub fn following(path: Path) -> Self {
        Self(Arc::new(Mutex::new(Source::Path(path))))
    }

    /// The decisions that there were, on a path.
    pub fn path(&self) -> Path {
        match &*self.0.lock().unwrap() {
            Source::Seed(_) => Path::default(),
            Source::Path(path) => path.clone(),
        }
    }

    /// Do decisions come from a path?
    pub fn is_path(&self) -> bool {
        matches!(&*self.0.lock().unwrap(), Source::Path(_))
    }

    /// Has everything that a path says been decided?
    pub fn is_beyond_path(&self) -> bool {
        match &*self.0.lock().unwrap() {
            Source::Seed(_) => false,
            Source::Path(path) => path.wanted.last().is_none_or(|(at, _)| *at < path.options.len()),
        }
    }

    /// The deviations that there may still be, on a path.
    pub fn left(&self) -> Bounds {
        match &*self.0.lock().unwrap() {
            Source::Seed(_) => Bounds::default(),
            Source::Path(path) => path.left,
        }
    }

    /// Which of so many ways a call takes; only on a path. The first one is no fault.
    pub fn fault(&self, options: usize) -> usize {
        self.deviate(options, |left| &mut left.faults)
    }

    /// Which of so many comes next; only on a path. Any but the first one is a detour.
    pub fn order(&self, options: usize) -> usize {
        self.deviate(options, |left| &mut left.detours)
    }

    /// A decision, as long as there may be deviations of its kind; else it is none.
    fn deviate(&self, options: usize, of_kind: impl Fn(&mut Bounds) -> &mut usize) -> usize {
        let mut source = self.0.lock().unwrap();
        let Source::Path(path) = &mut *source else { return 0 };
        if *of_kind(&mut path.left) == 0 {
            return 0;
        }
        let option = path.decide(options);
        *of_kind(&mut path.left) -= usize::from(option > 0);
        option
    }

    /// One of several options: by seed each as often as its weight says. It is no decision of a path: there it is
    /// the first one.
    pub fn choose(&self, weights: &[u32]) -> usize {
        match &mut *self.0.lock().unwrap() {
            Source::Seed(random) => {
                let mut rest = random.u32(..weights.iter().sum::<u32>().max(1));
                for (option, weight) in weights.iter().enumerate() {
                    match rest.checked_sub(*weight) {
                        Some(left) => rest = left,
                        None => return option,
                    }
                }
                0
            }
            Source::Path(_) => 0,
        }
    }

    /// A number below `end`. It is no decision of a path: there it is 0.
    pub fn below(&self, end: u64) -> u64 {
        match &mut *self.0.lock().unwrap() {
            Source::Seed(random) => random.u64(..end.max(1)),
            Source::Path(_) => 0,
        }
    }

    /// A time from `least` to `most`, in milliseconds. On a path: `least`.
    pub fn between(&self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }

    /// True so many times in a hundred; on a path never.
    pub fn percent(&self, chance: u64) -> bool {
        match &mut *self.0.lock().unwrap() {
            Source::Seed(random) => random.u64(..100) < chance,
            Source::Path(_) => false,
        }
    }

    /// One of these.
    pub fn one_of<'a, T>(&self, options: &'a [T]) -> &'a T {
        &options[usize::try_from(self.below(options.len() as u64)).unwrap()]
    }
}
