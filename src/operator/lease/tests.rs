//! Who holds the lease, for how long, and what is written into it.

use super::*;

fn seen(holder: &str, since: Instant) -> Seen {
    Seen {
        holder: Some(holder.to_owned()),
        version: Some("1".to_owned()),
        duration: Duration::from_secs(15),
        since,
        acquired: None,
        transitions: 0,
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_runs_out_by_our_own_clock() {
    let start = Instant::now();
    assert_eq!(next_step(None, "me", start), Step::Create);
    assert_eq!(next_step(Some(&seen("me", start)), "me", start), Step::Renew);
    assert_eq!(next_step(Some(&seen("", start)), "me", start), Step::Take);
    let other = seen("other", start);
    assert_eq!(next_step(Some(&other), "me", start + Duration::from_millis(14_999)), Step::Respect);
    assert_eq!(next_step(Some(&other), "me", start + Duration::from_secs(15)), Step::Take);
}

/// `me`, who wants it.
fn elector(memory: &Arc<Memory>) -> Elector<Arc<Memory>> {
    let clock = Clock::starting_at(jiff::Timestamp::UNIX_EPOCH);
    let settings = LeaseSettings { identity: "me".to_owned(), ..settings(Duration::from_secs(15)) };
    Elector::new(Arc::clone(memory), settings, clock, Arc::default())
}

/// Its holder believes in it until it looks.
#[tokio::test(start_paused = true)]
async fn a_lease_that_is_deleted_is_respected_for_as_long_as_it_would_have_held() {
    let start = Instant::now();
    let gone = |holder: &str| Seen { version: None, ..seen(holder, start) };
    let step =
        |holder: &str, after: u64| next_step(Some(&gone(holder)), "me", start + Duration::from_millis(after));
    assert_eq!((step("other", 14_999), step("other", 15_000)), (Step::Respect, Step::Create));
    assert_eq!((step("me", 0), step("", 0)), (Step::Create, Step::Create));

    let memory = Arc::new(Memory::default());
    let mut elector = elector(&memory);
    let other = Lease {
        metadata: ObjectMeta { resource_version: Some("7".to_owned()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: Some("other".to_owned()),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        }),
    };
    *memory.lease.lock().unwrap() = Some(other);
    assert_eq!(elector.try_once().await, Ok(Some(false)));
    *memory.lease.lock().unwrap() = None;
    assert_eq!(elector.try_once().await, Ok(Some(false)));
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(elector.try_once().await, Ok(Some(true)));
    let made = memory.lease.lock().unwrap().clone().unwrap().spec.unwrap();
    assert_eq!((made.holder_identity.as_deref(), made.lease_transitions), (Some("me"), Some(1)));
}

/// Others compare it with their own clocks: by an old time they would take it for one that nobody holds.
#[tokio::test(start_paused = true)]
async fn the_time_in_a_lease_is_that_of_the_machine() {
    let memory = Arc::new(Memory::default());
    let mut elector = elector(&memory);
    elector.clock = elector.clock.with_wall(|| jiff::Timestamp::from_second(4_000_000_000).unwrap());
    elector.acquire().await;
    let spec = memory.lease.lock().unwrap().clone().unwrap().spec.unwrap();
    assert_eq!(spec.renew_time.unwrap().0.as_second(), 4_000_000_000);
}

/// A Lease in memory; some answers never come.
#[derive(Default)]
struct Memory {
    lease: Mutex<Option<Lease>>,
    lost: std::sync::atomic::AtomicU32,
}

impl LeasePort for Arc<Memory> {
    async fn get(&self) -> Result<Option<Lease>, ClusterError> {
        use std::sync::atomic::Ordering::SeqCst;
        if self.lost.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(self.lease.lock().unwrap().clone())
    }

    async fn create(&self, lease: &Lease) -> Result<Lease, ClusterError> {
        self.replace(lease).await
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, ClusterError> {
        let mut stored = self.lease.lock().unwrap();
        if stored.as_ref().is_some_and(|stored| stored.resource_version() != lease.resource_version()) {
            return Err(ClusterError::Conflict);
        }
        let mut new = lease.clone();
        let version = lease.metadata.resource_version.as_ref().map_or(0, |old| old.parse::<u32>().unwrap());
        new.metadata.resource_version = Some((version + 1).to_string());
        *stored = Some(new.clone());
        Ok(new)
    }
}

fn settings(duration: Duration) -> LeaseSettings {
    let text = || "edusync".to_owned();
    LeaseSettings { watches: Vec::new(), namespace: text(), name: text(), identity: text(), duration }
}

#[tokio::test(start_paused = true)]
async fn one_lost_answer_does_not_cost_the_lease_and_many_do() {
    let (memory, leadership) = (Arc::new(Memory::default()), Arc::new(Leadership::default()));
    let clock = Clock::starting_at(jiff::Timestamp::UNIX_EPOCH);
    let settings = settings(Duration::from_secs(15));
    let mut elector = Elector::new(Arc::clone(&memory), settings, clock, Arc::clone(&leadership));
    elector.acquire().await;
    memory.lost.store(1, std::sync::atomic::Ordering::SeqCst);
    let held = tokio::time::timeout(Duration::from_mins(1), elector.hold()).await;
    assert!(held.is_err() && leadership.may_write(), "it is held still");
    memory.lost.store(9, std::sync::atomic::Ordering::SeqCst);
    let held = tokio::time::timeout(Duration::from_mins(1), elector.hold()).await;
    assert!(held.is_ok() && !leadership.may_write(), "nobody knows whose it is");
}

/// Or the successor would wait until the lease has run out.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_was_broken_off_does_not_keep_the_lease_from_being_given_back() {
    let (memory, leadership) = (Arc::new(Memory::default()), Arc::new(Leadership::default()));
    let clock = Clock::starting_at(jiff::Timestamp::UNIX_EPOCH);
    let settings = settings(Duration::from_secs(15));
    let mut elector = Elector::new(Arc::clone(&memory), settings, clock, leadership);
    elector.acquire().await;
    let holder = || memory.lease.lock().unwrap().clone().unwrap().spec.unwrap().holder_identity.unwrap();
    assert_eq!(holder(), "edusync");
    // The server has renewed it, and nobody has heard the answer.
    let ours = memory.lease.lock().unwrap().clone().unwrap();
    memory.replace(&ours).await.unwrap();
    elector.release().await;
    assert_eq!(holder(), "");
}

#[tokio::test(start_paused = true)]
async fn the_leader_believes_for_a_shorter_time_than_others_respect() {
    let settings = settings(Duration::from_secs(15));
    assert!(settings.renew_deadline() + settings.retry_period() < settings.duration);
    let leadership = Leadership::default();
    assert!(!leadership.may_write());
    leadership.set(Some(Instant::now() + settings.renew_deadline()));
    assert!(leadership.may_write());
    tokio::time::advance(settings.renew_deadline()).await;
    assert!(!leadership.may_write());
}

/// The fields mean what they mean in the leases of Kubernetes' own programs.
#[tokio::test(start_paused = true)]
async fn a_lease_tells_since_when_it_is_held_and_how_often_it_changed_hands() {
    let memory = Arc::new(Memory::default());
    let clock = Clock::starting_at(jiff::Timestamp::UNIX_EPOCH);
    let elector = |identity: &str, watches: &[&str]| {
        let settings = LeaseSettings {
            identity: identity.to_owned(),
            watches: watches.iter().map(ToString::to_string).collect(),
            ..settings(Duration::from_millis(14_500))
        };
        Elector::new(Arc::clone(&memory), settings, clock, Arc::default())
    };
    let shown = || {
        let Lease { metadata, spec } = memory.lease.lock().unwrap().clone().unwrap();
        assert_eq!(
            (metadata.namespace.as_deref(), metadata.name.as_deref()),
            (Some("edusync"), Some("edusync"))
        );
        assert_eq!(metadata.labels.unwrap()[LABEL.0], LABEL.1);
        let spec = spec.unwrap();
        assert_eq!(spec.lease_duration_seconds, Some(15), "rounded up");
        let second = |time: Option<MicroTime>| time.unwrap().0.as_second();
        (
            spec.holder_identity.unwrap(),
            [second(spec.acquire_time), second(spec.renew_time)],
            spec.lease_transitions.unwrap(),
            metadata.annotations.map(|all| all[WATCHES].clone()),
        )
    };
    let mut first = elector("first", &[]);
    first.acquire().await;
    assert_eq!(shown(), ("first".to_owned(), [1, 1], 0, None));
    let _ = tokio::time::timeout(Duration::from_secs(5), first.hold()).await;
    let (_, [acquired, renewed], ..) = shown();
    assert!(acquired == 1 && renewed > 1, "it is held since it was taken: {acquired} {renewed}");
    first.release().await;
    let (holder, [acquired, _], transitions, _) = shown();
    assert_eq!((holder.as_str(), acquired, transitions), ("", 1, 0));
    elector("second", &["a", "b"]).acquire().await;
    let (holder, [acquired, renewed], transitions, watches) = shown();
    assert_eq!(
        (holder.as_str(), acquired, transitions, watches.as_deref()),
        ("second", renewed, 1, Some("a,b"))
    );
}
