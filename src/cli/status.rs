//! `edusync status`: one screen for whoever is on call, made from the statuses of the resources alone.
//!
//! What needs attention is decided in [`look`], which is pure. Graph is not asked: when it is out of
//! reach, this is the command that still works.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;
use kube::api::ObjectMeta;
use serde::Serialize;

use super::access::ClusterFlags;
use super::output::{Form, Look, Paint, Table, add_line, count, plain, printable, show};
use super::{attention_if, block_on};
use crate::api::conditions::{READY, RECONCILING, Reason, STALLED, SYNCHRONIZED, WRITABLE};
use crate::api::connection::ConnectionPermissions;
use crate::api::status::SyncStatus;
use crate::api::{EducationSyncProfile, GraphConnection};
use crate::clock::Clock;
use crate::kubernetes::sentence;

/// Show how all profiles and connections stand, and what needs attention.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Look at all namespaces.
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Form of the output.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Form,
    #[command(flatten)]
    cluster: ClusterFlags,
}

const EXAMPLES: &str = "\
Examples:
  Is all well?
    edusync status -A
  For a script:
    edusync status --namespace school -o json

Microsoft Graph is not asked. Exit codes: 0 all is well; 2 something needs attention; 1 the resources cannot be read.";

/// So long something may be under way before it is worth a look.
const PATIENCE: Duration = Duration::from_hours(1);
/// So long a resource may wait for the operator's first look at it.
const UNSEEN: Duration = Duration::from_mins(5);

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Standing {
    /// As it should be.
    Well,
    /// On the way.
    InProgress,
    /// A person should look.
    NeedsAttention,
}

/// One resource on the screen.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    kind: &'static str,
    namespace: String,
    name: String,
    standing: Standing,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    synchronization: Option<&'static str>,
    /// How many profiles use the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    profiles: Option<i32>,
    /// What the connection's credentials may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<ConnectionPermissions>,
    ready: String,
    reason: String,
    /// What is wrong, and what to do.
    messages: Vec<String>,
}

impl Arguments {
    /// Shows it.
    ///
    /// # Errors
    /// When the resources cannot be read.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let lines = block_on(async {
            let kube = self.cluster.connect().await?;
            let now = Clock::of_this_machine().now();
            let connections = kube
                .list::<GraphConnection>(self.all_namespaces)
                .await
                .map_err(|error| anyhow!("cannot list GraphConnections: {}", sentence(&error)))?;
            let profiles = kube
                .list::<EducationSyncProfile>(self.all_namespaces)
                .await
                .map_err(|error| anyhow!("cannot list EducationSyncProfiles: {}", sentence(&error)))?;
            let connections = connections.iter().map(|connection| of_connection(connection, now));
            Ok(connections.chain(profiles.iter().map(|profile| of_profile(profile, now))).collect::<Vec<_>>())
        })?;
        show(self.output, &lines, || render(&lines, Paint::for_stdout()))?;
        Ok(attention_if(lines.iter().any(|line| line.standing == Standing::NeedsAttention)))
    }
}

fn of_connection(connection: &GraphConnection, now: Timestamp) -> Line {
    let status = connection.status.as_ref();
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    let seen = status.and_then(|status| status.observed_generation);
    let mut line = look("GraphConnection", &connection.metadata, seen, conditions, now);
    line.profiles = status.and_then(|status| status.profiles);
    line.permissions = status.and_then(|status| status.permissions);
    // A connection that failed and is tried again says so in Ready alone; profiles depend on it.
    if line.ready == "False" && line.standing == Standing::InProgress {
        line.standing = Standing::NeedsAttention;
        line.messages.extend(message(conditions, READY));
    }
    line
}

