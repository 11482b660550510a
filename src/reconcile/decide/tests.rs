//! Tables of decisions: one look at the world, one verdict.

#![allow(clippy::needless_pass_by_value, reason = "json! values are handed on as they are made")]

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::api::EducationSyncProfile;
use crate::api::connection::Dialect;
use crate::graph::{CallIds, GraphError, RemoteProfile};
use crate::reconcile::claims::{NameClaim, Owner, Tenant};
use crate::reconcile::observation::{ListFacts, Memory, Namesake, Settings};

const NOW: i64 = 10_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn settings() -> Settings {
    Settings {
        request_timeout: Duration::from_secs(30),
        settle_window: Duration::from_mins(2),
        lease_duration: Duration::from_secs(15),
        probe_interval: Duration::from_secs(5),
        refusal_retry: Duration::from_hours(1),
    }
}

fn connection() -> ConnectionFacts {
    ConnectionFacts {
        tenant: Tenant { endpoint: "https://graph.example".to_owned(), tenant_id: "t".to_owned() },
        dialect: Dialect::Beta,
        fingerprint: "c/1/".to_owned(),
        delegated: true,
    }
}

fn resource(status: Value) -> EducationSyncProfile {
    serde_json::from_value(json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
        "metadata": {"name": "contoso", "namespace": "n", "uid": "u", "generation": 1, "finalizers": ["edusync.dev/profile"]},
        "spec": {
            "displayName": "Contoso", "dataProvider": {"csv": {}},
            "identitySynchronizationConfiguration": {"creation": {"userDomains": [{"appliesTo": "student", "name": "a.example"}]}}
        },
        "status": status
    }))
    .unwrap()
}

/// A look at a resource with this status, a fresh and empty list, and nothing else.
fn look(status: Value) -> Observation {
    Observation {
        now: at(NOW),
        settings: settings(),
        resource: Arc::new(resource(status)),
        connection: Ok(connection()),
        list: ListFacts {
            began: Some(at(NOW - 2)),
            ended: Some(at(NOW - 1)),
            empty: true,
            ..ListFacts::default()
        },
        name: Some(NameClaim::Ours(at(NOW - 3))),
        namesakes: Vec::new(),
        bound: None,
        bound_to_other: None,
        memory: Memory::default(),
    }
}

fn deleting(mut o: Observation) -> Observation {
    let mut resource = (*o.resource).clone();
    resource.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(NOW - 1)));
    o.resource = Arc::new(resource);
    o
}

fn remote(id: &str, state: &str) -> RemoteProfile {
    RemoteProfile::read(&json!({
        "id": id, "displayName": "CONTOSO", "state": state,
        "dataProvider": {"@odata.type": "#microsoft.graph.educationCsvDataProvider"},
        "identitySynchronizationConfiguration": {"@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration",
            "userDomains": [{"appliesTo": "student", "name": "a.example"}]}
    }))
    .unwrap()
}

fn unclaimed(id: &str, state: &str) -> Namesake {
    Namesake { profile: remote(id, state), claimed_by: None }
}

fn other() -> Owner {
    Owner { uid: "other".into(), namespace: "n".into(), name: "fabrikam".into(), created: at(1) }
}

fn attempt(id: &str, uid: &str) -> Value {
    json!({
        "attempt": id, "uid": uid, "endpoint": "https://graph.example", "tenantId": "t", "displayName": "Contoso",
        "dataProvider": "csv", "identitySynchronizationConfiguration": "creation", "notAfter": at(NOW - 1_000).to_string()
    })
}

fn binding(uid: &str) -> Value {
    json!({"uid": uid, "endpoint": "https://graph.example", "tenantId": "t", "profileId": "p", "displayName": "Contoso"})
}

fn bound() -> Value {
    json!({"binding": binding("u"), "state": "provisioned"})
}

fn reason(verdict: &Verdict) -> Option<(&'static str, Reason)> {
    match &verdict.standing {
        Standing::Silent => None,
        Standing::Ready(reason, _) => Some(("ready", *reason)),
        Standing::Waiting(reason, _) => Some(("waiting", *reason)),
        Standing::Stalled(reason, _) => Some(("stalled", *reason)),
    }
}

mod creating {
    use super::*;

    #[test]
    fn with_the_name_and_a_fresh_list_it_is_created() {
        assert_eq!(decide(&look(json!({}))).action, Action::Create);
    }

