//! A profile as Graph has it into the manifest that would describe it: the way back of `graph::wire`. Pure.
//!
//! What the service fills in beside what a manifest can say is left out; what a manifest needs and Graph
//! does not give away (client secrets) becomes a reference to a Secret that is to be filled.

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::api::profile::EducationSyncProfileSpec;
use crate::cli::output::{add_line, printable};
use crate::graph::RemoteProfile;
use crate::graph::profile::kind;
use crate::reconcile::cluster::Key;

/// Key of the Secret of a source.
pub const SECRET_KEY: &str = "clientSecret";

/// A manifest that takes a profile over.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    /// What the profile is.
    pub spec: EducationSyncProfileSpec,
    /// The Secret that has to be made by hand.
    #[serde(skip)]
    secret: Option<String>,
}

#[derive(Debug, Serialize)]
struct Metadata {
    name: String,
    namespace: String,
}

/// Where the manifest is to live.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Name of the resource.
    pub name: &'a str,
    /// Connection.
    pub connection: &'a Key,
}

/// The manifest for a profile.
///
/// # Errors
/// When the profile is of a kind that no manifest can describe.
pub fn manifest(profile: &RemoteProfile, place: Place<'_>) -> anyhow::Result<Manifest> {
    let read: Value =
        serde_json::from_str(&profile.configuration).context("its configuration is not JSON")?;
    let secret = format!("{}-source", place.name);
    let mut spec = Map::new();
    let Key { namespace, name } = place.connection;
    if namespace != place.namespace {
        spec.insert("connectionRef".to_owned(), json!({"name": name, "namespace": namespace}));
    } else if name != "default" {
        spec.insert("connectionRef".to_owned(), json!({"name": name}));
    }
    spec.insert("displayName".to_owned(), json!(profile.display_name.trim()));
    spec.insert("dataProvider".to_owned(), data_provider(read.get("dataProvider"), &secret)?);
    let identity = identity(read.get("identitySynchronizationConfiguration"))?;
    spec.insert("identitySynchronizationConfiguration".to_owned(), identity);
    let licenses = read.get("licensesToAssign").filter(|value| !is_unset(value));
    if let Some(licenses) = licenses {
        spec.insert("licensesToAssign".to_owned(), licenses.clone());
    }
    if let Some(Value::Bool(handled)) = read.get("handleSpecialCharacterConstraint") {
        spec.insert("handleSpecialCharacterConstraint".to_owned(), json!(handled));
    }
    // Graph documents a date, and its examples have times of day.
    let day = read.get("expirationDate").filter(|value| !is_unset(value)).and_then(Value::as_str);
    if let Some(day) = day.and_then(|text| text.get(..10)) {
        spec.insert("expirationDate".to_owned(), json!(day));
    }
    spec.insert("adopt".to_owned(), json!({"profileId": profile.id}));
    spec.insert("deletionPolicy".to_owned(), json!("Retain"));
    let spec: EducationSyncProfileSpec =
        serde_json::from_value(Value::Object(spec)).context("it has a value that no manifest can have")?;
    Ok(Manifest {
        api_version: "edusync.dev/v1alpha1",
        kind: "EducationSyncProfile",
        metadata: Metadata { name: place.name.to_owned(), namespace: place.namespace.to_owned() },
        secret: spec.data_provider.client_secret_ref().map(|reference| reference.name.clone()),
        spec,
    })
}

impl Manifest {
    /// The manifest as YAML, with what a person has to know.
    ///
    /// # Errors
    /// When it cannot be written, which would be a defect of this program.
    pub fn to_yaml(&self, profile: &RemoteProfile, tenant: &str) -> anyhow::Result<String> {
        let mut text = "---\n".to_owned();
        let name = printable(&profile.display_name);
        add_line(&mut text, &format!("# The profile \"{name}\" ({}) of the tenant {tenant}.", profile.id));
        add_line(
            &mut text,
            "# Applying it takes the profile over; deleting the resource leaves the profile there.",
        );
        if let Some(secret) = &self.secret {
            let Metadata { namespace, .. } = &self.metadata;
            add_line(
                &mut text,
                &format!(
                    "# TO DO: Graph does not give the client secret away. Make the Secret {secret} first:"
                ),
            );
            add_line(
                &mut text,
                &format!(
                    "#   kubectl -n {namespace} create secret generic {secret} --from-file={SECRET_KEY}=FILE"
                ),
            );
        }
        text.push_str(&serde_saphyr::to_string(self)?);
        Ok(text)
    }
}

