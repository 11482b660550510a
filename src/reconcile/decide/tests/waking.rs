//! Who does nothing says what wakes it, or it would sleep for ever; and no sooner than it must, or it would be a loop.

use super::*;

/// Every list, at the fast pace or at rest.
fn lists(fast: bool) -> Option<Interest> {
    Some(Interest::Every { fast })
}

#[test]
fn who_waits_for_the_secret_of_its_source_looks_again() {
    let mut o = look(json!({}));
    o.source_secret = SourceSecret::Missing("The Secret is gone.".to_owned());
    let verdict = decide(&o);
    assert_eq!(reason(&verdict), Some(("stalled", Reason::CredentialsMissing)));
    assert_eq!(verdict.recheck, Some(Duration::from_secs(30)), "nobody tells when it comes");
}

#[test]
fn what_came_of_an_attempt_is_asked_for_once_and_then_waited_for() {
    let mut o = look(json!({"creation": attempt("a", "u")}));
    o.memory.resolving = Some(("a".to_owned(), at(NOW - 1)));
    let verdict = decide(&o);
    assert_eq!((reason(&verdict), verdict.ask), (None, true), "the first list will tell");
    assert_eq!(verdict.interest, lists(true));
    o.memory.resolving = Some(("a".to_owned(), at(NOW - 2)));
    let verdict = decide(&o);
    assert_eq!((reason(&verdict), verdict.ask), (Some(("waiting", Reason::CreateUnresolved)), false));
    assert_eq!(verdict.interest, lists(true));
}

/// What only passes is not worth more words than the attempt itself; what a person must mend is.
#[test]
fn an_open_attempt_says_what_keeps_it_open() {
    let mut o = look(json!({"creation": attempt("a", "u")}));
    o.memory.resolving = Some(("a".to_owned(), at(NOW - 1)));
    let mut failing = |failure: GraphError| {
        o.list = ListFacts { failure: Some(failure), ..ListFacts::default() };
        let verdict = decide(&o);
        (reason(&verdict), verdict.ask)
    };
    let away = failing(GraphError::NotConnected(String::new()));
    assert_eq!(away, (Some(("waiting", Reason::CreateUnresolved)), true));
    let retired = failing(GraphError::Retired { status: 410, ids: CallIds::default() });
    assert_eq!(retired, (Some(("stalled", Reason::UpstreamRetired)), true));
}
