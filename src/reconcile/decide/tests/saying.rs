//! What a person reads: the object that it is about, and what to do.

use super::managing::with_spec;
use super::*;
use crate::auth::{AuthError, AuthFailure};

fn message(o: &Observation) -> String {
    match decide(o).standing {
        Standing::Silent => String::new(),
        Standing::Ready(_, message) | Standing::Waiting(_, message) | Standing::Stalled(_, message) => {
            message
        }
    }
}

fn says(o: &Observation, words: &[&str]) {
    let message = message(o);
    for word in words {
        assert!(message.contains(word), "{word} is not in: {message}");
    }
}

#[test]
fn who_only_observes_is_told_what_would_be_made() {
    let o = with_spec(look(json!({})), |spec| spec["managementPolicy"] = json!("Observe"));
    says(&o, &["\"Contoso\"", "spec.managementPolicy is Observe"]);
}

#[test]
fn a_connection_that_leads_elsewhere_is_named_with_the_place_that_it_led_to() {
    let shared = json!({"name": "c", "namespace": "it"});
    let o = elsewhere(with_spec(look(bound()), |spec| spec["connectionRef"] = shared));
    says(
        &o,
        &[
            "tenant t at https://graph.example",
            "connection c of the namespace it",
            "Name the old connection again",
        ],
    );
}

#[test]
fn a_refusal_says_whether_the_spec_or_the_service_is_to_be_waited_for() {
    let mut status = bound();
    status["refusal"] = json!({"generation": 1, "connection": "c/1/", "status": 400, "clientRequestId": "x", "time": at(NOW - 1).to_string()});
    let mut o = look(status);
    (o.list.empty, o.bound) = (false, Some(remote("p", "provisioned")));
    says(&o, &["Correct the spec"]);
    says(&deleting(o), &["refused to delete the profile", "asks again every hour"]);
}

#[test]
fn a_credential_that_does_not_work_is_one_of_a_connection() {
    let mut o = look(json!({}));
    let refused = AuthFailure::Refused { error: "invalid_client".to_owned() };
    o.list.failure = Some(GraphError::NoToken(AuthError::new(refused)));
    says(&o, &["No token: ", "See the GraphConnection."]);
}
