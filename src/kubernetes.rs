//! The client for Kubernetes, and what may be repeated of an error on the way there.
//!
//! kube's errors hold what they are about: the text of a kubeconfig with its token, the address of a proxy with its
//! password, what a command for credentials has printed, an answer with a Secret in it. Such an error is told in
//! words of our own.

use std::error::Error;
use std::time::Duration;

use anyhow::anyhow;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::client::{AuthError, Body, ClientBuilder, DynBody};
use kube::config::KubeconfigError;
use kube::{Client, Config};
use secrecy::{ExposeSecret as _, SecretString};
use tower::util::BoxService;
use tower::{BoxError, Layer, Service};

/// So many characters in a row are enough to call it a quotation.
const QUOTATION: usize = 12;

/// On a connection on which nothing comes for so long nothing will. The API server ends each watch sooner (kube-runtime asks
/// for 290 s).
const SILENCE: Duration = Duration::from_secs(330);

/// Instead of what Kubernetes says when that quotes a secret: a webhook may repeat what it was shown.
pub const QUOTED: &str = "Kubernetes refused it, in words that quote the token and are not repeated here: look for a webhook or a policy that refuses this Secret";

/// A client that tries nothing twice: a retry in it would hide throttling and hold whoever waits.
///
/// # Errors
/// When a certificate, a command for credentials, or a proxy cannot be used.
pub fn client(config: Config) -> anyhow::Result<Client> {
    Client::try_from(careful(config)).map_err(|error| not_set_up(&error))
}

/// The same, whose requests go through `layer`.
///
/// # Errors
/// As [`client`].
pub fn client_through<L>(config: Config, layer: &L) -> anyhow::Result<Client>
where
    L: Layer<BoxService<http::Request<Body>, http::Response<Box<DynBody>>, BoxError>>,
    L::Service: Service<http::Request<Body>, Response = http::Response<Box<DynBody>>> + Send + 'static,
    <L::Service as Service<http::Request<Body>>>::Future: Send + 'static,
    <L::Service as Service<http::Request<Body>>>::Error: Into<BoxError>,
{
    let builder = ClientBuilder::try_from(careful(config)).map_err(|error| not_set_up(&error))?;
    Ok(builder.with_layer(layer).build())
}

fn not_set_up(error: &kube::Error) -> anyhow::Error {
    anyhow!("cannot set up the client for Kubernetes: {}", sentence(error))
}

/// Nothing is tried twice, and a proxy only for what is meant for it.
fn careful(mut config: Config) -> Config {
    config.default_retry = false;
    // Else the rest of a list would be waited for for ever on a connection that is dead.
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    let from_environment = variable("HTTPS_PROXY").and_then(|address| address.parse::<Uri>().ok());
    // kube looks whether NO_PROXY has the proxy, where it should look for the cluster.
    if config.proxy_url == from_environment
        && variable("NO_PROXY").is_some_and(|list| is_on(&list, &config.cluster_url))
    {
        config.proxy_url = None;
    }
    config
}

/// A variable of the environment, in the one case or the other.
fn variable(name: &str) -> Option<String> {
    let names = [name.to_owned(), name.to_lowercase()];
    names.into_iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// Is this address on a list as `NO_PROXY` has it?
fn is_on(list: &str, address: &Uri) -> bool {
    Matcher::builder().all("http://proxy.invalid").no(list).build().intercept(address).is_none()
}

/// What went wrong, in one sentence.
#[must_use]
pub fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(own) = in_own_words(error) {
            return own;
        }
        let text = error.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line
}

