//! The port to the world outside Kubernetes: an HTTP request goes out, a response comes back.
//!
//! Everything above is the same in production and in simulation tests; only this is exchanged.
//! Nothing here knows Graph, tokens or JSON.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;

/// No answer is longer than this; 10,000 profiles in one page are less than half of it. Read as JSON it may take several
/// times as much, and the chart lets the process have 256 MiB.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;
/// The same of an answer that is no success. What is longer is cut off, and its status counts all the same.
const LONGEST_REFUSAL: usize = 1024 * 1024;

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection came about: nothing was sent.
    #[error("{0}")]
    NotConnected(String),
    /// The request was, or may have been, sent, and no whole answer came back.
    #[error("{0}")]
    NoAnswer(String),
}

/// Sends requests.
pub trait Transport: Send + Sync + std::fmt::Debug + 'static {
    /// Sends one request, once, without following redirects, and reads the whole answer within `deadline`.
    fn send(
        &self,
        request: http::Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>>;
}

/// The transport of production.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    client: reqwest::Client,
    /// Nothing is sent to another origin than this.
    only: Option<String>,
}

impl HttpTransport {
    /// A transport that trusts the system's certificate authorities, and those in `extra_ca` (PEM) besides.
    ///
    /// # Errors
    /// A sentence, when `extra_ca` holds no certificate in PEM form, or TLS cannot be set up.
    pub fn new(extra_ca: Option<&[u8]>) -> Result<Self, String> {
        let mut builder = builder().https_only(true);
        if let Some(pem) = extra_ca {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(causes)?;
            // What is not PEM is an empty bundle to the reader, and every handshake would fail.
            if certificates.is_empty() {
                return Err("there is no certificate in PEM form (-----BEGIN CERTIFICATE-----)".to_owned());
            }
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self { client: builder.build().map_err(causes)?, only: None })
    }

    /// A transport to the node's metadata service, which speaks no TLS and is not behind a proxy, and to
    /// nothing else: the one place where plain HTTP is allowed.
    ///
    /// # Errors
    /// A sentence, when `endpoint` is no address.
    pub fn to_metadata_service(endpoint: &str) -> Result<Self, String> {
        let url = url::Url::parse(endpoint).map_err(|_| format!("{endpoint} is not a URL"))?;
        let client = builder().no_proxy().build().map_err(causes)?;
        Ok(Self { client, only: Some(url.origin().ascii_serialization()) })
    }

    /// A transport to a collector of traces, by HTTP or HTTPS as its address says, and to nothing else.
    ///
    /// # Errors
    /// A sentence, when `endpoint` is no address, or TLS cannot be set up.
    pub fn to_collector(endpoint: &str) -> Result<Self, String> {
        let url =
            url::Url::parse(endpoint).map_err(|_| "the address of the collector is not a URL".to_owned())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("the address of the collector must begin with http:// or https://".to_owned());
        }
        let client = builder().build().map_err(causes)?;
        Ok(Self { client, only: Some(url.origin().ascii_serialization()) })
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("edusync/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // In HTTP/2 the calls of all tenants would share one connection: where one hangs others would wait for a stream,
        // behind the gate and the lease; and where it breaks none would know what became of its change.
        .http1_only()
        .connect_timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(90))
}

impl Transport for HttpTransport {
    fn send(
        &self,
        request: http::Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            tokio::time::timeout(deadline, self.exchange(request))
                .await
                .unwrap_or_else(|_| Err(TransportError::NoAnswer("no answer within the deadline".to_owned())))
        })
    }
}