    #[test]
    fn a_list_from_before_the_claim_is_not_enough() {
        let mut o = look(json!({}));
        o.name = Some(NameClaim::Ours(at(NOW - 1)));
        let verdict = decide(&o);
        assert_eq!((verdict.action.clone(), verdict.ask, reason(&verdict)), (Action::Nothing, true, None));
    }

    /// A refused resource tries again an hour later, by a list that another one asked for long ago:
    /// what a person has made meanwhile is not in it.
    #[test]
    fn an_old_list_is_not_enough_even_if_it_is_from_after_the_claim() {
        let mut o = look(json!({}));
        o.name = Some(NameClaim::Ours(at(1)));
        o.list.began = Some(at(NOW - 1_000));
        o.list.ended = Some(at(NOW - 999));
        let verdict = decide(&o);
        assert_eq!((verdict.action, verdict.ask), (Action::Nothing, true));
    }

    #[test]
    fn nothing_is_created_by_a_list_that_could_not_be_repeated() {
        let mut o = look(json!({}));
        o.list.failure = Some(GraphError::NotConnected("refused".to_owned()));
        let verdict = decide(&o);
        assert_eq!(verdict.action, Action::Nothing);
        assert_eq!(reason(&verdict), Some(("waiting", Reason::UpstreamUnavailable)));
    }

    #[test]
    fn an_empty_list_while_profiles_are_alive_is_not_believed() {
        let mut o = look(json!({}));
        (o.list.alive, o.list.missing) = (1, 1);
        let verdict = decide(&o);
        assert_eq!(verdict.action, Action::Nothing);
        assert_eq!(reason(&verdict), Some(("waiting", Reason::UpstreamEmpty)));
    }

    #[test]
    fn a_name_that_is_taken_is_never_doubled() {
        let claimed = Namesake { profile: remote("p", "provisioned"), claimed_by: Some(other()) };
        for (namesakes, expected) in [
            (vec![unclaimed("p", "provisioned")], ("stalled", Reason::AlreadyExists)),
            (vec![unclaimed("p", "deletionFailed")], ("stalled", Reason::AlreadyExists)),
            (vec![unclaimed("p", "deleting")], ("waiting", Reason::NameBeingDeleted)),
            (vec![unclaimed("q", "deleting"), claimed], ("stalled", Reason::AlreadyClaimed)),
        ] {
            let mut o = look(json!({}));
            o.namesakes = namesakes;
            let verdict = decide(&o);
            assert_eq!(verdict.action, Action::Nothing);
            assert_eq!(reason(&verdict), Some(expected));
        }
        let mut o = look(json!({}));
        o.name = Some(NameClaim::TakenBy(other()));
        assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::AlreadyClaimed)));
    }

    #[test]
    fn a_refusal_stands_for_the_same_spec_and_connection() {
        let refusal = |generation: i64, connection: &str, status: u16, age: i64| {
            json!({"refusal": {"generation": generation, "connection": connection, "status": status,
                "clientRequestId": "x", "time": at(NOW - age).to_string()}})
        };
        for (status, creates) in [
            (refusal(1, "c/1/", 400, 9_000), false),
            (refusal(0, "c/1/", 400, 1), true),
            (refusal(1, "c/2/", 400, 1), true),
            (refusal(1, "c/1/", 403, 60), false),
            (refusal(1, "c/1/", 403, 3_600), true),
        ] {
            let verdict = decide(&look(status.clone()));
            assert_eq!(verdict.action == Action::Create, creates, "{status}");
        }
    }

    #[test]
    fn a_status_of_another_object_is_not_trusted() {
        for status in [json!({"binding": binding("old")}), json!({"creation": attempt("a", "old")})] {
            let verdict = decide(&look(status));
            assert_eq!(verdict.action, Action::Nothing);
            assert_eq!(reason(&verdict), Some(("stalled", Reason::StatusNotTrusted)));
            assert!(verdict.recheck.is_some(), "the remedy wakes nobody");
        }
    }

    #[test]
    fn a_connection_to_another_tenant_makes_no_call() {
        let elsewhere = Tenant { tenant_id: "elsewhere".to_owned(), ..connection().tenant };
        for status in [bound(), json!({"creation": attempt("a", "u")})] {
            let mut o = look(status);
            o.connection = Ok(ConnectionFacts { tenant: elsewhere.clone(), ..connection() });
            let verdict = decide(&o);
            assert_eq!(verdict.action, Action::Nothing);
            assert_eq!(reason(&verdict), Some(("stalled", Reason::ConnectionChanged)));
        }
    }
}

