use etcd_transport::{FromSettings, TransportError, TransportSettings};
use isahc::config::Configurable;
#[cfg(feature = "rustls")]
use isahc::tls::{Identity, PrivateKey, TlsConfig, TrustStore};

use crate::transport::IsahcTransport;

/// Certificates require the feature `rustls`. libcurl sends no HTTP/2 pings: settings for these are refused. Its connections are
/// probed by TCP.
impl FromSettings for IsahcTransport {
    fn from_settings(settings: &TransportSettings) -> Result<Self, TransportError> {
        let interval = settings.keepalive_interval.filter(|it| !it.is_zero());
        if interval.is_some() || settings.keepalive_timeout.is_some() {
            return Err(TransportError::rejected(
                "isahc sends no HTTP/2 pings, and so has no keep-alive settings",
            ));
        }
        #[cfg(not(feature = "rustls"))]
        if settings.has_tls() {
            return Err(TransportError::rejected(
                "built without TLS: enable the feature isahc-rustls of etcd-http (or rustls of etcd-transport-isahc) for \
                 certificates",
            ));
        }
        // libcurl reads the files later, and its error does not name them.
        #[cfg(feature = "rustls")]
        {
            settings.read_authorities()?;
            settings.read_identity()?;
        }
        let settings = settings.clone();
        Self::configured(move |mut client| {
            if let Some(timeout) = settings.connect_timeout {
                client = client.connect_timeout(timeout);
            }
            #[cfg(feature = "rustls")]
            if settings.has_tls() {
                let mut tls = TlsConfig::builder();
                if let Some(path) = &settings.ca_file {
                    tls = tls.trust_store(TrustStore::from_file(path));
                }
                if let (Some(certificate), Some(key)) = (&settings.cert_file, &settings.key_file) {
                    let key = PrivateKey::from_pem_file(key, None);
                    tls = tls.identity(Identity::from_pem_file(certificate, Some(key)));
                }
                client = client.tls_config(tls.build());
            }
            client
        })
    }
}
