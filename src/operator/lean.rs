//! Objects as this process keeps them: without what is of use to the API server alone. Nothing is asked or decided here.

use kube::Resource;

/// The object without the record of who set which field: read as a tree it takes more memory than all the rest of a
/// profile. The server keeps its own where a write does not name it (Kubernetes docs, server-side apply, "managedFields").
pub(super) fn lean<K: Resource>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    object
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::GraphConnection;

    #[test]
    fn nothing_else_is_left_out() {
        let mut object = json!({
            "apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
            "metadata": {
                "name": "default", "namespace": "school", "uid": "u", "resourceVersion": "7", "generation": 2,
                "annotations": {"a": "b"}, "finalizers": ["f"],
                "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:tenantId": {}}}}],
            },
            "spec": {"tenantId": "6babcaad-604b-40ac-a9d7-9fd97c0b779f"}
        });
        let read: GraphConnection = serde_json::from_value(object.clone()).unwrap();
        let whole: Value = serde_json::to_value(&read).unwrap();
        assert!(whole["metadata"].get("managedFields").is_some());
        object["metadata"].as_object_mut().unwrap().remove("managedFields");
        let without: GraphConnection = serde_json::from_value(object).unwrap();
        assert_eq!(serde_json::to_value(lean(read)).unwrap(), serde_json::to_value(without).unwrap());
    }
}