fn data_provider(value: Option<&Value>, secret: &str) -> anyhow::Result<Value> {
    let reference = json!({"name": secret, "key": SECRET_KEY});
    let mut provider = Map::new();
    match kind(value).as_deref() {
        Some("csvdataprovider") => {
            take(&mut provider, value, &[]);
            return Ok(json!({"csv": provider}));
        }
        Some("onerosterapidataprovider") => {
            take(&mut provider, value, &["connectionUrl", "providerName", "schoolsIds", "termIds"]);
            let settings = value.and_then(|value| value.get("connectionSettings"));
            let mut kept = Map::new();
            let member = match kind(settings).as_deref() {
                Some(kind) if kind.contains("oauth1") => {
                    take(&mut kept, settings, &["clientId"]);
                    "oauth1"
                }
                Some(kind) if kind.contains("oauth2") => {
                    take(&mut kept, settings, &["clientId", "tokenUrl", "scope"]);
                    "oauth2ClientCredentials"
                }
                _ => bail!("its connectionSettings are of a kind that edusync does not know"),
            };
            kept.insert("clientSecretRef".to_owned(), reference);
            let settings = Map::from_iter([(member.to_owned(), Value::Object(kept))]);
            provider.insert("connectionSettings".to_owned(), Value::Object(settings));
            return Ok(json!({"oneRoster": provider}));
        }
        Some("powerschooldataprovider") => {}
        _ => bail!("its dataProvider is of a kind that edusync does not know"),
    }
    let members = ["connectionUrl", "clientId", "schoolsIds", "schoolYear", "allowTeachersInMultipleSchools"];
    take(&mut provider, value, &members);
    provider.insert("clientSecretRef".to_owned(), reference);
    Ok(json!({"powerSchool": provider}))
}

/// Takes these members over, and the customizations, as far as they are set.
fn take(into: &mut Map<String, Value>, from: Option<&Value>, members: &[&str]) {
    let Some(Value::Object(from)) = from else { return };
    for name in members {
        if let Some(value) = from.get(*name).filter(|value| !is_unset(value)) {
            into.insert((*name).to_owned(), value.clone());
        }
    }
    if let Some(customizations) = from.get("customizations").and_then(customizations) {
        into.insert("customizations".to_owned(), customizations);
    }
}

fn customizations(value: &Value) -> Option<Value> {
    let mut kept = Map::new();
    for (name, entry) in value.as_object()? {
        let Some(entry) = entry.as_object() else { continue };
        let has_properties = !matches!(name.as_str(), "studentEnrollment" | "teacherRoster");
        let members: Map<String, Value> = entry
            .iter()
            .filter(|(name, value)| match name.as_str() {
                "@odata.type" => false,
                // An empty list means none, and says so.
                "optionalPropertiesToSync" => has_properties && value.is_array(),
                _ => !is_unset(value),
            })
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !members.is_empty() {
            kept.insert(name.clone(), Value::Object(members));
        }
    }
    (!kept.is_empty()).then_some(Value::Object(kept))
}

fn identity(value: Option<&Value>) -> anyhow::Result<Value> {
    let member = |name: &str| value.and_then(|value| value.get(name)).map(without_nulls).unwrap_or_default();
    match kind(value).as_deref() {
        Some("identitycreationconfiguration") => {
            Ok(json!({"creation": {"userDomains": member("userDomains")}}))
        }
        Some("identitymatchingconfiguration") => {
            Ok(json!({"matching": {"matchingOptions": member("matchingOptions")}}))
        }
        _ => bail!("its identitySynchronizationConfiguration is of a kind that edusync does not know"),
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !is_unset(value));
            Value::Object(kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// Null, an empty list or text, or the time with which the service says that there is none.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty() || text.starts_with("0001-01-01"),
        _ => false,
    }
}

/// A name for a resource, made of a display name; none of `taken`.
#[must_use]
pub fn resource_name(display_name: &str, id: &str, taken: &dyn Fn(&str) -> bool) -> String {
    let slug = |text: &str| {
        let mut slug = String::new();
        for c in text.to_lowercase().chars().take(50) {
            if c.is_ascii_alphanumeric() {
                slug.push(c);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        slug.trim_end_matches('-').to_owned()
    };
    let name =
        Some(slug(display_name)).filter(|name| !name.is_empty()).unwrap_or_else(|| "profile".to_owned());
    if !taken(&name) {
        return name;
    }
    let id: String = slug(id).chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    let with_id = format!("{name}-{id}");
    if !taken(&with_id) {
        return with_id;
    }
    let mut numbered = (2_u64..).map(|number| format!("{with_id}-{number}"));
    numbered.find(|name| !taken(name)).unwrap_or(with_id)
}

#[cfg(test)]
mod tests;