impl HttpTransport {
    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let request =
            reqwest::Request::try_from(request).map_err(|e| TransportError::NotConnected(causes(e)))?;
        if self.only.as_ref().is_some_and(|only| *only != request.url().origin().ascii_serialization()) {
            return Err(TransportError::NotConnected("nothing may be sent to this address".to_owned()));
        }
        let mut answer = self.client.execute(request).await.map_err(|e| {
            if e.is_connect() || e.is_builder() {
                TransportError::NotConnected(causes(e))
            } else {
                TransportError::NoAnswer(causes(e))
            }
        })?;
        let mut response = http::Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        std::mem::swap(response.headers_mut(), answer.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| TransportError::NoAnswer(causes(e)))? {
            if body.len() + chunk.len() > LONGEST_REFUSAL && !response.status().is_success() {
                break;
            }
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(TransportError::NoAnswer("the answer is longer than 16 MiB".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        *response.body_mut() = body.freeze();
        Ok(response)
    }
}

/// The whole chain of causes in one line, without the URL: a URL may carry a signature.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Answers one request in plain HTTP; its address.
    async fn plain_server() -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(length > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        });
        address
    }

    /// The first bytes that a client sends to a server that it expects to speak TLS.
    async fn client_hello() -> Vec<u8> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let transport = HttpTransport::new(None).unwrap();
        let (accepted, ()) = tokio::join!(listener.accept(), async {
            let call = tokio::time::timeout(Duration::from_secs(1), get(&transport, &url));
            assert!(!matches!(call.await, Ok(Ok(_))), "nobody answers");
        });
        let mut hello = vec![0; 4096];
        let length = accepted.unwrap().0.read(&mut hello).await.unwrap();
        hello.truncate(length);
        hello
    }

    /// Sends each request on to itself, which would answer it by another answer.
    async fn redirecting_server() -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for answer in ["307 Temporary Redirect\r\nlocation: /there", "200 OK"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                assert!(length > 0);
                let answer = format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    async fn get(transport: &HttpTransport, url: &str) -> Result<Bytes, TransportError> {
        let request = http::Request::get(url).body(Bytes::new()).unwrap();
        transport.send(request, Duration::from_secs(10)).await.map(http::Response::into_body)
    }

    #[tokio::test]
    async fn each_call_has_a_connection_of_its_own() {
        // An error would mean that another test was quicker.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let hello = client_hello().await;
        let offers = |protocol: &[u8]| hello.windows(protocol.len()).any(|bytes| bytes == protocol);
        assert_eq!(hello.first(), Some(&0x16), "the handshake of TLS: {hello:?}");
        assert!(!offers(b"\x02h2"), "no protocol in which calls share a connection: {hello:?}");
    }

    #[test]
    fn a_bundle_without_a_usable_certificate_is_told() {
        // An error would mean that another test was quicker.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let refused = |pem: &str| HttpTransport::new(Some(pem.as_bytes())).unwrap_err();
        assert!(refused("nonsense").contains("no certificate in PEM form"));
        let broken = "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n";
        assert!(!refused(broken).is_empty());
    }

    #[tokio::test]
    async fn plain_http_goes_to_the_metadata_service_alone() {
        // An error would mean that another test was quicker.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (service, other) = (plain_server().await, plain_server().await);
        let transport = HttpTransport::to_metadata_service(&service).unwrap();
        assert_eq!(get(&transport, &format!("{service}/metadata")).await.unwrap(), "ok");
        let refused = get(&transport, &format!("{other}/metadata")).await.unwrap_err();
        assert!(matches!(refused, TransportError::NotConnected(_)), "{refused}");
        let refused = get(&transport, "https://graph.microsoft.com/beta").await.unwrap_err();
        assert!(matches!(refused, TransportError::NotConnected(_)), "{refused}");
        let usual = HttpTransport::new(None).unwrap();
        assert!(get(&usual, &format!("{other}/beta")).await.is_err(), "nothing else speaks plain HTTP");
    }
    /// It would take the token, the body and the secrets in it wherever the answer says.
    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        // An error would mean that another test was quicker.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let service = redirecting_server().await;
        let transport = HttpTransport::to_metadata_service(&service).unwrap();
        let request = http::Request::post(format!("{service}/here")).body(Bytes::from("a secret")).unwrap();
        let answer = transport.send(request, Duration::from_secs(10)).await.unwrap();
        assert_eq!(answer.status(), 307);
    }
}
