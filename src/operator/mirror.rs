//! What the watches tell, in one store; and which objects deserve a pass for it.
//!
//! Several watches fill one store, each with what is in its namespace. So a watch that begins anew must
//! drop nothing but its own, and the store is whole when all have told everything. Nothing is asked of
//! Kubernetes here.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use kube::core::ObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};

use super::watch::Readable;
use crate::api::{CONFIRM_DELETION, CONFIRM_GONE, REQUESTED_AT};
use crate::reconcile::cluster::{Key, Scope};

/// Keeps a store, and tells which objects are new, different or gone, also when a watch had to begin anew.
///
/// A status write of our own is no news. One of somebody else's is: of a person, or of a process that is dead and whose
/// last write was still on its way.
#[derive(Debug)]
pub struct Mirror<K: Resource<DynamicType = ()> + Clone + 'static, T> {
    store: Writer<K>,
    /// The same. What an object was before stands there alone, since all that there is may be tens of thousands.
    stored: Store<K>,
    describe: fn(&K) -> T,
    /// Is what the operator says about it the same?
    says_the_same: fn(&K, &K) -> bool,
    /// Watches that are beginning anew, and what they have told since.
    incoming: BTreeMap<Scope, BTreeSet<Key>>,
    /// Watches that have never told everything.
    unread: BTreeSet<Scope>,
}

/// What a watch event means.
#[derive(Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// The object was described so before; how it is described now is told next.
    Moved(T),
    /// The object is new, or different in what matters.
    Changed(T),
    /// The object is the same, and somebody else has written its status.
    Rewritten(T),
    /// The object, of this uid, is gone.
    Gone(String, T),
}

impl<K: Resource<DynamicType = ()> + Clone + 'static, T: PartialEq> Mirror<K, T> {
    /// Nothing is known yet. `describe` says what is told of an object, `says_the_same` whether two versions have the
    /// same status.
    #[must_use]
    pub fn new(
        scopes: &[Scope],
        store: Writer<K>,
        describe: fn(&K) -> T,
        says_the_same: fn(&K, &K) -> bool,
    ) -> Self {
        let unread = scopes.iter().cloned().collect();
        Self { stored: store.as_reader(), store, describe, says_the_same, incoming: BTreeMap::new(), unread }
    }

    /// Takes an event of one of the watches into the store, and says what it means. `is_ours` knows the versions that
    /// this process has written.
    pub fn take(
        &mut self,
        scope: &Scope,
        event: Event<Readable<K>>,
        is_ours: impl Fn(&K) -> bool,
    ) -> Vec<Change<T>> {
        match event {
            Event::Init => {
                self.incoming.insert(scope.clone(), BTreeSet::new());
                Vec::new()
            }
            Event::InitApply(Ok(object)) => {
                self.incoming.entry(scope.clone()).or_default().insert(Key::of(&object));
                self.apply(object, is_ours)
            }
            Event::InitApply(Err(unread)) => {
                self.incoming.entry(scope.clone()).or_default().insert(Key::of_meta(&unread));
                self.remain(&unread)
            }
            Event::InitDone => self.done(scope),
            Event::Apply(Ok(object)) => self.apply(object, is_ours),
            Event::Apply(Err(unread)) => self.remain(&unread),
            Event::Delete(Ok(object)) => self.delete(&object),
            Event::Delete(Err(unread)) => {
                self.remove(&Key::of_meta(&unread), |uid| unread.uid.as_deref() == Some(uid))
            }
        }
    }

    /// An object that cannot be read stays what it was when it could be; unless it is another one by now.
    fn remain(&mut self, unread: &ObjectMeta) -> Vec<Change<T>> {
        self.remove(&Key::of_meta(unread), |uid| unread.uid.as_deref() != Some(uid))
    }

    /// What stands in the store under this name has gone, if its uid says so.
    fn remove(&mut self, key: &Key, is_it: impl Fn(&str) -> bool) -> Vec<Change<T>> {
        let Some(gone) = self.before(key).filter(|before| is_it(&uid(&**before))) else { return Vec::new() };
        vec![self.take_out(&gone)]
    }

    fn take_out(&mut self, gone: &K) -> Change<T> {
        self.store.apply_watcher_event(&Event::Delete(gone.clone()));
        Change::Gone(uid(gone), (self.describe)(gone))
    }

    fn apply(&mut self, object: K, is_ours: impl Fn(&K) -> bool) -> Vec<Change<T>> {
        let what = (self.describe)(&object);
        let changes = match self.before(&Key::of(&object)) {
            None => vec![Change::Changed(what)],
            // Its deletion was not seen, but two objects cannot have one name.
            Some(before) if uid(&*before) != uid(&object) => {
                vec![Change::Gone(uid(&*before), (self.describe)(&before)), Change::Changed(what)]
            }
            Some(before) => match (self.describe)(&before) {
                earlier if earlier != what => vec![Change::Moved(earlier), Change::Changed(what)],
                _ if version(&*before) != version(&object) => vec![Change::Changed(what)],
                _ if (self.says_the_same)(&before, &object) || is_ours(&object) => Vec::new(),
                _ => vec![Change::Rewritten(what)],
            },
        };
        self.store.apply_watcher_event(&Event::Apply(object));
        changes
    }

    fn delete(&mut self, object: &K) -> Vec<Change<T>> {
        match self.before(&Key::of(object)) {
            // That it is gone was told when its successor came.
            Some(before) if uid(&*before) != uid(object) => Vec::new(),
            before => vec![self.take_out(before.as_deref().unwrap_or(object))],
        }
    }

    fn before(&self, key: &Key) -> Option<Arc<K>> {
        self.stored.get(&ObjectRef::new(&key.name).within(&key.namespace))
    }

    /// A watch has told everything: what it did not tell went meanwhile.
    fn done(&mut self, scope: &Scope) -> Vec<Change<T>> {
        let told = self.incoming.remove(scope).unwrap_or_default();
        let stored = self.stored.state().into_iter().map(|object| (Key::of(&*object), object));
        let missing = |key: &Key| scope.covers(&key.namespace) && !told.contains(key);
        // In a fixed order, so that nothing depends on how a store is laid out.
        let gone: BTreeMap<Key, Arc<K>> = stored.filter(|(key, _)| missing(key)).collect();
        let changes = gone.into_values().map(|gone| self.take_out(&gone)).collect();
        if self.unread.remove(scope) && self.unread.is_empty() {
            self.show_whole();
        }
        changes
    }

    /// Whoever waits for the store may go on. It becomes ready only by a list of everything.
    fn show_whole(&mut self) {
        let stored = self.stored.state();
        self.store.apply_watcher_event(&Event::Init);
        for object in stored {
            self.store.apply_watcher_event(&Event::InitApply((*object).clone()));
        }
        self.store.apply_watcher_event(&Event::InitDone);
    }
}

