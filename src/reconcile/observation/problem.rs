//! Why a connection cannot be used, in words for who may hear them. What follows from it is not decided here.

use crate::api::conditions::Reason;
use crate::reconcile::cluster::Key;

/// Why a connection cannot be used. The sentence is for the person who must act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionProblem {
    /// There is no such connection.
    NotFound(String),
    /// A Secret, or a key of it, does not exist or cannot be read.
    CredentialsMissing(String),
    /// Kubernetes does not answer as it should about a Secret; it may in a moment.
    Unreadable(String),
    /// What a Secret holds cannot be used.
    CredentialsInvalid(String),
    /// A host is not on the operator's list.
    HostNotAllowed(String),
    /// The namespace is not on the operator's list.
    NamespaceNotAllowed(String),
}

impl ConnectionProblem {
    /// The same for a profile of another namespace: what the connection's Secrets are called, and what
    /// is wrong with them, is for those who keep it.
    #[must_use]
    pub fn from_outside(&self, connection: &Key, is_going: bool) -> Self {
        let sentence = Self::outside_sentence(connection, is_going);
        match self {
            Self::NotFound(_) => Self::NotFound(sentence),
            Self::CredentialsMissing(_) => Self::CredentialsMissing(sentence),
            Self::Unreadable(_) => Self::Unreadable(sentence),
            Self::CredentialsInvalid(_) => Self::CredentialsInvalid(sentence),
            Self::HostNotAllowed(_) => Self::HostNotAllowed(sentence),
            Self::NamespaceNotAllowed(_) => Self::NamespaceNotAllowed(sentence),
        }
    }

    /// All that a profile of another namespace hears of a connection that cannot be used.
    #[must_use]
    pub fn outside_sentence(connection: &Key, is_going: bool) -> String {
        let Key { namespace, name } = connection;
        let what = if is_going {
            "is being deleted and cannot be used any more. Name another one of the same tenant in spec.connectionRef."
        } else {
            "cannot be used at present. Its own status says why; whoever keeps it has to mend it."
        };
        format!("The GraphConnection {name} of the namespace {namespace} {what}")
    }

    /// The reason, and the sentence.
    #[must_use]
    pub fn told(&self) -> (Reason, &str) {
        match self {
            Self::NotFound(message) => (Reason::ConnectionNotFound, message),
            Self::CredentialsMissing(message) | Self::Unreadable(message) => {
                (Reason::CredentialsMissing, message)
            }
            Self::CredentialsInvalid(message) => (Reason::CredentialsInvalid, message),
            Self::HostNotAllowed(message) => (Reason::HostNotAllowed, message),
            Self::NamespaceNotAllowed(message) => (Reason::NamespaceNotAllowed, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_namespace_hears_neither_of_secrets_nor_of_what_is_wrong_with_them() {
        let connection = Key { namespace: "district".to_owned(), name: "default".to_owned() };
        let problem = ConnectionProblem::CredentialsMissing("the Secret canary has no key".to_owned());
        for is_going in [false, true] {
            let ConnectionProblem::CredentialsMissing(said) = problem.from_outside(&connection, is_going)
            else {
                panic!("the reason stays")
            };
            assert!(said.contains("default of the namespace district") && !said.contains("canary"), "{said}");
            assert_eq!(said.contains("is being deleted"), is_going, "{said}");
        }
    }
}
