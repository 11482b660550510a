//! What came of the runs, counted and shown.

use std::collections::BTreeMap;
use std::fmt;

use crate::Run;
use crate::path::Path;
use crate::proxy::Deed;

/// What came of one run.
pub struct Outcome {
    pub run: Run,
    /// The request that something was done to, if the run came so far, and what.
    pub strike: Option<(String, Deed)>,
    /// Names of all requests from the asking to the end.
    pub seen: Vec<String>,
    /// Profiles beyond the one, those included that did not last.
    pub duplicates: usize,
    /// Profiles at the end that no resource owns.
    pub orphans: usize,
    /// Resources that wait for a person.
    pub humans: usize,
    /// What else should not be.
    pub wrong: Vec<String>,
}

/// The sum of all runs.
#[derive(Default)]
pub struct Journal {
    /// Names of the requests of the undisturbed runs.
    pub requests: BTreeMap<Path, Vec<String>>,
    /// How often each deed was done to each request.
    strikes: BTreeMap<(Path, String), BTreeMap<Deed, usize>>,
    runs: usize,
    duplicates: usize,
    orphans: usize,
    humans: usize,
    wrong: Vec<String>,
}

impl Journal {
    /// Takes down an undisturbed run.
    pub fn learn(&mut self, outcome: Outcome) {
        self.requests.insert(outcome.run.path, outcome.seen.clone());
        self.add(outcome);
    }

    /// Takes down a run.
    pub fn add(&mut self, outcome: Outcome) {
        self.runs += 1;
        if let Some((request, deed)) = outcome.strike {
            let counts = self.strikes.entry((outcome.run.path, request)).or_default();
            *counts.entry(deed).or_default() += 1;
        }
        self.duplicates += outcome.duplicates;
        self.orphans += outcome.orphans;
        self.humans += outcome.humans;
        let counted = [
            (outcome.duplicates, "duplicates"),
            (outcome.orphans, "orphans"),
            (outcome.humans, "resources that need a person"),
        ];
        let counted =
            counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let all = counted.chain(outcome.wrong);
        self.wrong.extend(all.map(|what| format!("{:?}: {what}", outcome.run)));
    }

    /// How often an operator was killed.
    pub fn kills(&self) -> usize {
        self.count(Deed::kills)
    }

    fn count(&self, which: impl Fn(Deed) -> bool) -> usize {
        let all = self.strikes.values().flatten();
        all.filter(|(deed, _)| which(**deed)).map(|(_, count)| count).sum()
    }

    /// Fails, and shows all of it, if anything is wrong.
    pub fn assert_nothing_is_wrong(&self) {
        assert!(self.wrong.is_empty(), "{self}\n{}", self.wrong.join("\n\n"));
    }

    /// Fails if something that should have been done to a request about the profile was never done. Of several of one
    /// name one is enough, as it is a matter of time how often a list is asked for; so it is what becomes of events
    /// and tokens meanwhile, whose requests are counted but not insisted upon. Lists and watches of all
    /// resources begin with the operator, so they are insisted upon where it does; elsewhere one may break, and begin
    /// anew, by itself.
    pub fn assert_nothing_is_left_out(&self) {
        for (path, requests) in &self.requests {
            let about_it = requests.iter().filter(|name| {
                name.contains("synchronizationProfiles")
                    || name.contains("educationsyncprofiles/")
                    || *path == Path::Create && name.contains("educationsyncprofiles")
            });
            for request in about_it {
                let done = self.strikes.get(&(*path, request.clone()));
                for deed in crate::deeds_for(request) {
                    let is_done = done.is_some_and(|done| done.contains_key(deed));
                    assert!(is_done, "{path:?}: {deed:?} at {request} was never done\n{self}");
                }
            }
        }
    }
}

impl fmt::Display for Journal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "killed before, killed after, cut before, cut after, held: at which request of which path"
        )?;
        for ((path, request), counts) in &self.strikes {
            let counts = Deed::ALL.map(|deed| counts.get(&deed).copied().unwrap_or_default());
            let [kb, ka, cb, ca, held] = counts;
            writeln!(out, "{kb:4} {ka:4} {cb:4} {ca:4} {held:4}  {path:?}: {request}")?;
        }
        for (path, requests) in &self.requests {
            writeln!(out, "{path:?}: {} requests, undisturbed", requests.len())?;
        }
        let cuts = self.count(|deed| matches!(deed, Deed::CutBefore | Deed::CutAfter));
        let held = self.count(|deed| deed == Deed::Hold);
        write!(out, "{} runs, {} kills, {cuts} cuts, {held} held; ", self.runs, self.kills())?;
        let Self { duplicates, orphans, humans, .. } = self;
        write!(out, "{duplicates} duplicates, {orphans} orphans, {humans} resources that need a person, ")
    }
}