mod resolving {
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
}

mod following {
    use super::*;

    #[test]
    fn every_state_has_its_meaning() {
        for (state, expected) in [
            ("provisioning", ("waiting", Reason::Provisioning)),
            ("provisioned", ("ready", Reason::Provisioned)),
            ("provisioningFailed", ("stalled", Reason::ProvisioningFailed)),
            ("deleting", ("waiting", Reason::Deleting)),
            ("deletionFailed", ("stalled", Reason::DeletionFailed)),
            ("hibernating", ("waiting", Reason::Provisioning)),
        ] {
            let mut o = look(bound());
            o.bound = Some(remote("p", state));
            let verdict = decide(&o);
            assert_eq!(
                (verdict.action.clone(), reason(&verdict)),
                (Action::Nothing, Some(expected)),
                "{state}"
            );
        }
    }

    #[test]
    fn graph_out_of_reach_changes_nothing() {
        let mut o = look(bound());
        o.list = ListFacts { failure: Some(GraphError::NotConnected(String::new())), ..ListFacts::default() };
        let verdict = decide(&o);
        assert_eq!(
            (verdict.action, verdict.standing, verdict.ask),
            (Action::Nothing, Standing::Silent, false)
        );
    }

    #[test]
    fn what_has_just_been_created_may_not_be_visible_yet() {
        let mut o = look(bound());
        o.memory.bound_at = Some(at(NOW - 10));
        let verdict = decide(&o);
        assert_eq!((verdict.action, verdict.standing), (Action::Nothing, Standing::Silent));
    }

    #[test]
    fn gone_needs_two_proofs_apart() {
        let mut o = look(bound());
        (o.memory.seen, o.memory.bound_at) = (true, Some(at(1)));
        assert_eq!(decide(&o).action, Action::Probe { id: "p".to_owned() });
        (o.memory.absences, o.memory.last_absence) = (1, Some(at(NOW - 1)));
        let early = decide(&o);
        assert_eq!((early.action, early.recheck), (Action::Nothing, Some(Duration::from_secs(4))));
        o.memory.last_absence = Some(at(NOW - 5));
        assert_eq!(decide(&o).action, Action::Probe { id: "p".to_owned() });
        o.memory.absences = 2;
        assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::ProfileNotFound)));
    }
}

mod deletion {
    use super::*;

    fn listed(state: &str) -> Observation {
        let mut o = deleting(look(bound()));
        o.bound = Some(remote("p", state));
        o.memory.seen = true;
        o
    }

    #[test]
    fn what_was_never_created_goes_without_a_call() {
        assert_eq!(decide(&deleting(look(json!({})))).action, Action::LetGo(Farewell::NeverCreated));
    }

    #[test]
    fn one_delete_then_waiting() {
        assert_eq!(decide(&listed("provisioned")).action, Action::Delete { id: "p".to_owned() });
        assert_eq!(decide(&listed("deleting")).action, Action::Nothing);
        let mut o = listed("provisioned");
        o.memory.delete_sent = Some(at(NOW - 60));
        assert_eq!(decide(&o).action, Action::Nothing, "the list may be behind");
        o.memory.delete_sent = Some(at(NOW - 121));
        assert_eq!(decide(&o).action, Action::Delete { id: "p".to_owned() });
    }

    #[test]
    fn a_delete_that_failed_is_repeated_slowly() {
        let mut o = listed("deletionFailed");
        o.memory.delete_sent = Some(at(NOW - 600));
        let verdict = decide(&o);
        assert_eq!(
            (verdict.action.clone(), reason(&verdict)),
            (Action::Nothing, Some(("stalled", Reason::DeletionFailed)))
        );
        o.memory.delete_sent = Some(at(NOW - 3_600));
        assert_eq!(decide(&o).action, Action::Delete { id: "p".to_owned() });
    }

    fn absent(absences: u32) -> Observation {
        let mut o = deleting(look(bound()));
        o.memory = Memory {
            seen: true,
            bound_at: Some(at(1)),
            delete_sent: Some(at(NOW - 60)),
            absences,
            last_absence: (absences > 0).then(|| at(NOW - 10)),
            ..Memory::default()
        };
        o
    }

