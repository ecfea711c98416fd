//! `https://` by rustls.

use std::{error::Error, fmt, fs, io, iter::successors, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use etcd_transport::{FileStamps, TransportError};
use rustls::{
    AlertDescription, ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio_rustls::TlsConnector;

use crate::{
    connect::{Alpn, Stream},
    encrypted::Encrypted,
};

/// What the builder was given.
#[derive(Clone, Default)]
pub(crate) struct TlsSettings {
    config: Option<ClientConfig>,
    /// PEM.
    roots: Option<Vec<u8>>,
    /// Certificates and key, in PEM.
    identity: Option<(Vec<u8>, Vec<u8>)>,
    /// Files with more of the former.
    roots_files: Vec<PathBuf>,
    identity_files: Option<(PathBuf, PathBuf)>,
}

/// The configurations for HTTP/1.1 and HTTP/2, which follow the files that they come from.
#[derive(Clone)]
pub(crate) struct Tls(Arc<Inner>);

struct Inner {
    settings: TlsSettings,
    current: ArcSwap<Current>,
}

/// What was read last.
struct Current {
    /// How the files were then.
    stamps: FileStamps,
    /// The configurations, or why there are none.
    connectors: Result<Connectors, Arc<Reason>>,
}

type Reason = dyn std::error::Error + Send + Sync;

#[derive(Clone)]
struct Connectors {
    http1: TlsConnector,
    http2: TlsConnector,
}

impl TlsSettings {
    pub(crate) fn add_roots(&mut self, pem: &[u8]) {
        let roots = self.roots.get_or_insert_default();
        roots.extend_from_slice(pem);
        // A file may lack the last line feed, and another follow.
        roots.push(b'\n');
    }

    pub(crate) fn set_identity(&mut self, certificates: &[u8], key: &[u8]) {
        self.identity = Some((certificates.to_vec(), key.to_vec()));
    }

    pub(crate) fn add_roots_file(&mut self, path: PathBuf) {
        self.roots_files.push(path);
    }

    pub(crate) fn set_identity_files(&mut self, certificates: PathBuf, key: PathBuf) {
        self.identity_files = Some((certificates, key));
    }

    pub(crate) fn set_config(&mut self, config: ClientConfig) {
        self.config = Some(config);
    }

    /// How its files are now.
    fn stamps(&self) -> FileStamps {
        let identity = self.identity_files.iter().flat_map(|(a, b)| [a, b]);
        FileStamps::of(self.roots_files.iter().chain(identity))
    }

    /// Reads the files, which are as `stamps` says.
    fn current(&self, stamps: FileStamps) -> Current {
        let connectors = self.config().map(|config| Connectors {
            http1: connector(config.clone(), b"http/1.1"),
            http2: connector(config, b"h2"),
        });
        Current {
            stamps,
            connectors: connectors.map_err(Arc::from),
        }
    }

    fn config(&self) -> Result<ClientConfig, Box<Reason>> {
        if let Some(config) = &self.config {
            return Ok(config.clone());
        }
        let mut given = self.roots.clone();
        for path in &self.roots_files {
            let pem = given.get_or_insert_default();
            pem.extend_from_slice(&read(path)?);
            pem.push(b'\n');
        }
        let identity = match &self.identity_files {
            Some((certificates, key)) => Some((read(certificates)?, read(key)?)),
            None => self.identity.clone(),
        };
        let mut roots = RootCertStore::empty();
        match given {
            Some(pem) => {
                for certificate in certificates(&pem, "the root certificates")? {
                    roots.add(certificate)?;
                }
            }
            None => {
                // Some of the system's may be of a kind that rustls does not read. Whether that matters is seen when a
                // server's certificate is verified.
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
        }
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        Ok(match identity {
            Some((chain, key)) => {
                let chain = certificates(&chain, "the client certificate")?;
                let key = PrivateKeyDer::from_pem_slice(&key)
                    .map_err(|error| format!("the key of the client certificate: {error}"))?;
                config.with_client_auth_cert(chain, key)?
            }
            None => config.with_no_client_auth(),
        })
    }
}

impl Tls {
    pub(crate) fn new(settings: TlsSettings) -> Self {
        let current = ArcSwap::from_pointee(settings.current(settings.stamps()));
        Self(Arc::new(Inner { settings, current }))
    }

    /// Returns why `https://` is not possible.
    pub(crate) fn check(&self) -> Result<(), TransportError> {
        self.connectors().map(drop)
    }

    /// Reads the files again if one has changed. What does not parse is not used, and tried again for the next connection.
    ///
    /// It blocks for as long as it takes to look at a few small files.
    fn follow_files(&self) {
        let Inner { settings, current } = &*self.0;
        let before = current.load();
        let Some(stamps) = before.stamps.changed() else {
            return;
        };
        let now = settings.current(stamps);
        if now.connectors.is_ok() || before.connectors.is_err() {
            current.store(Arc::new(now));
        }
    }

    pub(crate) async fn connect(
        &self,
        stream: Stream,
        host: &str,
        alpn: Alpn,
    ) -> Result<Stream, TransportError> {
        self.follow_files();
        let connectors = self.connectors()?;
        let connector = match alpn {
            Alpn::Http1 => &connectors.http1,
            Alpn::Http2 => &connectors.http2,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host)
            .map_err(TransportError::rejected)?
            .to_owned();
        match connector.connect(name, stream).await {
            Ok(stream) => {
                let agreed = stream.get_ref().1.alpn_protocol();
                if alpn == Alpn::Http2 && agreed != Some(b"h2") {
                    return Err(without_http2());
                }
                Ok(Stream::new(Encrypted::new(stream)))
            }
            Err(error) if alpn == Alpn::Http2 && is_without_common_protocol(&error) => {
                Err(without_http2())
            }
            Err(error) if is_untrusted(&error) => Err(TransportError::untrusted(error)),
            Err(error) => Err(TransportError::connect(error)),
        }
    }

    fn connectors(&self) -> Result<Connectors, TransportError> {
        let current = self.0.current.load();
        let refused = |reason: &Arc<Reason>| TransportError::rejected(Arc::clone(reason));
        current.connectors.as_ref().cloned().map_err(refused)
    }
}

fn connector(mut config: ClientConfig, protocol: &[u8]) -> TlsConnector {
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsConnector::from(Arc::new(config))
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Box<Reason>> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()).into())
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, Box<Reason>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| format!("{what}: {error}"))?;
    if certificates.is_empty() {
        return Err(format!("{what}: no PEM section \"CERTIFICATE\" found").into());
    }
    Ok(certificates)
}

