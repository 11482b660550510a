//! Whatever happens to a create and to the lists around it: exactly one profile, and a resource that is Ready.
//!
//! One line a kind of trouble. Each is a test of its own, so that no more operators run at once than elsewhere.

use crate::scene::{Scene, condition, profile_id, quick, spec};

/// One kind of trouble.
struct Case {
    /// What goes wrong, as the simulator's faults are written.
    faults: &'static [&'static str],
    /// Flags over those of every test.
    flags: &'static [&'static str],
    /// Status of each POST, as the simulator answered it.
    posts: &'static [u16],
    /// What is told about the resource, in order; empty where that depends on who is quicker.
    events: &'static [&'static str],
}

const REPEATED: [&str; 4] = ["CreateUnresolved", "CreateRepeated", "Created", "Provisioned"];

/// Lets the trouble happen to one profile.
async fn happens(name: &str, case: Case) {
    let scene = Scene::without_operator(&name.replace('_', "-"), quick()).await;
    let mut scene = scene.with_flags(case.flags);
    for fault in case.faults {
        scene.simulator.fault(fault).unwrap();
    }
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    let profile = scene.until_ready_is("contoso", "True", "Provisioned").await;
    let there = scene.simulator.profiles();
    assert_eq!(there.len(), 1, "{there:#?}");
    assert_eq!(there[0]["id"], profile_id(&profile));
    let posts = scene.requests("POST");
    assert_eq!(posts.iter().map(|request| request.status).collect::<Vec<_>>(), case.posts);
    if let [throttled, again] = &posts[..]
        && throttled.status == 429
    {
        assert!(again.time.duration_since(throttled.time).as_millis() >= 1000, "Graph asked to wait");
    }
    assert!(scene.simulator.faults().iter().all(|fault| fault.struck > 0), "{:?}", scene.simulator.faults());
    assert!(condition(&profile, "Stalled").is_none());
    assert_eq!(profile.status.unwrap().creation, None, "the attempt is closed");
    if !case.events.is_empty() {
        scene.until_events_are("contoso", case.events).await;
    }
}

macro_rules! cases {
    ($($name:ident: $faults:expr, $posts:expr, $events:expr $(, flags $($flag:expr)+)?;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let case = Case { faults: &$faults, flags: &[$($($flag),+)?], posts: &$posts, events: &$events };
            happens(stringify!($name), case).await;
        }
    )*};
}

cases! {
    // Carried out, and the answer is lost or broken: the profile is found, and not created again.
    answered_504: ["create:504-after-commit"], [504], ["Recovered", "Provisioned"];
    answer_reset: ["create:reset-after-commit"], [201], ["Recovered", "Provisioned"];
    answer_cut_in_half: ["create:half"], [201], ["Recovered", "Provisioned"];
    answer_no_json: ["create:not-json"], [201], ["Recovered", "Provisioned"];

    // Not carried out: created again, after a long wait where nobody can know.
    request_reset: ["create:reset"], [504, 201], REPEATED;
    refused_502: ["create:502"], [502, 201], REPEATED;
    create_throttled: ["create:429,retry-after=1"], [429, 201], ["Throttled", "Created", "Provisioned"];

    // Lists that fail or lag behind, and a profile that cannot be read at first.
    list_fails: ["list:500,times=2"], [201], [];
    not_readable_yet: ["create:not-found,for=2s"], [201], ["Created", "Provisioned"];
    // The window is longer than the lists lag: so long a lost profile may hide.
    list_lags: ["list:lag,by=2s,times=always", "create:reset-after-commit"], [201],
        ["CreateUnresolved", "Recovered", "Provisioned"], flags "--settle-window" "3s";
}
