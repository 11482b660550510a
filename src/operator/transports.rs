//! The transports of production, and which connections share one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::graph::transport::{HttpTransport, Transport};
use crate::upstream::Transports;

/// Authorities that are trusted besides the system's; PEM.
type ExtraCa = Option<Box<[u8]>>;

/// Transports over HTTP. Connections that trust the same authorities share one: each would hold a copy of the system's
/// authorities, 180 KB, and sockets of its own to the same host. Tokens go with each request and not with a socket.
#[derive(Default)]
pub(crate) struct HttpTransports {
    shared: Mutex<HashMap<ExtraCa, Weak<HttpTransport>>>,
}

/// A bundle may hold a private key as well, by mistake, and is not shown.
impl fmt::Debug for HttpTransports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransports").finish_non_exhaustive()
    }
}

impl Transports for HttpTransports {
    fn transport(&self, extra_ca: Option<&[u8]>) -> Result<Arc<dyn Transport>, String> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let key = extra_ca.map(Box::from);
        if let Some(known) = shared.get(&key).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let new = Arc::new(HttpTransport::new(extra_ca)?);
        shared.retain(|_, transport| transport.strong_count() > 0);
        shared.insert(key, Arc::downgrade(&new));
        Ok(new)
    }

    fn metadata_service(&self, endpoint: &str) -> Result<Arc<dyn Transport>, String> {
        Ok(Arc::new(HttpTransport::to_metadata_service(endpoint)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_trust_the_same_share_a_transport() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let transports = HttpTransports::default();
        let pem = rcgen::generate_simple_self_signed(["graph.example".to_owned()]).unwrap().cert.pem();
        let get = |extra_ca: Option<&[u8]>| transports.transport(extra_ca).unwrap();
        let (usual, own) = (get(None), get(Some(pem.as_bytes())));
        assert!(!format!("{transports:?}").contains("45, 45"), "dashes of a PEM, as bytes");
        assert!(Arc::ptr_eq(&usual, &get(None)));
        assert!(Arc::ptr_eq(&own, &get(Some(pem.as_bytes()))));
        assert!(!Arc::ptr_eq(&usual, &own));
        drop((usual, own));
        get(None);
        assert_eq!(transports.shared.lock().unwrap().len(), 1, "what nobody uses is forgotten");
    }
}
