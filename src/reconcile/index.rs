//! Which resources name a connection: for whoever would else look through all of them at every pass.
//!
//! The watch keeps it. It holds names alone: how the resources are by now, the store says.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::cluster::Key;

/// The resources that name each connection.
#[derive(Debug, Default)]
pub struct Index {
    users: Mutex<HashMap<Key, BTreeSet<Key>>>,
}

impl Index {
    /// A resource names this connection.
    pub fn add(&self, connection: Key, resource: Key) {
        self.lock().entry(connection).or_default().insert(resource);
    }

    /// A resource is gone, or names another connection.
    pub fn remove(&self, connection: &Key, resource: &Key) {
        let mut users = self.lock();
        if let Some(of_connection) = users.get_mut(connection) {
            of_connection.remove(resource);
            if of_connection.is_empty() {
                users.remove(connection);
            }
        }
    }

    /// The resources that name a connection, in order.
    pub fn users_of(&self, connection: &Key) -> Vec<Key> {
        self.lock().get(connection).into_iter().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, BTreeSet<Key>>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { namespace: "school".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn a_resource_is_found_under_the_connection_that_it_names() {
        let index = Index::default();
        for resource in ["b", "a", "b"] {
            index.add(key("default"), key(resource));
        }
        index.add(key("other"), key("c"));
        assert_eq!(index.users_of(&key("default")), [key("a"), key("b")], "each once, in order");
        index.remove(&key("default"), &key("b"));
        index.remove(&key("default"), &key("c"));
        assert_eq!(index.users_of(&key("default")), [key("a")]);
        assert_eq!(index.users_of(&key("other")), [key("c")], "it is there under another name alone");
        index.remove(&key("other"), &key("c"));
        assert_eq!(index.users_of(&key("other")), []);
        assert_eq!(index.lock().len(), 1, "nothing is kept of what nobody names");
    }
}
