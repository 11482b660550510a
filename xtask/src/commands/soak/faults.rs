//! What goes wrong: which fault comes next is drawn from a seed. Some last a while and are mended here.

use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use serde_json::json;
use xtask::wire::Mode;

use super::draw::weighted;
use super::stage::{Signal, Stage};
use crate::commands::http::Sent;

/// Something that went wrong, for the picture. In seconds since the start.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Incident {
    pub(super) lane: Lane,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) what: String,
}

/// Where something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Lane {
    /// Graph answers wrongly, late or not at all.
    GraphAnswers,
    GraphConnection,
    KubernetesConnection,
    ApiServer,
    Operator,
}

impl Lane {
    pub(super) const ALL: [(Self, &str); 5] = [
        (Self::GraphAnswers, "Graph's answers"),
        (Self::GraphConnection, "way to Graph"),
        (Self::KubernetesConnection, "way to Kubernetes"),
        (Self::ApiServer, "API server"),
        (Self::Operator, "operator"),
    ];
}

/// How bad it may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// One process must live through it: shorter than its lease.
    Network,
    /// Processes are killed, and Kubernetes is away for longer than the lease.
    Storm,
}

/// A fault of Graph's answers, in the simulator's words. None hides a profile for longer than the settle window.
const ANSWERS: [&str; 18] = [
    "any:429,window=4s,retry-after=4",
    "list:429,times=2,retry-after=3",
    "any:503,times=6,retry-after=2",
    "any:500,times=4",
    "create:503,times=2",
    "create:504-after-commit,times=3",
    "update:504-after-commit,times=3",
    "delete:504-after-commit,times=3",
    "create:reset-after-commit,times=2",
    "any:reset-after-commit,times=6",
    "any:reset,times=6",
    "any:half,times=5",
    "any:not-json,times=3",
    "any:slow,times=8,delay=2s",
    "create:not-found,times=2,for=4s",
    "list:lag,times=4,by=5s",
    "list:stale,times=4,by=5s",
    "any:token-expired,times=2",
];

/// What may happen beside them, and how often in comparison.
const NETWORK: [(u32, Deed); 7] = [
    (9, Deed::Answers),
    (3, Deed::CutGraph),
    (2, Deed::RefuseGraph),
    (2, Deed::HoldGraph),
    (4, Deed::CutKubernetes),
    (2, Deed::RefuseKubernetes),
    (1, Deed::HoldKubernetes),
];
/// What happens besides while processes may end. Dealt like cards, so that a short run has all of them.
const STORM: [Deed; 5] =
    [Deed::Kill, Deed::Terminate, Deed::TakeOver, Deed::CrashApiServer, Deed::LoseKubernetes];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Answers,
    CutGraph,
    RefuseGraph,
    HoldGraph,
    CutKubernetes,
    RefuseKubernetes,
    HoldKubernetes,
    Kill,
    Terminate,
    TakeOver,
    CrashApiServer,
    LoseKubernetes,
}

