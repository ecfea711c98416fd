use etcd_transport::{FromSettings, TransportError, TransportSettings};

use crate::transport::HyperTransport;

/// Certificates require the feature `rustls`, and are read again for new connections when their files change. A keep-alive interval below 10 s is raised to 10 s.
impl FromSettings for HyperTransport {
    fn from_settings(settings: &TransportSettings) -> Result<Self, TransportError> {
        let mut builder = Self::builder();
        if let Some(timeout) = settings.connect_timeout {
            builder = builder.connect_timeout(timeout);
        }
        if let Some(interval) = settings.keepalive_interval {
            builder = builder.http2_ping_interval(Some(interval).filter(|it| !it.is_zero()));
        }
        if let Some(timeout) = settings.keepalive_timeout {
            builder = builder.http2_ping_timeout(timeout);
        }
        #[cfg(feature = "rustls")]
        {
            if let Some(path) = &settings.ca_file {
                builder = builder.root_certificates_file(path);
            }
            if let Some((certificate, key)) = settings.identity_files()? {
                builder = builder.identity_files(certificate, key);
            }
        }
        #[cfg(not(feature = "rustls"))]
        if settings.has_tls() {
            return Err(TransportError::rejected(
                "built without TLS: enable the feature hyper-rustls of etcd-http (or rustls of etcd-transport-hyper) for \
                 certificates",
            ));
        }
        builder.build()
    }
}
