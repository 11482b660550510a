//! Connections that profiles of other namespaces use: who may, who may not, and who waits for whom.

use edusync::api::{EducationSyncProfile, GraphConnection};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use crate::cli::{edusync, edusync_with, run_as};
use crate::cli_act::reader;
use crate::scene::{Scene, condition, foreign_body, quick, spec};
use crate::world::RELEASE;

/// A district with a connection that the namespace of a school may use, and an operator for both.
async fn district_and_school(name: &str) -> (Scene, Scene) {
    let (mut district, school) = before_the_operator(name).await;
    allow(&district, &[&school.namespace]).await;
    district.start_operator();
    (district, school)
}

/// The same before the operator is started, and before anything is allowed.
async fn before_the_operator(name: &str) -> (Scene, Scene) {
    let mut district = Scene::without_operator(name, quick()).await;
    let school = district.neighbour(&format!("{name}-school")).await;
    (district, school)
}

/// Lets these namespaces use the connection, and no others.
async fn allow(district: &Scene, namespaces: &[&str]) {
    let mut connection = district.connection_manifest();
    connection["spec"]["allowedNamespaces"] = json!(namespaces);
    district.apply::<GraphConnection>(connection).await.unwrap();
}

/// A small spec that names the connection of the district.
fn spec_by(district: &Scene, display_name: &str) -> Value {
    let mut spec = spec(display_name);
    spec["connectionRef"] = json!({"name": "default", "namespace": district.namespace});
    spec
}

fn stalled(profile: &EducationSyncProfile) -> String {
    condition(profile, "Stalled").map(|(_, _, message)| message).unwrap_or_default()
}

/// Asks for a pass, and waits for its answer.
async fn look(scene: &Scene, name: &str, request: &str) -> EducationSyncProfile {
    let annotation = json!({"metadata": {"annotations": {"reconcile.edusync.dev/requestedAt": request}}});
    scene.profiles().patch(name, &PatchParams::default(), &Patch::Merge(annotation)).await.unwrap();
    let answered = |profile: &EducationSyncProfile| {
        profile.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref())
            == Some(request)
    };
    scene.until(name, "answered", answered).await
}

/// Waits until the operator has looked at the newest version of the connection.
async fn until_connection_is_looked_at(scene: &Scene) {
    let seen = |connection: Option<&GraphConnection>| {
        let generation = |connection: &GraphConnection| connection.metadata.generation;
        connection.is_some_and(|connection| {
            connection.status.as_ref().and_then(|status| status.observed_generation) == generation(connection)
        })
    };
    let seen = await_condition(scene.connections(), "default", seen);
    let waited = tokio::time::timeout(std::time::Duration::from_mins(1), seen).await;
    assert!(waited.is_ok(), "the connection is never looked at\n{}", scene.operator_log());
}

/// Waits until the operator has worked on for three of its poll intervals, by the renewals of its lease.
async fn three_polls_would_have_passed(scene: &Scene) {
    let leases: Api<Lease> = Api::namespaced(scene.client.clone(), RELEASE);
    let renewed =
        |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref()).map(|at| at.0);
    let first = renewed(&leases.get(scene.lease()).await.unwrap()).unwrap();
    let later = |lease: Option<&Lease>| {
        lease.and_then(renewed).is_some_and(|now| now.duration_since(first).as_secs() >= 3)
    };
    let waited = await_condition(leases, scene.lease(), later);
    assert!(tokio::time::timeout(std::time::Duration::from_mins(1), waited).await.is_ok());
}

