//! What of the list concerns a resource, by the table of claims.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::reconcile::observation::Retry;
use crate::upstream::tests::world::{application, connection, context_with, upstreams, world};

fn tenant() -> Tenant {
    Tenant::new("https://graph.example", "t")
}

/// It was created under the name `earlier` once, which was given up, and wants another name by now.
fn renamed(uid: &str, wanted: &str, earlier: &str) -> EducationSyncProfile {
    serde_json::from_value(json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
        "metadata": {"name": uid, "namespace": "n", "uid": uid},
        "spec": {
            "displayName": wanted, "dataProvider": {"csv": {}}, "identitySynchronizationConfiguration": {}
        },
        "status": {"earlierCreations": [{
            "attempt": "a", "uid": uid, "endpoint": "https://graph.example", "tenantId": "t",
            "displayName": earlier, "dataProvider": "csv", "identitySynchronizationConfiguration": "creation",
            "notAfter": "2026-11-22T00:00:00Z"
        }]}
    }))
    .unwrap()
}

/// Two resources may have tried to create one name, one after the other. What comes then belongs to the one
/// whose attempt is open.
#[test]
fn what_has_the_name_of_anothers_open_attempt_is_no_candidate() {
    let (claims, now) = (Claims::default(), Timestamp::UNIX_EPOCH);
    let profile = RemoteProfile::read(&json!({"id": "p", "displayName": "Contoso"})).unwrap();
    let profiles = BTreeMap::from([("p".to_owned(), profile)]);
    let list = Snapshot::new(now, now, profiles);
    let resource = renamed("u", "Fabrikam", "Contoso");
    let candidates = || namesakes(&claims, &resource, &tenant(), &owner(&resource), Some(&list)).len();
    assert_eq!(candidates(), 1, "it may be what came of the attempt that was given up");
    let other = owner(&renamed("other", "Contoso", "Litware"));
    claims.wish(&tenant(), &NameKey::of("Contoso"), &other, now);
    assert_eq!(candidates(), 1, "a wish has sent nothing yet");
    assert!(claims.establish(&tenant(), &NameKey::of("Contoso"), &other));
    assert_eq!(candidates(), 0, "it is the other's");
}

fn resource(name: &str, status: &serde_json::Value) -> EducationSyncProfile {
    serde_json::from_value(json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
        "metadata": {"name": name, "namespace": "school", "uid": name},
        "spec": {
            "displayName": "Contoso", "dataProvider": {"csv": {}}, "identitySynchronizationConfiguration": {}
        },
        "status": status
    }))
    .unwrap()
}

/// The tenant of the connection in the tests' world.
fn place_of_world() -> Tenant {
    Tenant::new("https://graph.microsoft.com", "5d1e9d1f-7a11-4f53-9a53-b6f0c5b22c7a")
}

/// A resource of this name that has the profile `p`.
fn with_profile(name: &str) -> EducationSyncProfile {
    let Tenant { endpoint, tenant_id } = place_of_world();
    let binding = json!({
        "uid": name, "endpoint": *endpoint, "tenantId": *tenant_id, "profileId": "p", "displayName": "Contoso"
    });
    resource(name, &json!({"binding": binding}))
}

fn key(name: &str) -> Key {
    Key { namespace: "school".to_owned(), name: name.to_owned() }
}

/// The answer to the write that says so may be lost, and the next pass finds another profile in the status.
#[tokio::test(start_paused = true)]
async fn that_one_profile_is_gone_proves_nothing_of_the_next() {
    let resources = vec![with_profile("contoso")];
    let context = context_with(world(), connection(1, &application()), resources, upstreams(&Arc::default()));
    let context = &context;
    let setback = Retry { failed: 3, again: Timestamp::UNIX_EPOCH };
    let absences_of = async |profile: &str| {
        context.remember("contoso", |memory| {
            memory.turn_to(Some(profile));
            (memory.absences, memory.setback) = (2, Some(setback));
        });
        let (observation, _) = observe(context, &key("contoso")).await.unwrap();
        (observation.memory.absences, observation.memory.setback)
    };
    assert_eq!(absences_of("p").await, (2, Some(setback)), "it is remembered");
    assert_eq!(
        absences_of("earlier").await,
        (0, Some(setback)),
        "it was another; that Graph is to be left alone holds"
    );
}

/// Its connection may stay broken for long, and it has sent nothing.
#[tokio::test(start_paused = true)]
async fn who_cannot_create_keeps_no_name_from_others() {
    let mut lame = resource("lame", &json!({}));
    lame.spec.connection_ref = serde_json::from_value(json!({"name": "nowhere"})).unwrap();
    let resources = vec![lame.clone(), resource("sound", &json!({}))];
    let context = context_with(world(), connection(1, &application()), resources, upstreams(&Arc::default()));
    context.claims.wish(&place_of_world(), &NameKey::of("Contoso"), &owner(&lame), Timestamp::UNIX_EPOCH);
    let wish = async |name: &str| observe(&context, &key(name)).await.unwrap().0.name;
    assert!(matches!(wish("sound").await, Some(NameClaim::TakenBy(_))), "it came first");
    assert_eq!(wish("lame").await, None);
    assert!(matches!(wish("sound").await, Some(NameClaim::Ours(_))));
}

/// After a start the resource whose pass comes first may want what another one has.
#[tokio::test(start_paused = true)]
async fn before_the_first_look_the_claims_of_all_are_known() {
    let place = place_of_world();
    let resources = vec![with_profile("bound"), resource("first", &json!({}))];
    let context = context_with(world(), connection(1, &application()), resources, upstreams(&Arc::default()));
    let (observation, _) = observe(&context, &key("first")).await.unwrap();
    assert!(matches!(&observation.name, Some(NameClaim::TakenBy(owner)) if *owner.uid == *"bound"));
    assert_eq!(&*context.claims.owner_of(&place, "p").unwrap().uid, "bound");
}