fn uid<K: Resource>(object: &K) -> String {
    object.uid().unwrap_or_default()
}

/// Differs when something that matters differs: generation, finalizers, deletion, a request or a confirmation.
fn version<K: Resource>(object: &K) -> u64 {
    let meta = object.meta();
    let mut hasher = DefaultHasher::new();
    meta.generation.hash(&mut hasher);
    meta.finalizers.hash(&mut hasher);
    meta.deletion_timestamp.as_ref().map(|time| time.0).hash(&mut hasher);
    for asked in [REQUESTED_AT, CONFIRM_GONE, CONFIRM_DELETION] {
        object.annotations().get(asked).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use kube::runtime::reflector::{self, Store};
    use serde_json::{Value, json};

    use super::super::watch::each;
    use super::*;
    use crate::api::GraphConnection;

    struct Stage {
        mirror: Mirror<GraphConnection, String>,
        stored: Store<GraphConnection>,
    }

    /// The watches of these namespaces; of none: one of all.
    fn watching(namespaces: &[&str]) -> Stage {
        let scopes = Scope::of(&namespaces.iter().map(ToString::to_string).collect());
        let (stored, writer) = reflector::store();
        Stage { mirror: Mirror::new(&scopes, writer, uid, says_the_same), stored }
    }

    /// An annotation stands for the status.
    fn says_the_same(one: &GraphConnection, other: &GraphConnection) -> bool {
        one.annotations().get("status") == other.annotations().get("status")
    }

    fn is_ours(object: &GraphConnection) -> bool {
        object.annotations().get("status").is_some_and(|status| status.starts_with("ours"))
    }

    fn connection(metadata: &Value) -> GraphConnection {
        serde_json::from_value(json!({
            "apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
            "metadata": metadata, "spec": {"tenantId": "6babcaad-604b-40ac-a9d7-9fd97c0b779f"}
        }))
        .unwrap()
    }

    /// An object of this uid, which is its name as well.
    fn object(namespace: &str, uid: &str, generation: i64) -> GraphConnection {
        connection(&json!({"namespace": namespace, "name": uid, "uid": uid, "generation": generation}))
    }

    impl Stage {
        fn tell(&mut self, scope: &Scope, event: Event<GraphConnection>) -> Vec<String> {
            let mut told: Vec<String> = self
                .mirror
                .take(scope, each(event, Ok), is_ours)
                .iter()
                .map(|change| format!("{change:?}"))
                .collect();
            told.sort_unstable();
            told
        }

        /// A watch tells everything anew.
        fn relist(&mut self, scope: &Scope, objects: Vec<GraphConnection>) -> Vec<String> {
            let mut told = self.tell(scope, Event::Init);
            for object in objects {
                told.extend(self.tell(scope, Event::InitApply(object)));
            }
            told.extend(self.tell(scope, Event::InitDone));
            told
        }

        fn stored(&self) -> Vec<String> {
            let mut uids: Vec<String> = self.stored.state().iter().map(|object| uid(&**object)).collect();
            uids.sort_unstable();
            uids
        }

        fn is_whole(&self) -> bool {
            self.stored.wait_until_ready().now_or_never().is_some()
        }
    }

    fn of(namespace: &str) -> Scope {
        Scope::Namespace(namespace.to_owned())
    }

    #[test]
    fn what_a_person_writes_is_news() {
        let mut stage = watching(&[]);
        let mut is_news = |mut metadata: Value| {
            metadata["name"] = metadata["uid"].clone();
            !stage.tell(&Scope::All, Event::Apply(connection(&metadata))).is_empty()
        };
        assert!(is_news(json!({"uid": "1", "generation": 1, "resourceVersion": "1"})));
        assert!(!is_news(json!({"uid": "1", "generation": 1, "resourceVersion": "2", "labels": {"a": "b"}})));
        assert!(is_news(json!({"uid": "1", "generation": 2})));
        for asked in [REQUESTED_AT, CONFIRM_GONE, CONFIRM_DELETION] {
            assert!(is_news(json!({"uid": "1", "generation": 2, "annotations": {asked: "now"}})), "{asked}");
        }
        assert!(is_news(json!({"uid": "1", "generation": 2, "deletionTimestamp": "2026-11-22T00:00:00Z"})));
        assert!(is_news(json!({"uid": "2", "generation": 2})));
    }

    #[test]
    fn a_status_that_somebody_else_writes_is_news() {
        let mut stage = watching(&[]);
        let mut told = |generation: u8, annotations: &Value| {
            let meta = json!({
                "namespace": "n", "name": "1", "uid": "1", "generation": generation, "annotations": annotations
            });
            stage.tell(&Scope::All, Event::Apply(connection(&meta))).join(" ")
        };
        assert_eq!(told(1, &json!({})), r#"Changed("1")"#, "it is new");
        assert_eq!(told(1, &json!({"status": "ours"})), "", "we write it");
        assert_eq!(told(1, &json!({"status": "ours, newer"})), "");
        assert_eq!(told(1, &json!({"status": "theirs"})), r#"Rewritten("1")"#);
        assert_eq!(told(1, &json!({"status": "theirs"})), "", "once");
        assert_eq!(told(1, &json!({})), r#"Rewritten("1")"#, "somebody has taken it away");
        assert_eq!(told(2, &json!({"status": "theirs"})), r#"Changed("1")"#, "and another spec");
    }

    #[test]
    fn what_is_described_in_another_way_is_told_by_both() {
        let (_, writer) = reflector::store();
        let name_of = |connection: &GraphConnection| connection.spec.tenant_id.clone();
        let mut mirror = Mirror::new(&[Scope::All], writer, name_of, says_the_same);
        let mut tell = |tenant: &str| {
            let mut object = object("n", "1", 1);
            tenant.clone_into(&mut object.spec.tenant_id);
            mirror.take(&Scope::All, Event::Apply(Ok(object)), is_ours)
        };
        let [a, b] = ["a", "b"].map(ToOwned::to_owned);
        assert_eq!(tell("a"), [Change::Changed(a.clone())]);
        assert_eq!(tell("a"), []);
        assert_eq!(tell("b"), [Change::Moved(a), Change::Changed(b)]);
    }

    #[test]
    fn a_watch_that_begins_anew_tells_what_changed_and_what_went() {
        let mut stage = watching(&[]);
        let before = ["same", "other", "gone"].map(|uid| object("n", uid, 1));
        stage.relist(&Scope::All, before.into());
        let after = vec![object("n", "same", 1), object("n", "other", 2), object("n", "new", 1)];
        let told = stage.relist(&Scope::All, after);
        assert_eq!(told, [r#"Changed("other")"#, r#"Changed("new")"#, r#"Gone("gone", "gone")"#]);
        assert_eq!(stage.stored(), ["new", "other", "same"]);
    }

    #[test]
    fn a_watch_that_begins_anew_drops_nothing_of_another_namespace() {
        let mut stage = watching(&["a", "b"]);
        stage.relist(&of("a"), vec![object("a", "a1", 1), object("a", "a2", 1)]);
        stage.relist(&of("b"), vec![object("b", "b1", 1)]);
        assert_eq!(stage.tell(&of("a"), Event::Init), [""; 0]);
        assert_eq!(stage.stored(), ["a1", "a2", "b1"], "what is there is shown meanwhile");
        stage.tell(&of("b"), Event::Apply(object("b", "b2", 1)));
        stage.tell(&of("a"), Event::InitApply(object("a", "a2", 1)));
        assert_eq!(stage.tell(&of("a"), Event::InitDone), [r#"Gone("a1", "a1")"#]);
        assert_eq!(stage.stored(), ["a2", "b1", "b2"]);
    }

    /// A relist, or an edit, by which an object of ours can be read no more.
    #[test]
    fn what_cannot_be_read_is_there_all_the_same() {
        let mut stage = watching(&[]);
        stage.relist(&Scope::All, vec![object("n", "1", 1), object("n", "2", 1)]);
        let unread = |name: &str, uid: &str| {
            let meta = json!({"namespace": "n", "name": name, "uid": uid});
            Err(Box::new(serde_json::from_value::<ObjectMeta>(meta).unwrap()))
        };
        let mut take = |event: Event<Readable<GraphConnection>>| {
            let changes = stage.mirror.take(&Scope::All, event, is_ours);
            changes.iter().map(|change| format!("{change:?}")).collect::<Vec<_>>().join(" ")
        };
        take(Event::Init);
        take(Event::InitApply(unread("1", "1")));
        assert_eq!(take(Event::InitDone), r#"Gone("2", "2")"#);
        assert_eq!(take(Event::Apply(unread("1", "1"))), "");
        assert_eq!(take(Event::Delete(unread("1", "1"))), r#"Gone("1", "1")"#, "now it has gone");
        assert_eq!(take(Event::Delete(unread("1", "1"))), "");
        take(Event::Apply(Ok(object("n", "3", 1))));
        assert_eq!(take(Event::Apply(unread("3", "4"))), r#"Gone("3", "3")"#, "it is another one");
        assert_eq!(stage.stored(), [""; 0]);
    }

    #[test]
    fn the_store_is_whole_when_all_watches_have_told_everything() {
        let mut stage = watching(&["a", "b"]);
        stage.relist(&of("a"), vec![object("a", "a1", 1), object("a", "a2", 1)]);
        assert!(!stage.is_whole());
        stage.tell(&of("a"), Event::Delete(object("a", "a1", 1)));
        stage.relist(&of("a"), vec![object("a", "a2", 1), object("a", "a3", 1)]);
        assert!(!stage.is_whole(), "one of them twice is not both");
        stage.relist(&of("b"), Vec::new());
        assert!(stage.is_whole());
        assert_eq!(stage.stored(), ["a2", "a3"]);
    }

    #[test]
    fn a_successor_of_the_same_name_is_another_object() {
        let mut stage = watching(&[]);
        let named = |uid: &str| connection(&json!({"namespace": "n", "name": "same", "uid": uid}));
        stage.tell(&Scope::All, Event::Apply(named("old")));
        let told = stage.mirror.take(&Scope::All, Event::Apply(Ok(named("new"))), is_ours);
        let gone = Change::Gone("old".to_owned(), "old".to_owned());
        assert_eq!(told, [gone, Change::Changed("new".to_owned())], "first gone, then there");
        assert_eq!(stage.tell(&Scope::All, Event::Delete(named("old"))), [""; 0], "it was told");
        assert_eq!(stage.stored(), ["new"]);
    }
}
