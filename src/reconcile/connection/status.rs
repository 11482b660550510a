//! What is known of a connection into its status and its events. Pure, the time included.
//!
//! A sentence stays the same while the situation does, or the status would be written for ever.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::health::Health;
use crate::api::conditions::{
    EXPIRING_SOON, RECONCILING, Reason, STALLED, Statement, WRITABLE, set_ready, set_while_true,
    whole_seconds,
};
use crate::api::connection::{Access, ConnectionCredentials, ConnectionPermissions, GraphConnectionStatus};
use crate::api::{GraphConnection, IN_USE_FINALIZER};
use crate::auth::refresh::StoreError;
use crate::graph::GraphError;
use crate::graph::access::Shown;
use crate::poller::View;
use crate::reconcile::cluster::{EventKind, Key, Notice};
use crate::reconcile::decide::refusal_words;
use crate::reconcile::observation::ConnectionFacts;
use crate::reconcile::report::{set_further, statement, warning};
use crate::upstream::Upstream;

/// A certificate is renewed in good time when this much of its life is left.
const CERTIFICATE_NEAR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// So many profiles are named that a connection stays for.
const MOST_NAMED: usize = 5;

/// Everything that is said.
#[derive(Debug)]
pub(super) struct Facts {
    /// How it stands. None: as was said before.
    pub(super) health: Option<Health>,
    /// The credentials in use. None: there are none that can be used.
    pub(super) credentials: Option<Credentials>,
    /// How many resources have a profile through it.
    pub(super) profiles: i32,
    /// The time.
    pub(super) now: Timestamp,
    /// The time by which Entra judges a certificate.
    pub(super) wall_now: Timestamp,
}

/// Credentials, and what their use has shown.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) facts: ConnectionFacts,
    pub(super) certificate_end: Option<Timestamp>,
    /// May they read? None: nothing has been shown by this process.
    pub(super) read: Option<Access>,
    /// What has been shown of writing.
    pub(super) write: Option<Shown>,
}

/// A status, and the events that it deserves.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: GraphConnectionStatus,
    pub(super) notices: Vec<Notice>,
}

impl Credentials {
    pub(super) fn in_use(upstream: &Upstream, view: &View) -> Self {
        Self {
            facts: upstream.facts.clone(),
            certificate_end: upstream.certificate_end,
            read: read_access(view),
            write: upstream.writes.write_access.shown(),
        }
    }

    /// Is it these that the status speaks of?
    pub(super) fn are_those_of(&self, status: &GraphConnectionStatus) -> bool {
        status.credentials.as_ref().is_some_and(|known| known.version == self.facts.fingerprint)
    }
}

/// What the newest list, or its failure, shows. Graph out of reach shows nothing.
fn read_access(view: &View) -> Option<Access> {
    match &view.failure {
        Some(GraphError::Refused { status: 403, .. }) => Some(Access::Forbidden),
        Some(GraphError::Refused { status: 401, .. }) => Some(Access::Unauthorized),
        Some(GraphError::NoToken(error)) if error.is_refusal() => Some(Access::Unauthorized),
        _ => view.snapshot.as_ref().map(|_| Access::Allowed),
    }
}

/// The status of a connection that is not being deleted.
pub(super) fn status(connection: &GraphConnection, facts: &Facts) -> Said {
    let mut status = connection.status.clone().unwrap_or_default();
    let mut notices = Vec::new();
    let generation = connection.metadata.generation.unwrap_or_default();
    if let Some(health) = &facts.health {
        notices.extend(set_health(&mut status, health, generation, facts.now));
    }
    status.profiles = Some(facts.profiles);
    if let Some(credentials) = &facts.credentials {
        notices.extend(set_credentials(&mut status, credentials, generation, facts.now));
    }
    let expiring = expiring(connection, &status, facts.wall_now);
    notices.extend(set_further(
        &mut status.conditions,
        EXPIRING_SOON,
        expiring.as_ref(),
        generation,
        facts.now,
    ));
    Said { status, notices }
}

/// The status of a connection whose stored refresh token cannot be taken back, and its namespace with it.
pub(super) fn held_back(connection: &GraphConnection, error: &StoreError, now: Timestamp) -> Said {
    let health = Health::Ailing(
        Reason::DeletionFailed,
        format!(
            "The connection cannot go before its stored refresh token is taken back, but {error}. edusync tries again by itself. If that does not help, take the finalizer {IN_USE_FINALIZER} off that Secret and off this connection by hand; then delete the Secret, unless another connection needs it."
        ),
    );
    going(connection, &health, now)
}

/// The status of a connection that is being deleted and stays for these profiles.
pub(super) fn in_use(connection: &GraphConnection, holders: &[Key], profiles: i32, now: Timestamp) -> Said {
    let named = holders.iter().take(MOST_NAMED).map(|holder| format!("{}/{}", holder.namespace, holder.name));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match holders.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let health = Health::Ailing(
        Reason::InUse,
        format!(
            "The connection is being deleted, and stays while EducationSyncProfiles need it: {named}{more}. It goes when they are deleted, or name another connection."
        ),
    );
    let mut said = going(connection, &health, now);
    said.status.profiles = Some(profiles);
    said
}

