//! The ports to Kubernetes of one process: resources, the Lease, and stored refresh tokens.
//!
//! What the server does is in `kubernetes`; here is what can become of a call on its way.

use std::sync::Arc;
use std::time::Duration;

use edusync::api::connection::GraphConnectionStatus;
use edusync::api::status::EducationSyncProfileStatus;
use edusync::api::{EducationSyncProfile, GraphConnection};
use edusync::auth::refresh::{RefreshTokenStore, StoreError, StoredToken, TokenOwner};
use edusync::operator::lease::LeasePort;
use edusync::reconcile::cluster::{Cluster, ClusterError, Key, Notice, SecretValue};
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::coordination::v1::Lease;
use serde::Serialize;

use crate::fates::{CONNECTION, Fate, Fates, KEEP, LEASE, LOOK, SECRET, WRITE};
use crate::process::Process;
use crate::watches::name;
use crate::way::Way;
use crate::world::World;

/// So long a caller waits for Kubernetes.
const DEADLINE: Duration = Duration::from_secs(15);
/// So long after that a request may still arrive.
const LATE: Duration = Duration::from_secs(10);

/// Kubernetes, as one process reaches it.
#[derive(Clone, Debug)]
pub struct Port {
    pub world: Arc<World>,
    pub process: Arc<Process>,
}

impl Port {
    /// One call about a profile, with what it says.
    async fn ordered(
        &self,
        what: String,
        says: impl Serialize + Send,
        fates: &Fates,
        touch: impl FnOnce(&World) + Send,
        carry_out: impl FnOnce(&World) -> Result<EducationSyncProfile, ClusterError> + Send + 'static,
    ) -> Result<EducationSyncProfile, ClusterError> {
        let content = || format!("{what} {}", serde_json::to_string(&says).unwrap());
        let thing = what.rsplit(' ').next().unwrap_or_default().to_owned();
        let way = Way::new(&self.world, &self.process, fates.is_ordered.then_some(thing), content);
        way.begin(false);
        let answer = self.send(what, &way, fates, touch, carry_out).await;
        way.heard(|| format!("{:?}", answer.as_ref().map(|object| serde_json::to_string(object).unwrap())));
        answer
    }

    /// One call about anything else.
    async fn call<T: Send + 'static>(
        &self,
        what: impl Into<String>,
        fates: &Fates,
        carry_out: impl FnOnce(&World) -> Result<T, ClusterError> + Send + 'static,
    ) -> Result<T, ClusterError> {
        let way = Way::new(&self.world, &self.process, None, String::new);
        self.send(what.into(), &way, fates, |_| {}, carry_out).await
    }

    /// The caller waits in vain.
    async fn no_answer(&self) -> ClusterError {
        tokio::time::sleep(DEADLINE).await;
        self.process.living().await;
        ClusterError::Other("no answer in time".to_owned())
    }

    /// `carry_out` happens on the server, whatever becomes of the caller meanwhile.
    async fn send<T: Send + 'static>(
        &self,
        what: String,
        way: &Way,
        fates: &Fates,
        touch: impl FnOnce(&World) + Send,
        carry_out: impl FnOnce(&World) -> Result<T, ClusterError> + Send + 'static,
    ) -> Result<T, ClusterError> {
        let (world, process) = (&self.world, &self.process);
        process.living().await;
        if process.is_cut_off(world.clock.now()) {
            return Err(self.no_answer().await);
        }
        let fate = world.fate(fates);
        if fate != Fate::Well {
            way.scar(fate);
            world.story.tell(format!("{}: {what}: {fate:?}", process.identity));
        }
        match fate {
            Fate::DiesBefore => {
                process.die().await;
            }
            Fate::NotSent => {
                way.back().await;
                return Err(ClusterError::Other("no connection".to_owned()));
            }
            Fate::CutOff => {
                let until = world.clock.now() + world.choices.between(16_000, 40_000);
                process.cut_off(until);
                if let Some(order) = &world.order {
                    order.scar(&process.identity, "cut off", until.as_millisecond());
                }
                return Err(self.no_answer().await);
            }
            Fate::Touched => touch(world),
            _ => {}
        }
        let (server, there) = (Arc::clone(world), way.clone());
        let arrival = tokio::spawn(async move {
            match fate {
                Fate::Late => there.there_late(DEADLINE, DEADLINE + LATE).await,
                Fate::DiesWaiting => there.there_late(Duration::ZERO, LATE).await,
                _ => there.there().await,
            }
            carry_out(&server)
        });
        match fate {
            Fate::DiesWaiting => {
                process.die().await;
            }
            Fate::Late => {
                return Err(self.no_answer().await);
            }
            Fate::AnswerLost => {
                let _ = arrival.await;
                return Err(self.no_answer().await);
            }
            Fate::DiesAfter => {
                let _ = arrival.await;
                process.die().await;
                return Err(ClusterError::Other("dead".to_owned()));
            }
            _ => {}
        }
        let answer = arrival.await.unwrap_or_else(|error| Err(ClusterError::Other(error.to_string())));
        if fate == Fate::Slow {
            tokio::time::sleep(world.choices.between(1_000, 9_000)).await;
        } else {
            way.back().await;
        }
        process.living().await;
        answer
    }
}

/// Somebody else labels the resource.
fn label(world: &World, key: &Key) {
    let value = world.choices.below(1_000_000).to_string();
    world.server.edit::<EducationSyncProfile>(key, |profile| {
        profile.metadata.labels.get_or_insert_default().insert("touched".to_owned(), value);
    });
}

