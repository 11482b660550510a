//! What the chart's ServiceAccount may do: what the operator needs, and nothing that could hurt.

use crate::world::{OPERATOR, World};

async fn may(verb: &str, resource: &str) -> bool {
    let world = World::get().await;
    let user = format!("--as={OPERATOR}");
    let mut ask = world.kubectl(["auth", "can-i", verb, resource, &user, "--namespace", "default"]);
    ask.output().unwrap().status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_read_by_name_alone() {
    assert!(may("get", "secrets").await);
    for verb in ["list", "watch", "create", "update", "patch", "delete"] {
        assert!(!may(verb, "secrets").await, "{verb}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_secret_is_the_operators_own_and_no_other_is_written() {
    for verb in ["create", "patch"] {
        assert!(may(verb, "secrets/edusync-refresh-tokens").await, "{verb}");
        assert!(!may(verb, "secrets/graph").await, "{verb}");
    }
    for verb in ["update", "delete", "list", "watch"] {
        assert!(!may(verb, "secrets/edusync-refresh-tokens").await, "{verb}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_users_own_is_not_replaced_created_or_deleted() {
    for resource in ["educationsyncprofiles.edusync.dev", "graphconnections.edusync.dev"] {
        assert!(may("watch", resource).await, "{resource}");
        for verb in ["create", "update", "delete", "deletecollection"] {
            assert!(!may(verb, resource).await, "{verb} {resource}");
        }
    }
    for resource in ["configmaps", "pods", "customresourcedefinitions", "clusterroles", "leases"] {
        assert!(!may("create", resource).await, "{resource}");
    }
}
