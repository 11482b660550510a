//! Does a definition in the cluster have every field that this program knows? An older one drops what it does not
//! know, without a word: also what must survive a restart.

use kube::CustomResourceExt as _;
use serde_json::Value;

use super::{GROUP, VERSION};
use crate::api::{EducationSyncProfile, GraphConnection};

/// Where the API server tells the schemas of our version.
pub const SCHEMAS: &str = "/openapi/v3/apis/edusync.dev/v1alpha1";

/// Which fields of ours the served schemas lack, as paths; none for a resource that is not served at all.
#[must_use]
pub fn absent(resource: &str, served: &Value) -> Option<Vec<String>> {
    let crd = match resource {
        "educationsyncprofiles" => EducationSyncProfile::crd(),
        _ => GraphConnection::crd(),
    };
    let schemas = served.pointer("/components/schemas")?.as_object()?;
    let theirs = schemas.values().find(|schema| is_of_kind(schema, &crd.spec.names.kind))?;
    let version = crd.spec.versions.first()?;
    let ours = serde_json::to_value(version.schema.as_ref()?.open_api_v3_schema.as_ref()?).ok()?;
    let mut lacking = Vec::new();
    compare(&ours, theirs, "", &mut lacking);
    Some(lacking)
}

fn is_of_kind(schema: &Value, kind: &str) -> bool {
    let kinds = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
    kinds.is_some_and(|kinds| {
        kinds
            .iter()
            .any(|named| named["group"] == GROUP && named["version"] == VERSION && named["kind"] == kind)
    })
}

fn compare(ours: &Value, theirs: &Value, path: &str, lacking: &mut Vec<String>) {
    // Everything is kept below it.
    if theirs.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
        return;
    }
    for (name, member) in ours.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match theirs.get("properties").and_then(|members| members.get(name)) {
            Some(their) => compare(member, their, &path, lacking),
            None => lacking.push(path),
        }
    }
    for (form, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
        if let (Some(our), Some(their)) = (ours.get(form), theirs.get(form)) {
            compare(our, their, &format!("{path}{mark}"), lacking);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn served() -> Value {
        let crd = serde_json::to_value(GraphConnection::crd()).unwrap();
        let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        schema["x-kubernetes-group-version-kind"] =
            json!([{"group": GROUP, "version": VERSION, "kind": "GraphConnection"}]);
        json!({"components": {"schemas": {"dev.edusync.v1alpha1.GraphConnection": schema}}})
    }

    #[test]
    fn the_own_definition_lacks_nothing_and_an_older_one_says_what() {
        let mut served = served();
        assert_eq!(absent("graphconnections", &served), Some(Vec::new()));
        assert_eq!(absent("educationsyncprofiles", &served), None, "it is not served");
        let schema = &mut served["components"]["schemas"]["dev.edusync.v1alpha1.GraphConnection"];
        schema["properties"]["status"]["properties"].as_object_mut().unwrap().remove("conditions");
        let application = &mut schema["properties"]["spec"]["properties"]["application"]["properties"];
        application["clientSecretRef"]["properties"].as_object_mut().unwrap().remove("key");
        assert_eq!(
            absent("graphconnections", &served),
            Some(vec!["spec.application.clientSecretRef.key".to_owned(), "status.conditions".to_owned()])
        );
    }
}
