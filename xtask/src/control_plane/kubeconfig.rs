//! The text of a kubeconfig with one cluster and one token. Pure: where it is written is the caller's business.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// A kubeconfig that needs no other file. It is JSON, which is YAML too.
pub(super) fn text(url: &str, ca_pem: &str, user: &str, token: &str, namespace: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "edusync-test",
            "cluster": { "server": url, "certificate-authority-data": STANDARD.encode(ca_pem) },
        }],
        "users": [{ "name": user, "user": { "token": token } }],
        "contexts": [{
            "name": "edusync-test",
            "context": { "cluster": "edusync-test", "user": user, "namespace": namespace },
        }],
        "current-context": "edusync-test",
    });
    format!("{config:#}\n")
}