/// For errors that say too much, or say it twice.
fn in_own_words(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<kube::Error>() {
        return match error {
            kube::Error::Api(status) => Some(status.message.clone()),
            kube::Error::SerdeError(_) => Some("Kubernetes gave an answer that cannot be read".to_owned()),
            kube::Error::ProxyProtocolUnsupported { .. } | kube::Error::ProxyProtocolDisabled { .. } => Some(
                "the proxy's address (HTTPS_PROXY, or proxy-url of the kubeconfig) must begin with http:// or https://"
                    .to_owned(),
            ),
            _ => None,
        };
    }
    if let Some(KubeconfigError::Parse(error)) = error.downcast_ref() {
        let place =
            error.location().map(|place| format!(" (line {}, column {})", place.line(), place.column()));
        return Some(format!("the kubeconfig is no YAML, or no kubeconfig{}", place.unwrap_or_default()));
    }
    match error.downcast_ref()? {
        AuthError::AuthExecRun { out, .. } => {
            Some(format!("the command that the kubeconfig names for credentials failed ({})", out.status))
        }
        AuthError::AuthExecParse(_) => Some(
            "what the command printed that the kubeconfig names for credentials cannot be read".to_owned(),
        ),
        _ => None,
    }
}

/// Does a text quote a secret, or a part of it, in the clear or as the data of a Secret is written?
#[must_use]
pub fn quotes(text: &str, secret: &SecretString) -> bool {
    let secret = secret.expose_secret();
    [secret, &STANDARD.encode(secret)].iter().any(|form| {
        let bytes = form.as_bytes();
        bytes
            .windows(QUOTATION.min(bytes.len()).max(1))
            .any(|part| text.as_bytes().windows(part.len()).any(|window| window == part))
    })
}

#[cfg(test)]
mod tests {
    use kube::config::Kubeconfig;

    use super::*;

    #[test]
    fn a_kubeconfig_that_cannot_be_read_is_not_repeated() {
        for text in [
            "users:\n- user:\n    token: canary\n  other: [a\n",
            "users: canary\n",
            "users:\n- name: a\n  user: canary\n",
            "clusters: {a: canary}\n",
        ] {
            let said = sentence(&Kubeconfig::from_yaml(text).unwrap_err());
            assert!(said.starts_with("the kubeconfig is no YAML, or no kubeconfig (line "), "{said}");
        }
    }

    #[test]
    fn neither_is_an_answer_nor_the_password_of_a_proxy() {
        let error = serde_json::from_str::<Vec<u8>>("\"canary\"").unwrap_err();
        assert_eq!(
            sentence(&kube::Error::SerdeError(error)),
            "Kubernetes gave an answer that cannot be read"
        );
        let proxy_url = Box::new("ftp://me:canary@proxy.example".parse().unwrap());
        let said = sentence(&kube::Error::ProxyProtocolUnsupported { proxy_url });
        assert!(said.contains("HTTPS_PROXY") && !said.contains("canary"), "{said}");
    }

    #[test]
    fn no_proxy_is_about_the_cluster() {
        let cluster: Uri = "https://api.school.example:6443".parse().unwrap();
        for list in ["api.school.example", ".school.example", "a.example, school.example", "*"] {
            assert!(is_on(list, &cluster), "{list}");
        }
        for list in ["", "proxy.example", "127.0.0.1", "other.school.example"] {
            assert!(!is_on(list, &cluster), "{list}");
        }
        assert!(is_on("10.0.0.0/8", &"https://10.96.0.1".parse().unwrap()));
    }

    #[test]
    fn a_part_of_a_secret_is_a_quotation() {
        let secret = SecretString::from("0.AXoAj3k2l5n6m7p8q9r0s1t2u3");
        for text in
            ["{\"token\":\"0.AXoAj3k2l5n6m7p8q9r0s1t2u3\"}", "0.AXoAj3k2l5n6...", "MC5BWG9BajNrMmw1bjZt"]
        {
            assert!(quotes(text, &secret), "{text}");
        }
        assert!(!quotes("secrets \"edusync-refresh-tokens\" is forbidden: a refresh token", &secret));
        assert!(quotes("short", &"short".into()) && !quotes("shore", &"short".into()));
    }
}