fn of_profile(profile: &EducationSyncProfile, now: Timestamp) -> Line {
    let status = profile.status.as_ref();
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    let seen = status.and_then(|status| status.observed_generation);
    let mut line = look("EducationSyncProfile", &profile.metadata, seen, conditions, now);
    line.state = status.and_then(|status| status.state).map(crate::api::status::ProfileState::as_str);
    let sync = status.and_then(|status| status.sync.as_ref());
    line.synchronization = sync.map(|sync| sync.status.as_str());
    let name = profile.name_any();
    let trouble = match sync.map(|sync| sync.status) {
        Some(SyncStatus::Error) => Some("the last synchronization failed"),
        Some(SyncStatus::Quarantined) => {
            Some("Microsoft has stopped the synchronization because of too many errors")
        }
        Some(SyncStatus::ValidationError) => {
            Some("the synchronization has stopped by itself, since the data looks wrong")
        }
        _ => None,
    };
    if let Some(trouble) = trouble {
        line.standing = Standing::NeedsAttention;
        line.messages
            .push(format!("{trouble}: edusync errors --namespace {} --profile {name}", line.namespace));
    }
    line
}

/// How a resource stands by its conditions.
fn look(
    kind: &'static str,
    meta: &ObjectMeta,
    seen: Option<i64>,
    conditions: &[Condition],
    now: Timestamp,
) -> Line {
    let find = |wanted: &str| conditions.iter().find(|condition| condition.type_ == wanted);
    let is_true = |wanted: &str| find(wanted).is_some_and(|condition| condition.status == "True");
    let ready = find(READY);
    let mut messages = Vec::new();
    let older_than = |time: Option<&Time>, than: Duration| {
        time.is_some_and(|time| time.0.saturating_add(than).is_ok_and(|end| end < now))
    };
    let generation = meta.generation.unwrap_or_default();
    let unseen = seen.unwrap_or(-1) < generation;
    let mut standing = if is_true(READY) && !unseen { Standing::Well } else { Standing::InProgress };
    let since = find(RECONCILING).or(ready).map(|condition| &condition.last_transition_time);
    if is_true(STALLED) {
        standing = Standing::NeedsAttention;
        messages.extend(message(conditions, STALLED));
    } else if unseen
        && older_than(meta.creation_timestamp.as_ref(), UNSEEN)
        && older_than(since.or(meta.creation_timestamp.as_ref()), UNSEEN)
    {
        standing = Standing::NeedsAttention;
        messages.push(
            "the operator has not looked at the newest version: does it run, and watch this namespace?"
                .to_owned(),
        );
    } else if standing == Standing::InProgress && older_than(since, PATIENCE) {
        standing = Standing::NeedsAttention;
        messages.push("this has been under way for more than an hour".to_owned());
        messages.extend(message(conditions, READY));
    }
    if older_than(meta.deletion_timestamp.as_ref(), PATIENCE) {
        standing = Standing::NeedsAttention;
        messages.push("this has been deleted for more than an hour, and is still there".to_owned());
    }
    // Whatever else is said only while it is true (Drifted, DuplicateProfile, ...) is said for a person.
    for condition in conditions {
        let is_known = [READY, RECONCILING, STALLED].contains(&condition.type_.as_str());
        // A synchronization that runs, or was paused on purpose, has not succeeded either.
        let on_purpose = [Reason::SyncRunning, Reason::SyncPaused].map(Reason::as_str);
        let is_bad = if condition.type_ == SYNCHRONIZED {
            condition.status == "False" && !on_purpose.contains(&condition.reason.as_str())
        } else if condition.type_ == WRITABLE {
            condition.status == "False"
        } else {
            condition.status == "True"
        };
        if !is_known && is_bad {
            standing = Standing::NeedsAttention;
            messages.push(format!("{}: {}", condition.type_, condition.message));
        }
    }
    Line {
        kind,
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        standing,
        state: None,
        synchronization: None,
        profiles: None,
        permissions: None,
        ready: ready.map_or_else(|| "Unknown".to_owned(), |condition| condition.status.clone()),
        reason: ready.map(|condition| condition.reason.clone()).unwrap_or_default(),
        messages,
    }
}

