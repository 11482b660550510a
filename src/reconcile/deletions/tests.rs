//! Counting what is deleted, without a cluster.

use std::cell::RefCell;

use serde_json::json;

use super::*;

/// Resources, and their deletions.
#[derive(Default)]
struct Stage {
    resources: RefCell<HashMap<Key, Arc<EducationSyncProfile>>>,
    deletions: Deletions,
}

fn key(name: &str) -> Key {
    Key { namespace: "school".to_owned(), name: name.to_owned() }
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).unwrap()
}

impl Stage {
    /// Somebody deletes a resource; its profile goes with it by this policy.
    fn delete(&self, name: &str, policy: &str) {
        let resource: EducationSyncProfile = serde_json::from_value(json!({
            "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
            "metadata": {
                "namespace": "school", "name": name, "uid": name, "generation": 2,
                "finalizers": ["edusync.dev/profile"], "deletionTimestamp": "2026-11-22T00:00:00Z"
            },
            "spec": {
                "displayName": name, "dataProvider": {"csv": {}}, "identitySynchronizationConfiguration": {},
                "deletionPolicy": policy
            },
            "status": {"binding": {
                "profileId": name, "tenantId": "t", "endpoint": "https://graph.example", "uid": name,
                "displayName": name
            }}
        }))
        .unwrap();
        self.resources.borrow_mut().insert(key(name), Arc::new(resource));
        self.deletions.began(key(name));
    }

    /// What the pass of a resource counts.
    fn count(&self, name: &str, now: Timestamp) -> usize {
        let newest = |key: &Key| self.resources.borrow().get(key).cloned();
        let resource = newest(&key(name)).unwrap();
        self.deletions.count(&resource, newest, now)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut EducationSyncProfile)) {
        change(Arc::make_mut(self.resources.borrow_mut().get_mut(&key(name)).unwrap()));
    }
}

#[test]
fn the_first_pass_knows_of_all_whose_profiles_go() {
    let stage = Stage::default();
    for name in ["a", "b", "c"] {
        stage.delete(name, "Delete");
    }
    stage.delete("kept", "Retain");
    assert_eq!(stage.count("kept", at(0)), 0, "it takes nothing with it");
    assert_eq!(stage.count("a", at(0)), 3);
    stage.delete("d", "Delete");
    assert_eq!(stage.count("a", at(60)), 4, "those that last for long count as well");
    stage.change("a", |resource| resource.metadata.deletion_timestamp = None);
    assert_eq!(stage.count("a", at(60)), 0, "what is not deleted is nobody's danger");
}

#[test]
fn what_has_ended_counts_for_ten_minutes() {
    let stage = Stage::default();
    for name in ["a", "b", "c"] {
        stage.delete(name, "Delete");
    }
    assert_eq!(stage.count("a", at(0)), 3);
    stage.change("b", |resource| resource.status = None);
    assert_eq!(stage.count("b", at(1)), 0, "its profile is gone");
    stage.deletions.ended("b", at(5));
    stage.deletions.ended("c", at(2));
    stage.deletions.ended("never heard of", at(2));
    assert_eq!(stage.count("a", at(10)), 3);
    assert_eq!(stage.count("a", at(11)), 2, "b ended when its profile had gone");
    assert_eq!(stage.count("a", at(12)), 1);
}

#[test]
fn what_may_yet_turn_out_to_have_a_profile_counts_as_soon_as_it_has() {
    let stage = Stage::default();
    for name in ["a", "b", "c"] {
        stage.delete(name, "Delete");
    }
    let bound = stage.resources.borrow()[&key("b")].status.clone();
    let attempt = json!({"earlierCreations": [{
        "attempt": "1", "uid": "b", "endpoint": "https://graph.example", "tenantId": "t", "displayName": "b",
        "dataProvider": "csv", "identitySynchronizationConfiguration": "creation",
        "notAfter": "2026-11-22T00:00:30Z"
    }]});
    stage.change("b", |resource| resource.status = serde_json::from_value(attempt).unwrap());
    assert_eq!(stage.count("a", at(0)), 2, "nobody knows yet");
    stage.change("b", |resource| resource.status = bound);
    assert_eq!(stage.count("a", at(0)), 3, "its profile was found, and it had no pass since");
}

#[test]
fn a_resource_whose_policy_is_changed_counts_from_then_on() {
    let stage = Stage::default();
    stage.delete("a", "Delete");
    stage.delete("b", "Retain");
    assert_eq!(stage.count("a", at(0)), 1);
    stage.delete("b", "Delete");
    assert_eq!(stage.count("a", at(0)), 2, "the watch tells of it");
    stage.delete("c", "Retain");
    assert_eq!(stage.count("a", at(0)), 2);
    let spec = stage.resources.borrow()[&key("a")].spec.clone();
    stage.change("c", |resource| resource.spec = spec);
    assert_eq!(stage.count("c", at(0)), 3, "its own pass knows before the watch");
}