    #[test]
    fn it_goes_when_the_profile_is_proven_gone() {
        assert_eq!(decide(&absent(0)).action, Action::Probe { id: "p".to_owned() });
        assert_eq!(decide(&absent(1)).action, Action::Probe { id: "p".to_owned() });
        assert_eq!(decide(&absent(2)).action, Action::LetGo(Farewell::Deleted));
    }

    /// Two resources whose profiles somebody removed must not wait for each other: each is probed,
    /// although the list lacks the other's profile as well.
    #[test]
    fn a_list_that_lacks_others_still_gets_its_probe_but_proves_nothing() {
        let mut o = absent(0);
        (o.list.alive, o.list.missing) = (1, 1);
        assert_eq!(decide(&o).action, Action::Probe { id: "p".to_owned() });
        o.memory.absences = 2;
        let verdict = decide(&o);
        assert_eq!(reason(&verdict), Some(("stalled", Reason::UpstreamEmpty)));
        assert!(matches!(&verdict.standing, Standing::Stalled(_, message) if message.contains("Retain")));
    }

    /// After a restart nothing is remembered; a profile that is not visible yet would be orphaned.
    #[test]
    fn what_no_list_has_shown_yet_is_asked_to_go_all_the_same() {
        let mut o = deleting(look(bound()));
        o.memory.bound_at = Some(at(NOW));
        assert_eq!(decide(&o).action, Action::Delete { id: "p".to_owned() });
        o.memory = Memory { seen: true, present: true, bound_at: Some(at(1)), ..Memory::default() };
        assert_eq!(decide(&o).action, Action::Delete { id: "p".to_owned() }, "its own URL shows it");
    }

    #[test]
    fn an_api_that_is_gone_or_silent_proves_nothing() {
        for (failure, expected) in [
            (
                GraphError::Retired { status: 410, ids: CallIds::default() },
                ("stalled", Reason::UpstreamRetired),
            ),
            (GraphError::NotConnected(String::new()), ("waiting", Reason::UpstreamUnavailable)),
        ] {
            let mut o = absent(2);
            o.list.failure = Some(failure);
            let verdict = decide(&o);
            assert_eq!((verdict.action.clone(), reason(&verdict)), (Action::Nothing, Some(expected)));
        }
    }

    #[test]
    fn an_attempt_is_resolved_first() {
        let mut o = deleting(look(json!({"creation": attempt("a", "u")})));
        assert_eq!(decide(&o).action, Action::Nothing);
        o.namesakes = vec![unclaimed("p", "provisioned")];
        assert_eq!(decide(&o).action, Action::Bind { id: "p".to_owned() });
        let mut o = deleting(look(json!({"earlierCreations": [attempt("a", "u")]})));
        (o.list.alive, o.list.missing) = (1, 1);
        assert_eq!(decide(&o).action, Action::Nothing, "the list is not whole");
    }

    #[test]
    fn what_is_not_ours_or_to_stay_is_let_alone() {
        let foreign = deleting(look(json!({"binding": binding("old")})));
        assert_eq!(decide(&foreign).action, Action::LetGo(Farewell::NotOurs));
        let mut claimed = deleting(look(bound()));
        claimed.bound_to_other = Some(other());
        assert_eq!(decide(&claimed).action, Action::LetGo(Farewell::NotOurs));
        let mut retained = deleting(look(bound()));
        let mut resource = (*retained.resource).clone();
        resource.spec.deletion_policy = Some(crate::api::profile::DeletionPolicy::Retain);
        retained.resource = Arc::new(resource);
        retained.connection = Err(ConnectionProblem::NotFound(String::new()));
        assert_eq!(decide(&retained).action, Action::LetGo(Farewell::Retained), "even without a connection");
    }

    #[test]
    fn without_a_connection_it_says_how_to_let_go() {
        let mut o = deleting(look(bound()));
        o.connection = Err(ConnectionProblem::CredentialsMissing("The Secret is gone.".to_owned()));
        let verdict = decide(&o);
        assert_eq!(reason(&verdict), Some(("stalled", Reason::CredentialsMissing)));
        assert!(matches!(&verdict.standing, Standing::Stalled(_, message) if message.contains("Retain")));
    }
}