fn message(conditions: &[Condition], wanted: &str) -> Option<String> {
    let found = conditions.iter().find(|condition| condition.type_ == wanted)?;
    Some(format!("{}: {}", found.reason, found.message))
}

fn render(lines: &[Line], paint: Paint) -> String {
    let mut text = String::new();
    for (kind, headings) in [
        ("GraphConnection", &["CONNECTION", "NAMESPACE", "READY", "REASON", "PROFILES", "READ", "WRITE"][..]),
        ("EducationSyncProfile", &["PROFILE", "NAMESPACE", "READY", "REASON", "STATE", "SYNC"][..]),
    ] {
        let mut table = Table::new(headings);
        for line in lines.iter().filter(|line| line.kind == kind) {
            let look = match line.standing {
                Standing::Well => Look::Good,
                Standing::InProgress => Look::Doubtful,
                Standing::NeedsAttention => Look::Bad,
            };
            let mut cells = vec![
                plain(line.name.clone()),
                plain(line.namespace.clone()),
                (look, line.ready.clone()),
                (look, line.reason.clone()),
            ];
            if kind == "EducationSyncProfile" {
                cells.push(plain(line.state.unwrap_or_default()));
                cells.push(plain(line.synchronization.unwrap_or_default()));
            } else {
                let permissions = line.permissions.unwrap_or_default();
                cells.push(plain(line.profiles.map(|count| count.to_string()).unwrap_or_default()));
                cells.push(plain(permissions.read.as_str()));
                cells.push(plain(permissions.write.as_str()));
            }
            table.row(cells);
        }
        let table = table.render(paint);
        if !table.is_empty() {
            text.push_str(&table);
            text.push('\n');
        }
    }
    let troubled: Vec<&Line> =
        lines.iter().filter(|line| line.standing == Standing::NeedsAttention).collect();
    if lines.is_empty() {
        return "there are no connections and no profiles here\n".to_owned();
    }
    if troubled.is_empty() {
        let under_way = lines.iter().filter(|line| line.standing == Standing::InProgress).count();
        let more = if under_way == 0 { String::new() } else { format!(" ({under_way} under way)") };
        text.push_str(&paint.paint(Look::Good, &format!("nothing needs attention{more}")));
        text.push('\n');
        return text;
    }
    let heading = format!("{} to look at:", count(troubled.len(), "resource"));
    text.push_str(&paint.paint(Look::Bad, &heading));
    text.push('\n');
    for line in troubled {
        add_line(&mut text, &format!("  {} {}/{}", line.kind, line.namespace, line.name));
        for message in &line.messages {
            add_line(&mut text, &format!("    {}", printable(message)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2027-01-02T12:00:00Z";

    fn condition(kind: &str, status: &str, reason: &str, at: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": format!("{reason} it is."), "lastTransitionTime": at})
    }

    fn profile(name: &str, conditions: &[Value], sync: &str) -> Line {
        let profile: EducationSyncProfile = serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "school", "generation": 1, "creationTimestamp": "2027-01-02T08:00:00Z"},
            "spec": {"displayName": "C", "dataProvider": {"csv": {}}, "identitySynchronizationConfiguration": {}},
            "status": {"observedGeneration": if conditions.is_empty() { -1 } else { 1 }, "state": "provisioned",
                "sync": {"status": sync}, "conditions": conditions}
        }))
        .unwrap();
        of_profile(&profile, NOW.parse().unwrap())
    }

    const LATELY: &str = "2027-01-02T11:59:00Z";
    const LONG_AGO: &str = "2027-01-02T09:00:00Z";

    #[test]
    fn what_needs_attention_is_told_from_what_is_under_way() {
        let ready = condition("Ready", "True", "Provisioned", LONG_AGO);
        let waiting = |at| {
            vec![
                condition("Ready", "False", "Provisioning", at),
                condition("Reconciling", "True", "Provisioning", at),
            ]
        };
        assert_eq!(profile("a", std::slice::from_ref(&ready), "success").standing, Standing::Well);
        assert_eq!(profile("a", &waiting(LATELY), "success").standing, Standing::InProgress);
        assert_eq!(profile("a", &waiting(LONG_AGO), "success").standing, Standing::NeedsAttention);
        assert_eq!(
            profile("a", &[], "success").standing,
            Standing::NeedsAttention,
            "nobody has looked for hours"
        );
        assert_eq!(
            profile("a", std::slice::from_ref(&ready), "quarantined").standing,
            Standing::NeedsAttention
        );
        let stalled = [
            condition("Ready", "False", "AlreadyExists", LATELY),
            condition("Stalled", "True", "AlreadyExists", LATELY),
        ];
        assert_eq!(profile("a", &stalled, "success").messages, ["AlreadyExists: AlreadyExists it is."]);
        let drifted = [ready, condition("Drifted", "True", "Differs", LATELY)];
        assert_eq!(profile("a", &drifted, "success").messages, ["Drifted: Differs it is."]);
    }

    fn connection(conditions: &[Value], permissions: &Value) -> Line {
        let connection: GraphConnection = serde_json::from_value(json!({
            "metadata": {"name": "default", "namespace": "school", "generation": 1, "creationTimestamp": LONG_AGO},
            "spec": {"tenantId": "5d1e9d1f-7a11-4f53-9a53-b6f0c5b22c7a"},
            "status": {"observedGeneration": 1, "profiles": 12, "permissions": permissions, "conditions": conditions}
        }))
        .unwrap();
        of_connection(&connection, NOW.parse().unwrap())
    }

    #[test]
    fn a_connection_that_cannot_write_needs_attention_although_it_is_ready() {
        let ready = condition("Ready", "True", "Connected", LONG_AGO);
        let allowed = json!({"read": "Allowed", "write": "Allowed"});
        let writable = condition("Writable", "True", "ChangesPermitted", LONG_AGO);
        let well = connection(&[ready.clone(), writable], &allowed);
        assert_eq!((well.standing, well.messages.len()), (Standing::Well, 0));
        let refused = condition("Writable", "False", "CredentialsInvalid", LONG_AGO);
        let troubled =
            connection(&[ready.clone(), refused], &json!({"read": "Allowed", "write": "Unauthorized"}));
        assert_eq!(troubled.standing, Standing::NeedsAttention);
        assert_eq!(
            render(&[troubled], Paint::none()),
            "CONNECTION  NAMESPACE  READY  REASON     PROFILES  READ     WRITE\n\
             default     school     True   Connected  12        Allowed  Unauthorized\n\
             \n\
             1 resource to look at:\n\
             \x20 GraphConnection school/default\n\
             \x20   Writable: CredentialsInvalid it is.\n"
        );
        let expiring = condition("ExpiringSoon", "True", "ExpirationNear", LATELY);
        assert_eq!(connection(&[ready, expiring], &allowed).standing, Standing::NeedsAttention);
    }

    #[test]
    fn the_screen_ends_with_what_to_do() {
        let well = profile("well", &[condition("Ready", "True", "Provisioned", LONG_AGO)], "success");
        let failed = profile("failed", &[condition("Ready", "True", "Provisioned", LONG_AGO)], "error");
        assert_eq!(
            render(&[well, failed], Paint::none()),
            "PROFILE  NAMESPACE  READY  REASON       STATE        SYNC\n\
             well     school     True   Provisioned  provisioned  success\n\
             failed   school     True   Provisioned  provisioned  error\n\
             \n\
             1 resource to look at:\n\
             \x20 EducationSyncProfile school/failed\n\
             \x20   the last synchronization failed: edusync errors --namespace school --profile failed\n"
        );
        assert_eq!(render(&[], Paint::none()), "there are no connections and no profiles here\n");
    }
}
