//! The way to Graph of one process: requests to the simulator in memory, and what can become of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edusync::graph::transport::{Transport, TransportError};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};

use crate::fates::{CHANGE, Fate, Fates, LIST, READ, TOKEN};
use crate::order::LISTS;
use crate::process::Process;
use crate::rules::Change;
use crate::way::Way;
use crate::world::World;

/// Path of the collection of profiles.
pub const COLLECTION: &str = "/beta/education/synchronizationProfiles";

/// So long after its deadline a request may still be carried out.
const LATE: Duration = Duration::from_mins(1);

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
            let way = self.way(&request);
            way.begin(*request.method() != Method::GET);
            let answer = tokio::time::timeout(deadline, self.exchange(&way, request, deadline)).await;
            let late = || Err(TransportError::NoAnswer("no answer within the deadline".to_owned()));
            let answer = answer.unwrap_or_else(|_| late());
            way.heard(|| match &answer {
                Ok(answer) => format!("{} {:?}", answer.status(), answer.body()),
                Err(error) => error.to_string(),
            });
            if let Some(answer) = answer.as_ref().ok().filter(|_| is_for_graph) {
                self.world.rules.answered(&self.world, &self.process, answer);
            }
            answer
        }
        .boxed()
    }
}

fn fates(request: &Request<Bytes>) -> &'static Fates {
    let path = request.uri().path();
    match *request.method() {
        Method::GET if path == COLLECTION => &LIST,
        Method::GET => &READ,
        _ if path.ends_with("/token") => &TOKEN,
        _ => &CHANGE,
    }
}

impl Line {
    fn way(&self, request: &Request<Bytes>) -> Way {
        let content = || {
            let attempt =
                request.headers().get("client-request-id").filter(|_| *request.method() != Method::GET);
            format!("{} {} {attempt:?} {:?}", request.method(), request.uri(), request.body())
        };
        let is_list = *request.method() == Method::GET && request.uri().path() == COLLECTION;
        let thing = || if is_list { LISTS.to_owned() } else { request.uri().to_string() };
        Way::new(&self.world, &self.process, fates(request).is_ordered.then(thing), content)
    }

    async fn exchange(&self, way: &Way, request: Request<Bytes>, deadline: Duration) -> Answer {
        let (world, process) = (&self.world, &self.process);
        process.living().await;
        world.rules.sent(world, process, &request);
        let fate = world.fate(fates(&request));
        let line = format!("{}: {} {}", process.identity, request.method(), request.uri().path());
        if fate != Fate::Well {
            way.scar(fate);
        }
        if fate != Fate::Well || fates(&request).is_ordered && request.uri().path() != COLLECTION {
            world.story.tell(format!("{line}: {fate:?}"));
        }
        if *request.method() == Method::POST
            && request.uri().path() == COLLECTION
            && let Some(time) = world.take_stray()
        {
            self.arrive(way, request, Some((time, time)));
            return std::future::pending().await;
        }
        match fate {
            Fate::DiesBefore => {
                process.die().await;
            }
            Fate::NotSent => {
                way.back().await;
                return Err(TransportError::NotConnected("no connection".to_owned()));
            }
            Fate::Refused => return Ok(self.status(way, 503, None).await),
            Fate::Throttled => return Ok(self.status(way, 429, Some(1 + world.choices.below(90))).await),
            Fate::Lag => {
                let seconds = 5 + world.choices.below(26);
                let fault = format!("list:lag,by={seconds}s,times=1").parse().unwrap();
                world.simulator.add_fault(fault, world.clock.now());
            }
            _ => {}
        }
        // Late: later than the caller waits, and earlier than the settle window ends.
        let times = match fate {
            Fate::Late => Some((deadline, deadline + LATE)),
            Fate::DiesWaiting => Some((Duration::ZERO, deadline + LATE)),
            _ => None,
        };
        let arrival = self.arrive(way, request, times);
        match fate {
            Fate::DiesWaiting => {
                process.die().await;
                std::future::pending().await
            }
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
                Ok(self.status(way, 504, None).await)
            }
            Fate::DiesAfter => {
                let _ = arrival.await;
                process.die().await;
                std::future::pending().await
            }
            _ => {
                let answer = arrival.await.map_err(|error| TransportError::NoAnswer(error.to_string()))?;
                if fate == Fate::Slow {
                    tokio::time::sleep(world.choices.between(1_000, 20_000)).await;
                } else {
                    way.back().await;
                }
                process.living().await;
                Ok(answer)
            }
        }
    }

    /// The request is on its way, whatever becomes of the caller meanwhile.
    fn arrive(
        &self,
        way: &Way,
        request: Request<Bytes>,
        late: Option<(Duration, Duration)>,
    ) -> tokio::task::JoinHandle<Response<Bytes>> {
        let (world, process, way) = (Arc::clone(&self.world), Arc::clone(&self.process), way.clone());
        tokio::spawn(async move {
            match late {
                Some((least, most)) => way.there_late(least, most).await,
                None => way.there().await,
            }
            let change = Change::of(&request);
            let answer = world.simulator.handle(request, world.clock.now());
            if let Some(change) = change {
                world.rules.carried_out(&world, &process, &change, &answer);
                way.carried_out(&answer);
            }
            answer
        })
    }

    /// An answer of something before Graph.
    async fn status(&self, way: &Way, status: u16, retry_after: Option<u64>) -> Response<Bytes> {
        way.back().await;
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
