//! Samples what the operator takes of the machine, once a second, whatever else is done meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xtask::footprint;
use xtask::numbers::{median, number};
use xtask::timing::Stopwatch;

const EVERY: Duration = Duration::from_secs(1);

/// What the operator took at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sample {
    /// Since the start of the round.
    pub(super) seconds: f64,
    pub(super) process: u32,
    pub(super) memory_mib: f64,
    /// What of that is heap and stacks, and not the program itself. Older reports do not know.
    #[serde(default)]
    pub(super) private_mib: f64,
    pub(super) cpu_ms: u64,
    pub(super) open_files: usize,
}

/// Samples in a thread of its own, until it is dropped.
pub(super) struct Sampler {
    shared: Arc<Shared>,
    clock: Stopwatch,
}

#[derive(Default)]
struct Shared {
    /// 0: nobody.
    process: AtomicU32,
    ended: AtomicBool,
    samples: Mutex<Vec<Sample>>,
}

impl Sampler {
    pub(super) fn start() -> Self {
        let (shared, clock) = (Arc::<Shared>::default(), Stopwatch::start());
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            while !own.ended.load(Ordering::SeqCst) {
                own.sample(clock);
                thread::sleep(EVERY);
            }
        });
        Self { shared, clock }
    }

    /// Follows this process from now on.
    pub(super) fn follow(&self, process: u32) {
        self.shared.process.store(process, Ordering::SeqCst);
    }

    /// There is nobody to follow.
    pub(super) fn rest(&self) {
        self.shared.process.store(0, Ordering::SeqCst);
    }

    /// Seconds since the start.
    pub(super) fn now(&self) -> f64 {
        self.clock.elapsed().as_secs_f64()
    }

    /// The samples from `from` on, in seconds.
    pub(super) fn since(&self, from: f64) -> Vec<Sample> {
        let samples = self.shared.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.iter().filter(|sample| sample.seconds >= from).copied().collect()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn sample(&self, clock: Stopwatch) {
        let process = self.process.load(Ordering::SeqCst);
        if process == 0 {
            return;
        }
        // Between the end of the process and the next one there is nothing to measure.
        let Ok(taken) = footprint::of(process) else { return };
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).push(Sample {
            seconds: clock.elapsed().as_secs_f64(),
            process,
            memory_mib: number(taken.memory_kib) / 1024.0,
            private_mib: number(taken.private_kib) / 1024.0,
            cpu_ms: taken.cpu_ms,
            open_files: taken.open_files,
        });
    }
}

/// The memory in the middle, in MiB.
pub(super) fn memory(samples: &[Sample]) -> f64 {
    median(samples.iter().map(|sample| sample.memory_mib).collect())
}

/// What of it is the operator's own, in MiB.
pub(super) fn private(samples: &[Sample]) -> f64 {
    median(samples.iter().map(|sample| sample.private_mib).collect())
}

/// The highest memory, in MiB.
pub(super) fn peak(samples: &[Sample]) -> f64 {
    samples.iter().map(|sample| sample.memory_mib).fold(0.0, f64::max)
}

/// Time on a processor, in percent of one core. Of one process.
pub(super) fn cpu_percent(samples: &[Sample]) -> f64 {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return 0.0 };
    let spent = number(last.cpu_ms.saturating_sub(first.cpu_ms)) / 1000.0;
    if last.seconds > first.seconds { spent / (last.seconds - first.seconds) * 100.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_a_share_of_the_time_that_passed() {
        let sample = |seconds, cpu_ms, memory_mib| {
            let private_mib = memory_mib - 10.0;
            Sample { seconds, process: 1, memory_mib, private_mib, cpu_ms, open_files: 9 }
        };
        let samples = [sample(10.0, 500, 20.0), sample(11.0, 520, 40.0), sample(20.0, 600, 30.0)];
        assert!((cpu_percent(&samples) - 1.0).abs() < 1e-9);
        assert!((memory(&samples) - 30.0).abs() < 1e-9);
        assert!((private(&samples) - 20.0).abs() < 1e-9);
        assert!((peak(&samples) - 40.0).abs() < 1e-9);
        assert!(cpu_percent(&[]).abs() < 1e-9);
    }
}
