//! An object that the API server keeps and the operator's types cannot read: it is left alone, and stops nobody else.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::scene::{Scene, quick, spec};

/// Writes a condition. The server's check of times takes any sign before the fraction of a second.
async fn write_condition(scene: &Scene, name: &str, time: &str) -> kube::Result<()> {
    let condition = json!({
        "type": "Ready", "status": "False", "reason": "Provisioning", "message": "", "lastTransitionTime": time
    });
    let status = json!({"status": {"conditions": [condition]}});
    // Read as plain JSON, since the type cannot read it.
    let request = kube::core::Request::new(scene.profiles().resource_url().to_owned());
    let request =
        request.patch_subresource("status", name, &PatchParams::default(), &Patch::Merge(status)).unwrap();
    scene.client.request::<Value>(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_stops_nobody_else() {
    let mut scene = Scene::without_operator("unreadable", quick()).await;
    for name in ["broken", "fine"] {
        scene.create(name, spec(name)).await;
    }
    write_condition(&scene, "broken", "2026-11-22T08:00:00x5Z").await.unwrap();
    scene.profiles().get("broken").await.expect_err("the type cannot read it");
    scene.start_operator();
    scene.until_ready_is("fine", "True", "Provisioned").await;
    let told = |scene: &Scene| {
        let log = scene.operator_log();
        log.lines()
            .any(|line| line.contains("cannot be read and is left alone") && line.contains("\"broken\""))
    };
    scene.eventually("the log names it", told).await;
    assert_eq!(scene.requests("POST").len(), 1);

    // While the operator runs, too; and what can be read again is taken up.
    write_condition(&scene, "fine", "2026-11-22T08:00:00x5Z").await.unwrap();
    scene.create("later", spec("later")).await;
    scene.until_ready_is("later", "True", "Provisioned").await;
    write_condition(&scene, "broken", "2026-11-22T08:00:00Z").await.unwrap();
    scene.until_ready_is("broken", "True", "Provisioned").await;
    assert_eq!(scene.simulator.profiles().len(), 3);
    assert!(!scene.operator_log().contains("panicked"));
}