async fn until_connection_is_gone(scene: &Scene) {
    let gone = await_condition(scene.connections(), "default", |c: Option<&GraphConnection>| c.is_none());
    let waited = tokio::time::timeout(std::time::Duration::from_mins(1), gone).await;
    assert!(waited.is_ok(), "the connection is still there\n{}", scene.operator_log());
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_that_are_allowed_share_the_connection_and_its_list() {
    let (district, school) = before_the_operator("share").await;
    // Without fast polls each list is one that somebody asked for.
    let slow = ["--fast-poll-interval", "30s", "--poll-interval", "30s"];
    let mut district = district.with_flags(&slow);
    allow(&district, &[&school.namespace]).await;
    for number in 0..5 {
        district.create(&format!("own-{number}"), spec(&format!("Own {number}"))).await;
        school.create(&format!("other-{number}"), spec_by(&district, &format!("Other {number}"))).await;
    }
    district.start_operator();
    district.eventually("ten profiles", |scene| scene.requests("POST").len() == 10).await;
    assert!(district.lists() <= 3, "{} lists for ten profiles", district.lists());
    let connection = district.connections().get("default").await.unwrap();
    assert!(connection.finalizers().contains(&"edusync.dev/in-use".to_owned()));
    let secrets: Api<Secret> = Api::namespaced(school.client.clone(), &school.namespace);
    assert!(secrets.list(&ListParams::default()).await.unwrap().items.is_empty(), "no credential comes over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_star_allows_every_namespace() {
    let (mut district, school) = before_the_operator("star").await;
    allow(&district, &["*"]).await;
    district.start_operator();
    school.create("contoso", spec_by(&district, "Contoso SDS")).await;
    school.until_ready_is("contoso", "True", "Provisioned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_allowed_learns_nothing_and_causes_no_call() {
    let (mut district, school) = before_the_operator("oracle").await;
    allow(&district, &["somebody-else"]).await;
    district.start_operator();
    // The connection's own pass looks once whether its credentials work.
    district.until_connection_is("True", "Connected").await;
    let before = district.simulator.requests().len();
    school.create("there", spec_by(&district, "Contoso SDS")).await;
    let mut nowhere = spec_by(&district, "Contoso SDS");
    nowhere["connectionRef"]["name"] = json!("nowhere");
    school.create("nowhere", nowhere).await;
    let there = school.until_ready_is("there", "False", "ConnectionNotFound").await;
    let nowhere = school.until_ready_is("nowhere", "False", "ConnectionNotFound").await;
    let (said, said_of_none) = (stalled(&there), stalled(&nowhere));
    assert_eq!(said.replace("default", "nowhere"), said_of_none, "the same, whether there is one or not");
    assert!(said.contains("spec.allowedNamespaces") && said.contains(&school.namespace), "{said}");
    look(&school, "there", "one").await;
    three_polls_would_have_passed(&district).await;
    assert!(there.finalizers().is_empty());
    assert_eq!(district.simulator.requests().len(), before, "nothing is asked");
    let connection = district.connections().get("default").await.unwrap();
    assert!(connection.finalizers().is_empty());

    allow(&district, &[&school.namespace]).await;
    school.until_ready_is("there", "True", "Provisioned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_permission_is_withdrawn_nothing_is_called_any_more() {
    let (district, school) = district_and_school("withdrawn").await;
    for (name, policy) in [("deleted", "Delete"), ("retained", "Retain")] {
        let mut spec = spec_by(&district, name);
        spec["deletionPolicy"] = json!(policy);
        school.create(name, spec).await;
        school.until_ready_is(name, "True", "Provisioned").await;
    }
    allow(&district, &[]).await;
    for name in ["deleted", "retained"] {
        school.until_ready_is(name, "False", "ConnectionNotFound").await;
    }
    until_connection_is_looked_at(&district).await;
    look(&school, "deleted", "one").await;
    let before = district.simulator.requests().len();
    three_polls_would_have_passed(&district).await;
    for name in ["deleted", "retained"] {
        school.delete(name).await;
    }
    school.until_gone("retained").await;
    let says_the_way_out = |profile: &EducationSyncProfile| stalled(profile).contains("Retain");
    school.until("deleted", "stalled, with the way out", says_the_way_out).await;
    assert_eq!(district.simulator.requests().len(), before, "nobody polls for them either");

    allow(&district, &[&school.namespace]).await;
    school.until_gone("deleted").await;
    assert_eq!(district.requests("DELETE").len(), 1);
    let left: Vec<Value> = district.simulator.profiles().iter().map(|p| p["displayName"].clone()).collect();
    assert_eq!(left, ["retained"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_attempt_waits_for_the_permission_and_is_then_resolved() {
    let (mut district, school) = district_and_school("attempt").await;
    district.simulator.hold_create_answers(true);
    school.create("contoso", spec_by(&district, "Contoso SDS")).await;
    district.eventually("the profile is in Graph", |scene| scene.simulator.profiles().len() == 1).await;
    district.crash_operator().await;
    district.simulator.hold_create_answers(false);
    allow(&district, &[]).await;
    district.start_operator();
    let waiting = school.until_ready_is("contoso", "False", "ConnectionNotFound").await;
    assert!(waiting.status.unwrap().creation.is_some(), "the attempt is not forgotten");
    until_connection_is_looked_at(&district).await;
    let before = district.simulator.requests().len();
    look(&school, "contoso", "one").await;
    three_polls_would_have_passed(&district).await;
    assert_eq!(district.simulator.requests().len(), before);
    allow(&district, &[&school.namespace]).await;
    school.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(district.requests("POST").len(), 1, "found, and not made twice");
    school.until_events_are("contoso", &["ConnectionNotFound", "Recovered", "Provisioned"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespace_of_the_connection_waits_for_profiles_elsewhere_and_says_so() {
    let (district, school) = district_and_school("order").await;
    school.create("contoso", spec_by(&district, "Contoso SDS")).await;
    school.until_ready_is("contoso", "True", "Provisioned").await;
    let namespaces: Api<Namespace> = Api::all(district.client.clone());
    namespaces.delete(&district.namespace, &DeleteParams::default()).await.unwrap();
    district.until_connection_is("False", "InUse").await;
    let connection = district.connections().get("default").await.unwrap();
    let said = &connection.status.unwrap().conditions[0].message;
    assert!(said.contains(&format!("{}/contoso", school.namespace)), "{said}");
    // Its Secrets are gone, and its profile goes by what is in memory.
    school.delete("contoso").await;
    school.until_gone("contoso").await;
    assert!(district.simulator.profiles().is_empty());
    until_connection_is_gone(&district).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespace_of_a_profile_goes_and_the_connection_stays() {
    let (district, school) = district_and_school("schoolgoes").await;
    school.create("contoso", spec_by(&district, "Contoso SDS")).await;
    school.until_ready_is("contoso", "True", "Provisioned").await;
    let namespaces: Api<Namespace> = Api::all(district.client.clone());
    namespaces.delete(&school.namespace, &DeleteParams::default()).await.unwrap();
    school.until_gone("contoso").await;
    assert!(district.simulator.profiles().is_empty());
    assert_eq!(district.requests("DELETE").len(), 1);
    let connection = district.connections().get("default").await.unwrap();
    assert_eq!(connection.metadata.deletion_timestamp, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_is_not_allowed_holds_no_connection() {
    let (district, school) = district_and_school("hostage").await;
    school.create("contoso", spec_by(&district, "Contoso SDS")).await;
    school.until_ready_is("contoso", "True", "Provisioned").await;
    allow(&district, &[]).await;
    school.until_ready_is("contoso", "False", "ConnectionNotFound").await;
    district.connections().delete("default", &DeleteParams::default()).await.unwrap();
    until_connection_is_gone(&district).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_connections_secrets_is_for_those_who_keep_it() {
    let (mut district, school) = before_the_operator("elsewhere").await;
    allow(&district, &[&school.namespace]).await;
    let secrets: Api<Secret> = Api::namespaced(district.client.clone(), &district.namespace);
    secrets.delete("graph", &DeleteParams::default()).await.unwrap();
    district.start_operator();
    school.create("contoso", spec_by(&district, "Contoso SDS")).await;
    let outside = school.until_ready_is("contoso", "False", "CredentialsMissing").await;
    let said = stalled(&outside);
    assert!(said.contains(&district.namespace) && !said.contains("Secret"), "{said}");
    district.until_connection_is("False", "CredentialsMissing").await;
    // A Secret of that name in the profile's own namespace is another one.
    school.write_secrets().await;
    let outside = look(&school, "contoso", "one").await;
    assert_eq!(stalled(&outside), said);
    district.write_secrets().await;
    // A connection that has changed is looked at anew, and so are those that use it.
    allow(&district, &["*"]).await;
    school.until_ready_is("contoso", "True", "Provisioned").await;
}

/// The secret of a source is the profile's own, and so is the rule about it.
#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_a_source_is_read_beside_the_profile() {
    let (district, school) = district_and_school("sourcens").await;
    let mut power_school = spec_by(&district, "Contoso SDS");
    power_school["dataProvider"] = json!({"powerSchool": {
        "connectionUrl": "https://sis.example", "clientId": "key", "schoolYear": "2027",
        "clientSecretRef": {"name": "graph", "key": "clientSecret"}
    }});
    school.create("contoso", power_school).await;
    let missing = school.until_ready_is("contoso", "False", "CredentialsMissing").await;
    let said = stalled(&missing);
    assert!(said.contains(&format!("the namespace {} has no such Secret", school.namespace)), "{said}");
    // The Secret comes, and is a credential of a connection that stands beside the profile.
    school.write_secrets().await;
    school.apply::<GraphConnection>(school.connection_manifest()).await.unwrap();
    let says_whose = |profile: &EducationSyncProfile| {
        stalled(profile).contains("which is a credential of the GraphConnection default")
    };
    look(&school, "contoso", "one").await;
    school.until("contoso", "stalled, since the Secret is a connection's", says_whose).await;
    assert!(district.requests("POST").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_kept_unique_across_namespaces_and_its_owner_is_named() {
    let (district, school) = district_and_school("unique").await;
    district.create("contoso", spec("Contoso SDS")).await;
    district.until_ready_is("contoso", "True", "Provisioned").await;
    school.create("second", spec_by(&district, "CONTOSO sds")).await;
    let second = school.until_ready_is("second", "False", "AlreadyClaimed").await;
    assert!(stalled(&second).contains(&format!("{}/contoso", district.namespace)), "{}", stalled(&second));
    assert_eq!(district.requests("POST").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_that_it_does_not_look_there() {
    let mut district = Scene::without_operator("listed", quick()).await;
    let stranger = district.stranger("unlisted").await;
    let mut elsewhere = spec("Contoso SDS");
    elsewhere["connectionRef"] = json!({"name": "default", "namespace": stranger.namespace});
    district.create("contoso", elsewhere).await;
    district.start_operator();
    let profile = district.until_ready_is("contoso", "False", "ConnectionNotFound").await;
    assert!(stalled(&profile).contains("edusync run --namespace"), "{}", stalled(&profile));
    assert!(stalled(&profile).contains(&stranger.namespace), "{}", stalled(&profile));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_goes_to_the_other_namespace_with_the_persons_own_rights() {
    let (district, school) = district_and_school("cli-other").await;
    district.simulator.plant(foreign_body("Fabrikam SDS")).unwrap();
    let connection = format!("{}/default", district.namespace);
    let import = ["import", "--connection", &connection, "--allowed-host", "127.0.0.1"];
    let imported = edusync(&school, &import).await.ended_with(0);
    let manifest: Value = serde_saphyr::from_str(&imported.out).unwrap();
    let named = json!({"name": "default", "namespace": district.namespace});
    assert_eq!(manifest["spec"]["connectionRef"], named);
    let plan = ["plan", "-f", "-", "-o", "json", "--allowed-host", "127.0.0.1"];
    let planned = edusync_with(&school, &plan, &imported.out).await.ended_with(2).json();
    assert_eq!(planned[0]["action"], "Adopt", "{planned}");

    school.create("contoso", spec_by(&district, "Contoso SDS")).await;
    school.until_ready_is("contoso", "True", "Provisioned").await;
    let errors = ["errors", "--profile", "contoso", "--allowed-host", "127.0.0.1"];
    edusync(&school, &errors).await.ended_with(0);
    let refused = run_as(&reader(&school), &errors, "").await.ended_with(1);
    assert!(
        refused.err.contains("cannot read the GraphConnection default")
            && refused.err.contains(&district.namespace),
        "{}",
        refused.err
    );

    allow(&district, &[]).await;
    let planned = edusync_with(&school, &plan, &imported.out).await.ended_with(2).json();
    assert_eq!(planned[0]["action"], "Blocked", "{planned}");
    let refused = edusync(&school, &errors).await.ended_with(1);
    assert!(refused.err.contains("list it in spec.allowedNamespaces"), "{}", refused.err);
    let warned = edusync(&school, &import).await.ended_with(0);
    assert!(warned.err.contains("warning: the GraphConnection default"), "{}", warned.err);
}