/// Whether the server's certificate was not accepted.
fn is_untrusted(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(error, Some(rustls::Error::InvalidCertificate(_)))
}

/// Whether the server did not accept the client's certificate, or missed one. In TLS 1.3, the client has connected by then and may have
/// sent its request, which the server does not read.
pub(crate) fn is_certificate_refused(error: &(dyn Error + 'static)) -> bool {
    successors(Some(error), |error| (*error).source()).any(|error| {
        // h2 keeps no more of an error than its text.
        let text = error.to_string();
        CERTIFICATE_ALERTS
            .iter()
            .any(|alert| text == rustls::Error::AlertReceived(*alert).to_string())
    })
}

const CERTIFICATE_ALERTS: [AlertDescription; 8] = [
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::CertificateRequired,
];

/// A server that has protocols, and not the one that is offered, ends the handshake with this alert.
fn is_without_common_protocol(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(
        error,
        Some(rustls::Error::AlertReceived(
            AlertDescription::NoApplicationProtocol
        ))
    )
}

fn without_http2() -> TransportError {
    TransportError::rejected("the server does not offer HTTP/2 (by ALPN)")
}

/// Shows neither certificates nor keys.
impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("has_config", &self.config.is_some())
            .field("has_roots", &self.roots.is_some())
            .field("has_identity", &self.identity.is_some())
            .field("roots_files", &self.roots_files)
            .field("identity_files", &self.identity_files)
            .finish()
    }
}
