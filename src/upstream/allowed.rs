//! What a connection may do with credentials, as the operator's administrator says. Nothing is read or built here.

use super::UpstreamSettings;
use crate::api::GraphConnection;
use crate::reconcile::observation::ConnectionProblem;

/// # Errors
/// When the connection leads to a host that is not on the list, or uses the operator's own identity in a
/// namespace that is not on the list. Otherwise any user of a namespace could send them anywhere, or
/// act as the operator.
pub(super) fn check(
    settings: &UpstreamSettings,
    connection: &GraphConnection,
) -> Result<(), ConnectionProblem> {
    for address in [connection.spec.endpoint(), connection.spec.authority()] {
        check_host(settings, address)?;
    }
    check_identity(settings, connection)
}

fn check_host(settings: &UpstreamSettings, address: &str) -> Result<(), ConnectionProblem> {
    let host = address.trim_start_matches("https://");
    let name = host.split(':').next().unwrap_or_default();
    let allowed = |entry: &String| entry.eq_ignore_ascii_case(host) || entry.eq_ignore_ascii_case(name);
    if settings.allowed_hosts.iter().any(allowed) {
        return Ok(());
    }
    Err(ConnectionProblem::HostNotAllowed(format!(
        "The operator may not send credentials to {host}: its administrator has to allow the host (edusync run --allowed-host {name}; in the chart extraAllowedHosts)."
    )))
}

fn check_identity(
    settings: &UpstreamSettings,
    connection: &GraphConnection,
) -> Result<(), ConnectionProblem> {
    let Some(member) = connection.spec.application.as_ref().and_then(|application| {
        let workload = application.workload_identity.map(|_| "workloadIdentity");
        workload.or_else(|| application.managed_identity.map(|_| "managedIdentity"))
    }) else {
        return Ok(());
    };
    let namespace = connection.metadata.namespace.as_deref().unwrap_or_default();
    if settings.operator_identity.namespaces.iter().any(|allowed| allowed == namespace) {
        return Ok(());
    }
    Err(ConnectionProblem::NamespaceNotAllowed(format!(
        "application.{member} is the operator's own identity, which the namespace {namespace} may not use: its administrator has to allow the namespace (edusync run --operator-identity-namespace {namespace}; in the chart operatorIdentity.namespaces), or the connection needs a credential of its own."
    )))
}
