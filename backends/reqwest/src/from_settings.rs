#[cfg(any(feature = "rustls", feature = "native-tls"))]
use std::error::Error;

use etcd_transport::{FromSettings, TransportError, TransportSettings};
use reqwest::ClientBuilder;

use crate::{clients::Configured, transport::ReqwestTransport};

/// Certificates require the feature `rustls` or `native-tls`.
impl FromSettings for ReqwestTransport {
    fn from_settings(settings: &TransportSettings) -> Result<Self, TransportError> {
        let TransportSettings {
            connect_timeout,
            keepalive_interval,
            keepalive_timeout,
            ..
        } = *settings;
        let files = [&settings.ca_file, &settings.cert_file, &settings.key_file];
        let files: Vec<_> = files.into_iter().flatten().cloned().collect();
        let settings = settings.clone();
        Self::configured_from_files(files, move |mut client| {
            if let Some(timeout) = connect_timeout {
                client = client.connect_timeout(timeout);
            }
            if let Some(interval) = keepalive_interval {
                client =
                    client.http2_keep_alive_interval(Some(interval).filter(|it| !it.is_zero()));
            }
            if let Some(timeout) = keepalive_timeout {
                client = client.http2_keep_alive_timeout(timeout);
            }
            add_certificates(client, &settings)
        })
    }
}

/// Reads the certificates of the settings, and their key.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
fn add_certificates(mut client: ClientBuilder, settings: &TransportSettings) -> Configured {
    if let Some(pem) = settings.read_authorities().map_err(reason)? {
        let authorities = reqwest::Certificate::from_pem_bundle(&pem)?;
        if authorities.is_empty() {
            return Err(
                "the file of certificate authorities has no PEM section \"CERTIFICATE\"".into(),
            );
        }
        client = client.tls_certs_only(authorities);
    }
    if let Some([certificate, key]) = settings.read_identity().map_err(reason)? {
        client = client.identity(crate::builder::identity_from_pems(certificate, key)?);
    }
    Ok(client)
}

/// What the error of a file says: it becomes the reason of another error.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
fn reason(error: TransportError) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

/// There are none without TLS.
#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
fn add_certificates(client: ClientBuilder, settings: &TransportSettings) -> Configured {
    if settings.has_tls() {
        return Err(
            "built without TLS: enable the feature reqwest-rustls or reqwest-native-tls of etcd-http (or rustls or \
             native-tls of etcd-transport-reqwest) for certificates"
                .into(),
        );
    }
    Ok(client)
}
