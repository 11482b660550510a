//! The CRDs as they are printed into `crds/` and into the chart.
//!
//! What the derive macros cannot express is added here, and only here.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{EducationSyncProfile, GraphConnection};

/// Both CRDs, with the default of the status that tells kstatus that nobody has looked yet.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    let crds = [EducationSyncProfile::crd(), GraphConnection::crd()];
    crds.into_iter().map(with_flowing_descriptions).map(with_status_default).collect()
}

/// Doc comments are broken into lines for readers of the source; `kubectl explain` breaks lines itself.
fn with_flowing_descriptions(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let flowing = serde_json::to_value(&crd).ok().map(|mut value| {
        flow(&mut value);
        value
    });
    flowing.and_then(|value| serde_json::from_value(value).ok()).unwrap_or(crd)
}

fn flow(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => {
                        let paragraphs: Vec<_> =
                            text.split("\n\n").map(|part| part.replace('\n', " ")).collect();
                        *text = paragraphs.join("\n\n");
                    }
                    member => flow(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(flow),
        _ => {}
    }
}

/// A resource without a status would count as healthy in kstatus; `observedGeneration: -1` makes it
/// count as in progress everywhere. The server fills it in, so nothing is written.
fn with_status_default(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(status) = status_schema(&mut version.schema) {
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
            status.nullable = None;
        }
    }
    crd
}

fn status_schema(
    schema: &mut Option<
        k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceValidation,
    >,
) -> Option<&mut JSONSchemaProps> {
    schema.as_mut()?.open_api_v3_schema.as_mut()?.properties.as_mut()?.get_mut("status")
}

/// One CRD as YAML.
///
/// # Errors
/// When the CRD cannot be written as YAML, which would be a defect of this program.
pub fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(crd)
}
