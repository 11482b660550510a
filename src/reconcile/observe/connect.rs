//! The way from a profile to its connection: may it go there, and does the way exist? What is there is not
//! looked at here.

use std::sync::Arc;

use crate::api::{EducationSyncProfile, GraphConnection};
use crate::reconcile::Context;
use crate::reconcile::cluster::{Cluster, Key};
use crate::reconcile::observation::{ConnectionProblem, tenants_in};
use crate::upstream::Upstream;

/// The connection that a resource names, if it is there and allows the resource's namespace. **The one
/// way from a profile to a connection**: whoever is not allowed must not even learn that there is one.
pub fn connection_of<C: Cluster>(
    context: &Context<C>,
    resource: &EducationSyncProfile,
) -> Option<Arc<GraphConnection>> {
    let connection = context.cluster.connection(&Key::of_connection(resource))?;
    let namespace = resource.metadata.namespace.as_deref().unwrap_or_default();
    connection.allows(namespace).then_some(connection)
}

/// Does our finalizer hold the connection, as far as it can?
pub fn is_held<C: Cluster>(context: &Context<C>, resource: &EducationSyncProfile) -> bool {
    let Some(connection) = connection_of(context, resource) else { return true };
    // To one that is being deleted no finalizer can be added.
    connection.metadata.deletion_timestamp.is_some() || context.is_holding(&connection)
}

/// Is the connection being deleted?
pub fn is_going<C: Cluster>(context: &Context<C>, resource: &EducationSyncProfile) -> bool {
    connection_of(context, resource).is_some_and(|found| found.metadata.deletion_timestamp.is_some())
}

/// The way to the tenant.
pub async fn connect<C: Cluster>(
    context: &Context<C>,
    resource: &EducationSyncProfile,
) -> Result<Arc<Upstream>, ConnectionProblem> {
    let key = Key::of_connection(resource);
    let own = resource.metadata.namespace.as_deref().unwrap_or_default();
    match connection_of(context, resource) {
        Some(connection) if connection.metadata.deletion_timestamp.is_some() && needs_no_way(resource) => {
            Err(ConnectionProblem::NotFound(format!(
                "The GraphConnection {} is being deleted. Name another one in spec.connectionRef.",
                key.name
            )))
        }
        Some(connection) => {
            let is_going = connection.metadata.deletion_timestamp.is_some();
            let resolved = context.upstreams.resolve(&context.cluster.port, &connection).await;
            resolved.map_err(|problem| {
                if key.namespace == own { problem } else { problem.from_outside(&key, is_going) }
            })
        }
        None => Err(ConnectionProblem::NotFound(not_found(context, &key, own))),
    }
}

/// Of another namespace the sentence is the same whether there is no such connection or it does not
/// allow this one: nobody learns from it what is there.
fn not_found<C: Cluster>(context: &Context<C>, key: &Key, own: &str) -> String {
    let Key { namespace, name } = key;
    if !context.cluster.looks_into(namespace) {
        return format!(
            "This operator looks only into the namespaces that its administrator lists (edusync run --namespace), and {namespace}, which spec.connectionRef names, is not one of them. Name a connection of another namespace, or have that one listed."
        );
    }
    if namespace == own {
        return format!(
            "The namespace {namespace} has no GraphConnection named {name}. Create it, or name another one in spec.connectionRef."
        );
    }
    format!(
        "The namespace {namespace} has no GraphConnection named {name} that the namespace {own} may use. Name another one in spec.connectionRef, or have those who keep {namespace} create it or list {own} in its spec.allowedNamespaces."
    )
}

/// Is there nothing in Graph, and nothing that may be there, to which a way is needed?
fn needs_no_way(resource: &EducationSyncProfile) -> bool {
    resource.status.as_ref().is_none_or(|status| tenants_in(status).is_empty())
}
