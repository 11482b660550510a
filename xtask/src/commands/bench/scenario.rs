//! Which scenarios there are, and which worlds they need. What happens in one is in the module of its name.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A scenario. They run in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Scenario {
    /// The operator runs, and there are no profiles
    Idle,
    /// All profiles are applied at once, and Graph sets them up at once
    Create,
    /// Nobody changes anything
    Rest,
    /// 10,000 Secrets that are nobody's business are in the cluster
    Secrets,
    /// Somebody changes profiles in Graph
    Drift,
    /// Graph answers 429 to everything, while people want changes
    Throttle,
    /// Graph answers 503 to everything, and is back
    Away,
    /// The operator ends and is started again
    Restart,
    /// All profiles are deleted
    Delete,
    /// A client that does nothing but the same writes, and one that does nothing but the same POSTs: the limit
    Bare,
    /// In a world of its own, in which Graph takes 5 to 55 s to set a profile up: from there to the status
    Follow,
    /// In a world of its own, in which no list takes $expand: rest, for half an hour. Only when it is named
    NoExpand,
    /// In a world of its own, with an operator that keeps books of its memory: what is alive at rest, and who asked for it.
    /// Only when it is named
    Heap,
    /// In a world of its own, with an operator that has the names of its functions, and `perf`: on what it spends processor
    /// time, in a burst and at rest. Only when it is named
    Cpu,
}

impl Scenario {
    /// Those that run when none is named.
    pub(super) fn usual() -> Vec<Self> {
        Self::value_variants()
            .iter()
            .copied()
            .filter(|one| !matches!(one, Self::NoExpand | Self::Heap | Self::Cpu))
            .collect()
    }

    /// How the operator is built for it, where that is not as it is shipped.
    pub(super) fn build(self) -> Option<&'static str> {
        match self {
            Self::Heap => Some("but opt-level 1, without LTO, with books of memory"),
            Self::Cpu => Some("but with names"),
            _ => None,
        }
    }

    /// Its letter in the pictures.
    pub(super) fn letter(self) -> char {
        let place = Self::value_variants().iter().position(|one| *one == self).unwrap_or_default();
        ('a'..='z').nth(place).unwrap_or('?')
    }

    /// Does it need a world of its own?
    pub(super) fn is_apart(self) -> bool {
        matches!(self, Self::Follow | Self::NoExpand | Self::Heap | Self::Cpu)
    }
}