/// Trouble.
pub(super) struct Faults {
    rng: Rng,
    /// What is left of [`STORM`] before it is dealt anew.
    deck: Vec<Deed>,
    /// What is to be done when, to end a fault.
    ends: Vec<(Duration, End)>,
    pub(super) incidents: Vec<Incident>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    CarryGraph,
    CarryKubernetes,
    /// The successor has started: who was the leader ends now.
    LetLeaderGo(Signal),
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), deck: Vec::new(), ends: Vec::new(), incidents: Vec::new() }
    }

    /// Lets one thing go wrong. One at a time on each wire.
    pub(super) fn step(&mut self, stage: &mut Stage, severity: Severity, now: Duration) -> Result<()> {
        let in_storm = severity == Severity::Storm && self.rng.u32(..2) == 0;
        let deed = if in_storm { self.deal() } else { weighted(&mut self.rng, &NETWORK) };
        deed.map_or(Ok(()), |deed| self.perform(stage, deed, now))
    }

    fn deal(&mut self) -> Option<Deed> {
        if self.deck.is_empty() {
            self.deck.extend(STORM);
            self.rng.shuffle(&mut self.deck);
        }
        self.deck.pop()
    }

    fn perform(&mut self, stage: &mut Stage, deed: Deed, now: Duration) -> Result<()> {
        match deed {
            Deed::Answers => {
                let spec = *self.rng.choice(&ANSWERS).unwrap_or(&ANSWERS[0]);
                stage.graph.post("/_simulator/faults", &json!({"spec": spec}))?;
                self.note(Lane::GraphAnswers, now, 0, spec);
            }
            Deed::CutGraph => {
                stage.graph_wire.cut();
                self.note(Lane::GraphConnection, now, 0, "connections cut");
            }
            Deed::RefuseGraph => {
                let seconds = self.rng.u64(3..=10);
                stage.graph_wire.set(Mode::Refuse);
                self.end_later(End::CarryGraph, now, seconds);
                self.note(Lane::GraphConnection, now, seconds, "no connections");
            }
            Deed::HoldGraph => {
                // Longer than the deadline of a request, and late by less than the settle window.
                let seconds = self.rng.u64(2..=7);
                stage.graph_wire.set(Mode::Hold);
                self.end_later(End::CarryGraph, now, seconds);
                self.note(Lane::GraphConnection, now, seconds, "nothing gets through");
            }
            Deed::CutKubernetes => {
                stage.kubernetes_wire.cut();
                self.note(Lane::KubernetesConnection, now, 0, "connections cut, watches among them");
            }
            Deed::RefuseKubernetes => self.lose_kubernetes(stage, Mode::Refuse, now, 1..=4),
            Deed::HoldKubernetes => self.lose_kubernetes(stage, Mode::Hold, now, 1..=4),
            Deed::LoseKubernetes => self.lose_kubernetes(stage, Mode::Refuse, now, 18..=22),
            Deed::Kill => {
                stage.signal_oldest(Signal::Kill)?;
                self.note(Lane::Operator, now, 0, "SIGKILL");
            }
            Deed::Terminate => {
                stage.signal_oldest(Signal::Terminate)?;
                self.note(Lane::Operator, now, 0, "SIGTERM");
            }
            Deed::TakeOver => {
                let signal = if self.rng.bool() { Signal::Kill } else { Signal::Terminate };
                stage.want(2);
                self.end_later(End::LetLeaderGo(signal), now, 4);
                self.note(Lane::Operator, now, 4, "a second replica starts, and the first one ends");
            }
            Deed::CrashApiServer => {
                stage.crash_api_server()?;
                self.note(Lane::ApiServer, now, 0, "SIGKILL and a new start");
            }
        }
        Ok(())
    }

    fn lose_kubernetes(
        &mut self,
        stage: &Stage,
        mode: Mode,
        now: Duration,
        seconds: std::ops::RangeInclusive<u64>,
    ) {
        let seconds = self.rng.u64(seconds);
        stage.kubernetes_wire.set(mode);
        self.end_later(End::CarryKubernetes, now, seconds);
        let what = if mode == Mode::Hold { "nothing gets through" } else { "no connections" };
        self.note(Lane::KubernetesConnection, now, seconds, what);
    }

    fn end_later(&mut self, end: End, now: Duration, seconds: u64) {
        self.ends.push((now + Duration::from_secs(seconds), end));
    }

    /// Ends what has lasted long enough.
    pub(super) fn end_what_is_over(&mut self, stage: &mut Stage, now: Duration) -> Result<()> {
        let (over, lasting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.ends).into_iter().partition(|(at, _)| *at <= now);
        self.ends = lasting;
        for (_, end) in over {
            match end {
                End::CarryGraph => stage.graph_wire.set(Mode::Carry),
                End::CarryKubernetes => stage.kubernetes_wire.set(Mode::Carry),
                End::LetLeaderGo(signal) => {
                    stage.want(1);
                    stage.signal_oldest(signal)?;
                }
            }
        }
        Ok(())
    }

    /// Ends everything: from now on nothing goes wrong.
    pub(super) fn end_all(&mut self, stage: &mut Stage) -> Result<()> {
        self.end_what_is_over(stage, Duration::MAX)?;
        stage.graph_wire.set(Mode::Carry);
        stage.kubernetes_wire.set(Mode::Carry);
        stage.graph.send("DELETE", "/_simulator/faults", JSON)?.wanted().map(drop)
    }

    pub(super) fn note(&mut self, lane: Lane, now: Duration, seconds: u64, what: &str) {
        let from = now.as_secs_f64();
        let to = (now + Duration::from_secs(seconds)).as_secs_f64();
        self.incidents.push(Incident { lane, from, to, what: what.to_owned() });
    }
}

const JSON: Sent<'static> = Sent { content_type: "application/json", body: "{}", headers: &[] };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_storm_comes_before_one_comes_again() {
        let mut faults = Faults::new(7);
        for _ in 0..3 {
            let dealt: Vec<_> = (0..STORM.len()).filter_map(|_| faults.deal()).collect();
            assert!(STORM.iter().all(|deed| dealt.contains(deed)), "{dealt:?}");
        }
    }
}
