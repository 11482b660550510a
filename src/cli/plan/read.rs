//! Files and standard input into what they ask for: resources of ours, or a body as Graph takes it. Pure.

use anyhow::{Context as _, anyhow, bail};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::api::EducationSyncProfile;
use crate::cli::connection_name::ConnectionName;
use crate::graph::RemoteProfile;
use crate::graph::wire::wanted;

/// What one document asks for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Namespace of the resource. None: the one in force.
    pub namespace: Option<String>,
    /// Name of the resource. None: a body for Graph.
    pub name: Option<String>,
    /// The connection. None: the one that the command line names.
    pub connection: Option<ConnectionName>,
    /// Name of the profile.
    pub display_name: String,
    /// What the profile is to be, without any secret.
    pub wanted: Value,
    /// The resource, if it is one.
    pub resource: Option<Box<EducationSyncProfile>>,
}

/// What a text asks for, and the kinds of documents in it that are none of our business.
///
/// # Errors
/// When a document cannot be read.
pub fn read(text: &str) -> anyhow::Result<(Vec<Wish>, Vec<String>)> {
    // A part of the text must not be in the message: there may be Secrets between the manifests.
    let options = serde_saphyr::options! { with_snippet: false };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple_with_options(text, options).context("this is neither YAML nor JSON")?;
    let (mut wishes, mut skipped) = (Vec::new(), Vec::new());
    for (number, document) in documents.into_iter().enumerate() {
        add(document, &mut wishes, &mut skipped)
            .with_context(|| format!("document {} cannot be read", number + 1))?;
    }
    Ok((wishes, skipped))
}

fn add(document: Value, wishes: &mut Vec<Wish>, skipped: &mut Vec<String>) -> anyhow::Result<()> {
    if document.is_null() {
        return Ok(());
    }
    match document.get("kind").and_then(Value::as_str) {
        Some("EducationSyncProfile") => wishes.push(of_resource(document)?),
        Some("List" | "EducationSyncProfileList") => {
            let items = document.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            for item in items {
                add(item, wishes, skipped)?;
            }
        }
        Some(kind) => skipped.push(kind.to_owned()),
        None => wishes.push(of_body(document)?),
    }
    Ok(())
}

fn of_resource(document: Value) -> anyhow::Result<Wish> {
    let resource: EducationSyncProfile = serde_json::from_value(document).map_err(|error| {
        anyhow!(
            "it is no EducationSyncProfile as this version knows it: {}",
            without_value(&error.to_string())
        )
    })?;
    let name = resource.metadata.name.clone().context("it has no metadata.name")?;
    Ok(Wish {
        namespace: resource.namespace(),
        name: Some(name),
        connection: Some(ConnectionName {
            namespace: resource.spec.connection_namespace().map(str::to_owned),
            name: resource.spec.connection_name().to_owned(),
        }),
        display_name: resource.spec.display_name.clone(),
        wanted: wanted(&resource.spec),
        resource: Some(Box::new(resource)),
    })
}

/// What is wrong, without the value that is wrong: somebody may have written a secret where a reference belongs.
fn without_value(error: &str) -> String {
    let quoted = [("string \"", "\", expected"), ("variant `", "`, expected")];
    let cut = quoted.into_iter().find_map(|(begin, end)| {
        let (before, rest) = error.split_once(begin)?;
        let (_, after) = rest.rsplit_once(end)?;
        let what = begin.split(' ').next().unwrap_or_default();
        Some(format!("{before}{what}, expected{after}"))
    });
    cut.unwrap_or_else(|| error.to_owned())
}

/// A body as one would POST it. Secrets in it are dropped here.
fn of_body(mut document: Value) -> anyhow::Result<Wish> {
    let display_name = document.get("displayName").and_then(Value::as_str).map(str::to_owned);
    let Some(display_name) = display_name.filter(|_| document.get("dataProvider").is_some()) else {
        bail!(
            "it is neither a resource (kind) nor a profile as Microsoft Graph takes it (displayName, dataProvider)"
        );
    };
    // What reads a profile also knows which members may be set, and which must never be shown.
    if let Some(members) = document.as_object_mut() {
        members.insert("id".to_owned(), json!("none"));
    }
    let read = RemoteProfile::read(&document).context("it is no profile")?;
    let wanted = serde_json::from_str(&read.configuration).context("it is no profile")?;
    Ok(Wish { namespace: None, name: None, connection: None, display_name, wanted, resource: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
apiVersion: v1
kind: Secret
metadata: { name: graph }
---
apiVersion: edusync.dev/v1alpha1
kind: EducationSyncProfile
metadata: { name: contoso, namespace: school }
spec:
  connectionRef: { name: other, namespace: district }
  displayName: Contoso
  dataProvider: { csv: {} }
  identitySynchronizationConfiguration: { creation: { userDomains: [ { appliesTo: student, name: school.example } ] } }
---
";

    #[test]
    fn several_documents_are_read_and_others_skipped() {
        let (wishes, skipped) = read(MANIFEST).unwrap();
        assert_eq!(skipped, ["Secret"]);
        assert_eq!(wishes.len(), 1);
        assert_eq!(wishes[0].namespace.as_deref(), Some("school"));
        assert_eq!(wishes[0].connection, Some("district/other".parse().unwrap()));
        assert_eq!(wishes[0].wanted["displayName"], "Contoso");
    }

    #[test]
    fn a_body_for_graph_is_read_without_its_secret() {
        let body = r##"{"displayName": "C", "state": "provisioned", "dataProvider": {"@odata.type": "#microsoft.graph.educationPowerSchoolDataProvider", "clientSecret": "canary"}}"##;
        let (wishes, _) = read(body).unwrap();
        assert!(!format!("{wishes:?}").contains("canary"));
        assert_eq!(wishes[0].wanted.get("state"), None);
        assert_eq!(wishes[0].display_name, "C");
    }

    #[test]
    fn what_cannot_be_read_is_said_by_its_number() {
        let error = read("kind: EducationSyncProfile\nmetadata: {name: a}\nspec: {}\n").unwrap_err();
        assert!(format!("{error:#}").contains("document 1 cannot be read"), "{error:#}");
        assert!(read("just a text").is_err());
        for wrong in [
            "dataProvider: canary",
            "deletionPolicy: \"a`, expected canary\"",
            "adopt: \"can\\\"ary, expected canary\"",
        ] {
            let manifest = format!("kind: EducationSyncProfile\nspec:\n  displayName: a\n  {wrong}\n");
            let said = format!("{:#}", read(&manifest).unwrap_err());
            assert!(said.contains(", expected") && !said.contains("ary"), "{said}");
        }
        let broken = "kind: Secret\nstringData:\n  token: canary\n  other: [canary\n";
        assert!(!format!("{:#}", read(broken).unwrap_err()).contains("canary"));
    }
}
