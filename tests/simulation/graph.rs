//! The way to Graph of one process: requests to the simulator in memory, and what can become of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edusync::graph::transport::{Transport, TransportError};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};

use crate::fates::{CHANGE, Fate, Fates, LIST, READ};
use crate::process::Process;
use crate::rules::Change;
use crate::world::World;

/// Path of the collection of profiles.
pub const COLLECTION: &str = "/beta/education/synchronizationProfiles";

type Answer = Result<Response<Bytes>, TransportError>;

/// The way to Graph of one process.
#[derive(Debug)]
pub struct Line {
    pub world: Arc<World>,
    pub process: Arc<Process>,
}

impl Transport for Line {
    fn send(&self, request: Request<Bytes>, deadline: Duration) -> BoxFuture<'_, Answer> {
        async move {
            let is_for_graph = !request.uri().path().ends_with("/token");
            // As the real one: no call takes longer.
            match tokio::time::timeout(deadline, self.exchange(request, deadline)).await {
                Ok(answer) => {
                    if let Some(answer) = answer.as_ref().ok().filter(|_| is_for_graph) {
                        self.world.rules.answered(&self.world, &self.process, answer);
                    }
                    answer
                }
                Err(_) => Err(TransportError::NoAnswer("no answer within the deadline".to_owned())),
            }
        }
        .boxed()
    }
}

fn fates(request: &Request<Bytes>) -> &'static Fates {
    let path = request.uri().path();
    match *request.method() {
        Method::GET if path == COLLECTION => &LIST,
        Method::GET => &READ,
        _ if path.ends_with("/token") => &READ,
        _ => &CHANGE,
    }
}

impl Line {
    async fn exchange(&self, request: Request<Bytes>, deadline: Duration) -> Answer {
        let (world, process) = (&self.world, &self.process);
        process.living().await;
        world.rules.sent(world, process, &request);
        let fate = world.fate(fates(&request));
        let line = format!("{}: {} {}", process.identity, request.method(), request.uri().path());
        if fate != Fate::Well || *request.method() != Method::GET {
            world.story.tell(format!("{line}: {fate:?}"));
        }
        match fate {
            Fate::DiesBefore => {
                process.die().await;
            }
            Fate::NotSent => {
                tokio::time::sleep(world.way()).await;
                return Err(TransportError::NotConnected("no connection".to_owned()));
            }
            Fate::Refused => return Ok(self.status(503, None).await),
            Fate::Throttled => return Ok(self.status(429, Some(1 + world.choices.below(90))).await),
            Fate::Lag => {
                let seconds = 5 + world.choices.below(26);
                let fault = format!("list:lag,by={seconds}s,times=1").parse().unwrap();
                world.simulator.add_fault(fault, world.clock.now());
            }
            _ => {}
        }
        // Later than the caller waits, and earlier than the settle window ends.
        let late = || deadline + world.choices.between(100, 60_000);
        let delay = if fate == Fate::Late { late() } else { world.way() };
        let arrival = self.arrive(request, delay);
        match fate {
            Fate::Late => std::future::pending().await,
            Fate::AnswerLost => {
                let _ = arrival.await;
                // A reset comes at once, a lost packet never.
                if world.choices.percent(50) {
                    tokio::time::sleep(deadline).await;
                }
                process.living().await;
                Err(TransportError::NoAnswer("the connection was reset".to_owned()))
            }
            Fate::Timeout => {
                let _ = arrival.await;
                Ok(self.status(504, None).await)
            }
            Fate::DiesAfter => {
                let _ = arrival.await;
                process.die().await;
                std::future::pending().await
            }
            _ => {
                let answer = arrival.await.map_err(|error| TransportError::NoAnswer(error.to_string()))?;
                let back =
                    if fate == Fate::Slow { world.choices.between(1_000, 20_000) } else { world.way() };
                tokio::time::sleep(back).await;
                process.living().await;
                Ok(answer)
            }
        }
    }

    /// The request is on its way, whatever becomes of the caller meanwhile.
    fn arrive(&self, request: Request<Bytes>, delay: Duration) -> tokio::task::JoinHandle<Response<Bytes>> {
        let (world, process) = (Arc::clone(&self.world), Arc::clone(&self.process));
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let change = Change::of(&request);
            let answer = world.simulator.handle(request, world.clock.now());
            if let Some(change) = change {
                world.rules.carried_out(&world, &process, &change, &answer);
            }
            answer
        })
    }

    /// An answer of something before Graph.
    async fn status(&self, status: u16, retry_after: Option<u64>) -> Response<Bytes> {
        tokio::time::sleep(self.world.way()).await;
        self.process.living().await;
        let mut response = Response::builder().status(status);
        if let Some(seconds) = retry_after {
            response = response.header("Retry-After", seconds.to_string());
        }
        response
            .body(Bytes::from_static(b"{\"error\":{\"code\":\"serviceNotAvailable\",\"message\":\"\"}}"))
            .unwrap()
    }
}