impl Cluster for Port {
    async fn fetch_profile(&self, key: &Key) -> Result<EducationSyncProfile, ClusterError> {
        let wanted = key.clone();
        self.ordered(
            format!("get {}", name(key)),
            (),
            &LOOK,
            |_| {},
            move |world| world.server.get(&wanted).ok_or(ClusterError::NotFound),
        )
        .await
    }

    async fn secret(&self, namespace: &str, name: &str, key: &str) -> Result<SecretValue, ClusterError> {
        let (namespace, secret, key) = (namespace.to_owned(), name.to_owned(), key.to_owned());
        self.call(format!("get secret {secret}"), &SECRET, move |world| {
            let (version, values) = world.server.secret(&namespace, &secret).ok_or(ClusterError::NotFound)?;
            let value = values.get(&key).ok_or(ClusterError::NotFound)?;
            Ok(SecretValue { value: value.as_str().into(), version: version.to_string() })
        })
        .await
    }

    async fn write_finalizers(
        &self,
        resource: &EducationSyncProfile,
        finalizers: Vec<String>,
    ) -> Result<EducationSyncProfile, ClusterError> {
        let (key, seen, process) = (Key::of(resource), resource.clone(), Arc::clone(&self.process));
        self.ordered(
            format!("finalizers of {}", name(&key)),
            (resource.metadata.resource_version.clone(), finalizers.clone()),
            &WRITE,
            |world| label(world, &key),
            move |world| {
                let written = world.server.write_finalizers(&seen, finalizers);
                world.rules.finalizers_written(world, &process, &seen, written.as_ref().ok());
                written
            },
        )
        .await
    }

    async fn write_connection_finalizers(
        &self,
        connection: &GraphConnection,
        finalizers: Vec<String>,
    ) -> Result<GraphConnection, ClusterError> {
        let seen = connection.clone();
        self.call("finalizers of the connection", &CONNECTION, move |world| {
            world.server.write_finalizers(&seen, finalizers)
        })
        .await
    }

    async fn write_status(
        &self,
        resource: &EducationSyncProfile,
        status: EducationSyncProfileStatus,
    ) -> Result<EducationSyncProfile, ClusterError> {
        let (key, process) = (Key::of(resource), Arc::clone(&self.process));
        let wanted = EducationSyncProfile { status: Some(status), ..resource.clone() };
        self.ordered(
            format!("status of {}", name(&key)),
            wanted.clone(),
            &WRITE,
            |world| label(world, &key),
            move |world| {
                let written = world.server.write_status(&wanted);
                if let Ok(written) = &written {
                    world.rules.status_written(world, &process, written);
                }
                written
            },
        )
        .await
    }

    async fn write_connection_status(
        &self,
        connection: &GraphConnection,
        status: GraphConnectionStatus,
    ) -> Result<GraphConnection, ClusterError> {
        let wanted = GraphConnection { status: Some(status), ..connection.clone() };
        self.call("status of the connection", &CONNECTION, move |world| {
            let written = world.server.write_status(&wanted);
            if let Ok(written) = &written {
                world.rules.connection_written(written);
            }
            written
        })
        .await
    }

    async fn publish(&self, resource: &EducationSyncProfile, notice: Notice) {
        // The ids of attempts are random, and a run is to be repeated word for word.
        let note = notice.note.split("client-request-id").next().unwrap_or_default().to_owned();
        let line = format!("event on {}: {} {note}", name(&Key::of(resource)), notice.reason);
        let told: Result<(), ClusterError> = self
            .call("publish an event", &KEEP, move |world| {
                world.rules.search("an event", &notice.note);
                world.story.tell(line);
                Ok(())
            })
            .await;
        // Events may be lost.
        let _ = told;
    }

    async fn publish_connection(&self, _connection: &GraphConnection, notice: Notice) {
        self.world.rules.search("an event", &notice.note);
    }
}

impl LeasePort for Port {
    async fn get(&self) -> Result<Option<Lease>, ClusterError> {
        self.call("get the lease", &LEASE, |world| Ok(world.server.lease())).await
    }

    async fn create(&self, lease: &Lease) -> Result<Lease, ClusterError> {
        self.replace(lease).await
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, ClusterError> {
        let lease = lease.clone();
        self.call("write the lease", &LEASE, move |world| world.server.write_lease(&lease)).await
    }
}

fn store_error(error: &ClusterError) -> StoreError {
    StoreError(error.to_string())
}

impl RefreshTokenStore for Port {
    fn read<'a>(
        &'a self,
        owner: &'a TokenOwner,
    ) -> BoxFuture<'a, Result<Option<(StoredToken, bool)>, StoreError>> {
        let wanted = owner.clone();
        let call = self.call("read the stored token", &KEEP, move |world| Ok(world.tokens.kept(&wanted)));
        call.map(|read| read.map_err(|error| store_error(&error))).boxed()
    }

    fn write<'a>(
        &'a self,
        owner: &'a TokenOwner,
        token: &'a StoredToken,
        held: bool,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let (owner, token) = (owner.clone(), token.clone());
        let call = self.call("store the token", &KEEP, move |world| {
            // Memory answers at once.
            world.tokens.write(&owner, &token, held).now_or_never();
            Ok(())
        });
        call.map(|written| written.map_err(|error| store_error(&error))).boxed()
    }

    fn release<'a>(&'a self, owner: &'a TokenOwner) -> BoxFuture<'a, Result<(), StoreError>> {
        let owner = owner.clone();
        let call = self.call("release the stored token", &KEEP, move |world| {
            world.tokens.release(&owner).now_or_never();
            Ok(())
        });
        call.map(|released| released.map_err(|error| store_error(&error))).boxed()
    }
}