fn going(connection: &GraphConnection, health: &Health, now: Timestamp) -> Said {
    let mut status = connection.status.clone().unwrap_or_default();
    let generation = connection.metadata.generation.unwrap_or_default();
    let notices = set_health(&mut status, health, generation, now).into_iter().collect();
    Said { status, notices }
}

/// Sets Ready, Reconciling and Stalled. An event when the reason changes.
fn set_health(
    status: &mut GraphConnectionStatus,
    health: &Health,
    generation: i64,
    now: Timestamp,
) -> Option<Notice> {
    let (holds, beside, reason, message) = match health {
        Health::Well(remark) => {
            let message = remark.as_deref().unwrap_or("Graph answers with these credentials.");
            (true, None, Reason::Connected, message)
        }
        Health::Ailing(reason, message) => (false, Some(RECONCILING), *reason, message.as_str()),
        Health::Broken(reason, message) => (false, Some(STALLED), *reason, message.as_str()),
    };
    status.observed_generation = Some(generation);
    let ready = statement(holds, reason, message);
    let is_news = set_ready(&mut status.conditions, &ready, beside, generation, now);
    let kind = if holds { EventKind::Normal } else { EventKind::Warning };
    is_news.then(|| Notice {
        kind,
        reason: reason.as_str().to_owned(),
        action: "Connect",
        note: message.to_owned(),
    })
}

/// Sets what is known of the credentials. What was shown by others before them is forgotten.
fn set_credentials(
    status: &mut GraphConnectionStatus,
    credentials: &Credentials,
    generation: i64,
    now: Timestamp,
) -> Option<Notice> {
    if !credentials.are_those_of(status) {
        status.permissions = None;
        set_while_true(&mut status.conditions, WRITABLE, None, generation, now);
    }
    status.credentials = Some(ConnectionCredentials {
        version: credentials.facts.fingerprint.clone(),
        certificate_not_after: credentials.certificate_end.map(whole_seconds),
    });
    let mut permissions = status.permissions.unwrap_or_default();
    permissions.read = credentials.read.unwrap_or(permissions.read);
    let notice = set_writable(status, &mut permissions, credentials, generation, now);
    status.permissions = Some(permissions);
    notice
}

/// Sets whether changes are permitted. A Warning when they are not, or not for the reason of before.
fn set_writable(
    status: &mut GraphConnectionStatus,
    permissions: &mut ConnectionPermissions,
    credentials: &Credentials,
    generation: i64,
    now: Timestamp,
) -> Option<Notice> {
    let (access, writable) = match credentials.write.as_ref()? {
        // That ends what the token service said, and nothing that Graph said.
        Shown::Token if is_without_token(status) => (Access::Unknown, None),
        Shown::Token => return None,
        shown => shown_write(shown, &credentials.facts),
    };
    permissions.write = access;
    let before = find(status, WRITABLE).map(|before| before.reason.clone());
    set_while_true(&mut status.conditions, WRITABLE, writable.as_ref(), generation, now);
    let refused = writable.filter(|writable| !writable.holds)?;
    let is_news = before.as_deref() != Some(refused.reason.as_str());
    is_news.then(|| warning(refused.reason.as_str(), "Write", refused.message))
}

fn shown_write(shown: &Shown, facts: &ConnectionFacts) -> (Access, Option<Statement>) {
    match shown {
        Shown::Token => (Access::Unknown, None),
        Shown::Permitted => {
            let message = "Microsoft Graph lets these credentials create, change and delete profiles.";
            (Access::Allowed, Some(statement(true, Reason::ChangesPermitted, message)))
        }
        Shown::NoToken(error) => {
            let message = format!("Profiles cannot be changed: {error}. What to do: {}.", error.remedy());
            (Access::Unauthorized, Some(statement(false, Reason::CredentialsInvalid, &message)))
        }
        Shown::Refused { status, code } => {
            let (reason, words) = refusal_words(*status, code.as_deref(), facts, false);
            let access = if *status == 401 { Access::Unauthorized } else { Access::Forbidden };
            let message = format!("Profiles cannot be created, changed or deleted. {words}");
            (access, Some(statement(false, reason, &message)))
        }
    }
}

/// Is the end of the certificate near? One that is over is a matter of Ready.
fn expiring(
    connection: &GraphConnection,
    status: &GraphConnectionStatus,
    wall_now: Timestamp,
) -> Option<Statement> {
    let secret = &connection.spec.application.as_ref()?.certificate_ref.as_ref()?.name;
    let end = status.credentials.as_ref()?.certificate_not_after.as_ref()?.0;
    let is_near = wall_now < end && end.duration_since(wall_now) < CERTIFICATE_NEAR;
    is_near.then(|| {
        let message = format!(
            "The certificate in the Secret {secret} ends at {end}. Renew it before, upload the new one to the application in Entra, and then put it into the Secret."
        );
        statement(true, Reason::ExpirationNear, &message)
    })
}

/// Has the connection not been seen to be unable to write?
pub(super) fn is_writable(status: &GraphConnectionStatus) -> bool {
    find(status, WRITABLE).is_none_or(|writable| writable.status == "True")
}

/// Does the status say that the token service refuses the credential for changes?
pub(super) fn is_without_token(status: &GraphConnectionStatus) -> bool {
    find(status, WRITABLE).is_some_and(|writable| writable.reason == Reason::CredentialsInvalid.as_str())
}

fn find<'a>(status: &'a GraphConnectionStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}
