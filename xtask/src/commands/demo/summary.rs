//! The end of the demo: what it took. Counts what the simulator and the API server have written down; the operator is not
//! asked.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::audit::{self, Entry};

use super::graph::{self, Request};
use super::stage::Stage;
use crate::commands::parts::OPERATOR;
use crate::commands::screen;

/// Counts of things that are called alike, in the order of their names.
type Counts = BTreeMap<String, usize>;

/// Shows the counts, and checks that no profile was created or deleted twice.
pub(super) fn show(stage: &Stage, phases: &[(&str, Duration)], total: Duration) -> Result<()> {
    let requests = graph::requests(stage)?;
    let (tokens, calls): (Vec<_>, Vec<_>) = requests.iter().partition(|request| request.grant.is_some());
    table(
        "Calls of Microsoft Graph, from the simulator's log",
        &count(calls.iter().map(|request| operation(request))),
    );
    table("Tokens asked for, from the same log", &count(tokens.iter().map(|request| token(request))));
    let entries = audit::read(stage.control_plane.audit_log())?;
    let own = entries.iter().filter(|entry| entry.user == OPERATOR && entry.is_write());
    table("Writes to Kubernetes by the operator, from the API server's audit log", &count(own.map(write)));
    times(phases, total);
    check_counts(&requests)
}

/// Three resources, none of them in trouble: every further change would be one too many.
fn check_counts(requests: &[Request]) -> Result<()> {
    let sent = |method: &str| {
        requests.iter().filter(|request| request.grant.is_none() && request.method == method).count()
    };
    let (creates, deletes) = (sent("POST"), sent("DELETE"));
    ensure!(creates == 3, "three profiles were to be created, and Graph was asked {creates} times");
    ensure!(deletes == 2, "two profiles were to be deleted, and Graph was asked {deletes} times");
    screen::line("");
    screen::held("each profile was created once, and deleted at most once");
    Ok(())
}

fn operation(request: &Request) -> String {
    let mut path = String::new();
    let mut before = "";
    for segment in request.path.split('/').skip(1) {
        path.push('/');
        path.push_str(if before == "synchronizationProfiles" { "{id}" } else { segment });
        before = segment;
    }
    format!("{:<7} {path:<44} {}", request.method, request.status)
}

fn token(request: &Request) -> String {
    let grant = request.grant.as_deref().unwrap_or_default();
    format!("{grant:<52} {}", request.status)
}

fn write(entry: &Entry) -> String {
    let kind = match (entry.resource.as_str(), entry.subresource.as_deref()) {
        ("educationsyncprofiles" | "graphconnections", Some("status")) => "status",
        ("educationsyncprofiles" | "graphconnections", None) => "resources (finalizers)",
        (other, _) => other,
    };
    format!("{kind:<30} {:<21} {}", entry.verb, entry.code)
}

fn count(names: impl Iterator<Item = String>) -> Counts {
    let mut counts = Counts::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn table(title: &str, counts: &Counts) {
    screen::line("");
    screen::sentence(title);
    for (name, number) in counts {
        screen::answer(&format!("{number:>6}  {name}"));
    }
    if counts.is_empty() {
        screen::answer("  none");
    }
}

fn times(phases: &[(&str, Duration)], total: Duration) {
    screen::line("");
    screen::sentence("Seconds");
    for (name, time) in phases.iter().chain([&("in all", total)]) {
        screen::answer(&format!("{:>6.1}  {name}", time.as_secs_f32()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_for_different_profiles_are_one_operation() {
        let request = |id: &str| Request {
            method: "DELETE".to_owned(),
            path: format!("/beta/education/synchronizationProfiles/{id}"),
            status: 202,
            grant: None,
        };
        let counts = count(["a", "b"].map(|id| operation(&request(id))).into_iter());
        let shown: Vec<_> = counts.into_iter().collect();
        assert_eq!(shown, [("DELETE  /beta/education/synchronizationProfiles/{id} 202".to_owned(), 2)]);
    }
}
