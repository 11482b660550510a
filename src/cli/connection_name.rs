//! How the command line names a connection. Pure.

use std::str::FromStr;

use crate::reconcile::cluster::Key;

/// A connection as the command line names it: `NAME`, or `NAMESPACE/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionName {
    /// Namespace. None: that of whoever uses it.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl ConnectionName {
    /// The connection, for somebody in this namespace.
    #[must_use]
    pub fn from(&self, namespace: &str) -> Key {
        let namespace = self.namespace.as_deref().unwrap_or(namespace).to_owned();
        Key { namespace, name: self.name.clone() }
    }
}

impl FromStr for ConnectionName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        if name.is_empty() || name.contains('/') || namespace == Some("") {
            return Err("a connection is named NAME, or NAMESPACE/NAME");
        }
        Ok(Self { namespace: namespace.map(str::to_owned), name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_named_with_or_without_its_namespace() {
        let key = |text: &str| text.parse::<ConnectionName>().map(|name| name.from("school"));
        let named = |namespace: &str, name: &str| Ok(Key { namespace: namespace.into(), name: name.into() });
        assert_eq!(key("default"), named("school", "default"));
        assert_eq!(key("district/default"), named("district", "default"));
        for wrong in ["", "/default", "district/", "a/b/c"] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
    }
}
