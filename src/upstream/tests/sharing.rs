//! What is shared, what is made anew, and what a pass gets that comes too late.

use futures::FutureExt as _;
use serde_json::{Value, json};

use super::super::loaded::REREAD;
use super::super::*;
use super::world::{application, connection, delegated, key, locked, place, upstreams, world};

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

fn of_uid(uid: &str, spec: &Value) -> GraphConnection {
    let mut connection = connection(1, spec);
    connection.metadata.uid = Some(uid.to_owned());
    connection
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_does_not_come_stops_nobody_else() {
    let (world, upstreams) = (world(), upstreams(&Arc::default()));
    locked(&world.late).insert("slow".to_owned());
    let mut slow = application();
    slow["application"]["clientSecretRef"]["name"] = json!("slow");
    let slow = of_uid("slow", &slow);
    let mut waiting = std::pin::pin!(upstreams.resolve(&world, &slow));
    assert!(waiting.as_mut().now_or_never().is_none(), "it waits");
    let fast = connection(1, &application());
    let other = upstreams.resolve(&world, &fast);
    other.now_or_never().expect("nothing to wait for").expect("it can be used");
}

/// Else each profile of a connection would wait for itself, and hold a place in which others could have their pass.
#[tokio::test(start_paused = true)]
async fn that_a_secret_does_not_come_is_waited_for_once() {
    let (world, upstreams) = (world(), upstreams(&Arc::default()));
    locked(&world.late).insert("graph".to_owned());
    let connection = connection(1, &application());
    let resolve = || upstreams.resolve(&world, &connection);
    let began = tokio::time::Instant::now();
    let (first, second, third) = futures::join!(resolve(), resolve(), resolve());
    assert!(first.is_err() && second.is_err() && third.is_err());
    assert_eq!(began.elapsed(), Duration::from_secs(15));
    assert_eq!(*locked(&world.reads), ["graph"]);
}

/// A connection that goes while its Secrets are read must not be remembered for that.
#[tokio::test(start_paused = true)]
async fn what_was_made_of_a_connection_that_has_gone_is_not_kept() {
    let (world, upstreams) = (world(), upstreams(&Arc::default()));
    let connection = connection(1, &application());
    let first = upstreams.lock().turn_of("uid");
    let held = first.lock().await;
    let mut waiting = std::pin::pin!(upstreams.resolve(&world, &connection));
    assert!(waiting.as_mut().now_or_never().is_none(), "it is somebody else's turn");
    upstreams.forget("uid", &place());
    drop(held);
    waiting.await.unwrap();
    assert!(upstreams.in_use("uid").is_none() && upstreams.rereads_in(&connection).is_none());
}

/// Whoever asks for another reading while one is under way may know of a change that this one has not seen.
#[tokio::test(start_paused = true)]
async fn a_reading_that_is_asked_for_during_another_one_is_not_lost() {
    let (world, upstreams) = (world(), upstreams(&Arc::default()));
    let connection = connection(1, &application());
    let upstream = upstreams.resolve(&world, &connection).await.unwrap();
    tokio::time::advance(REREAD).await;
    let (first, now) = (upstreams.lock().turn_of("uid"), upstreams.clock.now());
    let before = upstreams.lock().begin("uid", 1, now).unwrap_err().unwrap();
    upstreams.reread(&upstream.facts);
    assert!(upstreams.lock().keep("uid", &first, Loaded { at: now, ..before }));
    assert_eq!(upstreams.rereads_in(&connection), Some(Duration::from_secs(10)));
}

#[tokio::test(start_paused = true)]
async fn what_was_shared_by_connections_that_are_gone_is_forgotten() {
    let (world, upstreams) = (world(), upstreams(&Arc::default()));
    for tenant in ["a", "b", "c"] {
        let mut spec = application();
        spec["tenantId"] = json!(tenant);
        upstreams.resolve(&world, &of_uid(tenant, &spec)).await.unwrap();
        let shared = {
            let inner = upstreams.lock();
            (inner.gates.len(), inner.learnt.len())
        };
        assert_eq!(shared, (1, 1), "{tenant}");
        upstreams.forget(tenant, &place());
        // The poller's task is broken off when it has its turn.
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_learnt_of_one_form_of_the_api_is_not_held_of_another() {
    let (world, upstreams) = (world(), upstreams(&Arc::default()));
    let of = |uid: &str, dialect: &str| {
        let mut spec = application();
        spec["graph"] = json!({"dialect": dialect});
        of_uid(uid, &spec)
    };
    let beta = upstreams.resolve(&world, &of("a", "Beta")).await.unwrap();
    let also = upstreams.resolve(&world, &of("b", "Beta")).await.unwrap();
    let other = upstreams.resolve(&world, &of("c", "TestEduApi")).await.unwrap();
    assert!(Arc::ptr_eq(&beta.reads.learnt, &also.reads.learnt));
    assert!(!Arc::ptr_eq(&beta.reads.learnt, &other.reads.learnt));
    // Graph counts their calls together.
    assert!(Arc::ptr_eq(&beta.reads.gate, &other.reads.gate));
}
