//! What is shared, what is made anew, and what a pass gets that comes too late.

use serde_json::{Value, json};

use super::super::*;
use super::world::{application, connection, delegated, key, upstreams, world};

/// Do both specs lead to one poller, when the second one follows the first?
async fn is_kept(before: &Value, after: &Value) -> bool {
    let (world, upstreams) = (world(), upstreams(&Arc::default()));
    let before = upstreams.resolve(&world, &connection(1, before)).await.unwrap();
    let after = upstreams.resolve(&world, &connection(2, after)).await.unwrap();
    Arc::ptr_eq(&before.poller, &after.poller)
}

#[tokio::test(start_paused = true)]
async fn another_key_of_the_same_secret_is_another_credential() {
    assert!(is_kept(&delegated("dead"), &delegated("dead")).await);
    assert!(!is_kept(&delegated("dead"), &delegated("good")).await);
    let confidential = |secret: &str| {
        let mut spec = delegated("good");
        spec["delegated"]["clientSecretRef"] = key(secret);
        spec
    };
    assert!(!is_kept(&confidential("secret"), &confidential("other-secret")).await);
    let trusting = |ca: &str| {
        let mut spec = application();
        spec["caBundleRef"] = key(ca);
        spec
    };
    assert!(is_kept(&trusting("ca"), &trusting("ca")).await);
    assert!(!is_kept(&trusting("ca"), &trusting("other-ca")).await);
}

#[tokio::test(start_paused = true)]
async fn a_corrected_key_reaches_who_reads() {
    let (world, upstreams) = (world(), upstreams(&Arc::default()));
    upstreams.resolve(&world, &connection(1, &delegated("dead"))).await.unwrap();
    let corrected = upstreams.resolve(&world, &connection(2, &delegated("good"))).await.unwrap();
    corrected.poller.ask();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let failure = corrected.poller.view().failure.unwrap().to_string();
    assert!(failure.contains("nobody is there"), "the seed in force is tried: {failure}");
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_comes_late_gets_what_is_loaded() {
    let (world, upstreams) = (world(), upstreams(&Arc::default()));
    let new = upstreams.resolve(&world, &connection(2, &delegated("good"))).await.unwrap();
    let late = upstreams.resolve(&world, &connection(1, &delegated("dead"))).await.unwrap();
    assert!(Arc::ptr_eq(&new, &late));
    tokio::time::advance(REREAD * 2).await;
    let later = upstreams.resolve(&world, &connection(1, &delegated("dead"))).await.unwrap();
    assert_eq!(later.facts.fingerprint, new.facts.fingerprint);
}

#[tokio::test(start_paused = true)]
async fn what_is_learnt_of_one_form_of_the_api_is_not_held_of_another() {
    let (world, upstreams) = (world(), upstreams(&Arc::default()));
    let of = |uid: &str, dialect: &str| {
        let mut spec = application();
        spec["graph"] = json!({"dialect": dialect});
        let mut connection = connection(1, &spec);
        connection.metadata.uid = Some(uid.to_owned());
        connection
    };
    let beta = upstreams.resolve(&world, &of("a", "Beta")).await.unwrap();
    let also = upstreams.resolve(&world, &of("b", "Beta")).await.unwrap();
    let other = upstreams.resolve(&world, &of("c", "TestEduApi")).await.unwrap();
    assert!(Arc::ptr_eq(&beta.reads.learnt, &also.reads.learnt));
    assert!(!Arc::ptr_eq(&beta.reads.learnt, &other.reads.learnt));
    // Graph counts their calls together.
    assert!(Arc::ptr_eq(&beta.reads.gate, &other.reads.gate));
}
