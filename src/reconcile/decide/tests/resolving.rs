//! What came of an attempt without an answer.

use super::*;

fn open() -> Observation {
    let mut o = look(json!({"creation": attempt("a", "u")}));
    o.memory.resolving = Some(("a".to_owned(), at(NOW - 500)));
    o
}

#[test]
fn the_one_profile_of_the_attempt_is_ours() {
    let mut o = open();
    o.namesakes = vec![unclaimed("p", "provisioning")];
    assert_eq!(decide(&o).action, Action::Bind { id: "p".to_owned() });
}

#[test]
fn what_is_of_another_kind_or_claimed_is_not() {
    let mut matching = unclaimed("p", "provisioned");
    matching.profile.identity = Some(crate::api::status::IdentityKind::Matching);
    let claimed = Namesake { profile: remote("p", "provisioned"), claimed_by: Some(other()) };
    for namesake in [matching, claimed, unclaimed("p", "deleting")] {
        let mut o = open();
        o.namesakes = vec![namesake];
        assert!(!matches!(decide(&o).action, Action::Bind { .. }));
    }
}

#[test]
fn two_are_a_question_for_a_person() {
    let mut o = open();
    o.namesakes = vec![unclaimed("q", "provisioned"), unclaimed("p", "provisioned")];
    let verdict = decide(&o);
    assert_eq!(verdict.action, Action::Nothing);
    assert_eq!(reason(&verdict), Some(("stalled", Reason::AmbiguousCreate)));
}

#[test]
fn nothing_through_the_window_starts_over() {
    assert_eq!(decide(&open()).action, Action::GiveUpAttempt);
}

/// A settle window of two minutes and a lease of fifteen seconds; the list began two seconds ago.
#[test]
fn the_window_is_over_when_a_list_has_begun_after_it() {
    for (ago, action) in [(137, Action::GiveUpAttempt), (136, Action::Nothing)] {
        let mut o = open();
        o.memory.resolving = Some(("a".to_owned(), at(NOW - ago)));
        assert_eq!(decide(&o).action, action, "this process has looked for {ago} s");
        let mut late = attempt("a", "u");
        late["notAfter"] = json!(at(NOW - ago).to_string());
        let mut o = look(json!({"creation": late}));
        o.memory.resolving = Some(("a".to_owned(), at(NOW - 500)));
        assert_eq!(decide(&o).action, action, "the attempt has been over for {ago} s");
    }
}

#[test]
fn less_than_a_proof_does_not() {
    type Spoil = fn(&mut Observation);
    let spoils: [(&str, Spoil); 6] = [
        ("this process has just begun to look", |o| {
            o.memory.resolving = Some(("a".to_owned(), at(NOW - 60)));
        }),
        ("this process looks for another attempt", |o| {
            o.memory.resolving = Some(("b".to_owned(), at(1)));
        }),
        ("the list is from before the window's end", |o| o.list.began = Some(at(NOW - 400))),
        ("the list lacks what is alive", |o| (o.list.alive, o.list.missing) = (3, 1)),
        ("the newest list failed", |o| {
            o.list.failure = Some(GraphError::NotConnected(String::new()));
        }),
        ("there is no list", |o| o.list = ListFacts::default()),
    ];
    for (why, spoil) in spoils {
        let mut o = open();
        spoil(&mut o);
        assert_eq!(decide(&o).action, Action::Nothing, "{why}");
    }
}

#[test]
fn a_late_arrival_of_an_earlier_attempt_is_recognised() {
    let mut o = look(json!({"earlierCreations": [attempt("a", "u")]}));
    o.namesakes = vec![unclaimed("p", "provisioned")];
    assert_eq!(decide(&o).action, Action::Bind { id: "p".to_owned() });
}

#[test]
fn what_has_the_name_of_the_open_attempt_is_taken_although_another_may_have_arrived_late() {
    let mut earlier = attempt("a", "u");
    earlier["displayName"] = json!("Fabrikam");
    let mut o = look(json!({"creation": attempt("b", "u"), "earlierCreations": [earlier]}));
    let mut late = unclaimed("late", "provisioned");
    late.profile.name = NameKey::of("Fabrikam");
    o.namesakes = vec![unclaimed("p", "provisioned"), late];
    assert_eq!(decide(&o).action, Action::Bind { id: "p".to_owned() });
    let profile = o.namesakes[0].profile.clone();
    let report = crate::reconcile::report::found(&o, &profile);
    let reasons: Vec<&str> = report.notices.iter().map(|notice| notice.reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["Recovered", "Provisioned", "UnclaimedProfile"],
        "nobody would hear of the other one again"
    );
}

#[test]
fn a_late_arrival_of_an_earlier_attempt_is_not_taken_while_another_attempt_is_open() {
    let mut earlier = attempt("a", "u");
    earlier["displayName"] = json!("Fabrikam");
    let mut o = look(json!({"creation": attempt("b", "u"), "earlierCreations": [earlier]}));
    let mut late = unclaimed("late", "provisioned");
    late.profile.name = NameKey::of("Fabrikam");
    o.namesakes = vec![late];
    assert_eq!(decide(&o).action, Action::Nothing, "the open attempt would be forgotten");
    o.memory.resolving = Some(("b".to_owned(), at(NOW - 500)));
    assert_eq!(decide(&o).action, Action::Bind { id: "late".to_owned() }, "nothing came of that");
}
