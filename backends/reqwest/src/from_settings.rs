use etcd_transport::{FromSettings, TransportError, TransportSettings};

use crate::transport::ReqwestTransport;

/// Certificates require the feature `rustls` or `native-tls`.
impl FromSettings for ReqwestTransport {
    fn from_settings(settings: &TransportSettings) -> Result<Self, TransportError> {
        let TransportSettings {
            connect_timeout,
            keepalive_interval,
            keepalive_timeout,
            ..
        } = *settings;
        let tls = Tls::read(settings)?;
        Self::configured(move |mut client| {
            if let Some(timeout) = connect_timeout {
                client = client.connect_timeout(timeout);
            }
            if let Some(interval) = keepalive_interval.filter(|it| !it.is_zero()) {
                client = client.http2_keep_alive_interval(interval);
            }
            if let Some(timeout) = keepalive_timeout {
                client = client.http2_keep_alive_timeout(timeout);
            }
            tls.apply(client)
        })
    }
}

/// The certificates of the settings.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
struct Tls {
    authorities: Option<Vec<reqwest::Certificate>>,
    identity: Option<reqwest::Identity>,
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
impl Tls {
    fn read(settings: &TransportSettings) -> Result<Self, TransportError> {
        let authorities = settings.read_authorities()?.map(|pem| {
            let authorities =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(TransportError::rejected)?;
            if authorities.is_empty() {
                return Err(TransportError::rejected(
                    "the file of certificate authorities has no PEM section \"CERTIFICATE\"",
                ));
            }
            Ok(authorities)
        });
        let identity = settings.read_identity()?.map(|[certificate, key]| {
            crate::builder::identity_from_pems(certificate, key).map_err(TransportError::rejected)
        });
        Ok(Self {
            authorities: authorities.transpose()?,
            identity: identity.transpose()?,
        })
    }

    fn apply(&self, mut client: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        if let Some(authorities) = &self.authorities {
            client = client.tls_certs_only(authorities.clone());
        }
        if let Some(identity) = &self.identity {
            client = client.identity(identity.clone());
        }
        client
    }
}

/// There are none without TLS.
#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
struct Tls;

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
impl Tls {
    fn read(settings: &TransportSettings) -> Result<Self, TransportError> {
        if settings.has_tls() {
            return Err(TransportError::rejected(
                "built without TLS: enable the feature reqwest-rustls or reqwest-native-tls of etcd-http (or rustls or \
                 native-tls of etcd-transport-reqwest) for certificates",
            ));
        }
        Ok(Self)
    }

    fn apply(&self, client: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        client
    }
}
