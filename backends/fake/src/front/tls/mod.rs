//! The fake over TLS.

mod certificate;

use std::{fmt, future::Future, io, pin::pin, sync::Arc, task::Poll};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ServerConnection, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use self::certificate::common_name;
use super::serve::{Connected, accept};
use crate::{fake::FakeEtcd, v3::auth::CommonName};

/// The certificate of a fake that is served over TLS, and whether clients need one.
#[derive(Clone)]
pub struct Tls {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
    config: Arc<ServerConfig>,
    names_users: bool,
}

impl Tls {
    /// Reads the server's certificate, with those that have signed it, and its private key, all as PEM.
    ///
    /// # Errors
    /// When the texts are not these, or do not belong together.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> io::Result<Self> {
        let chain = read_certificates(certificates)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(invalid)?;
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(invalid)?.with_no_client_auth();
        let config = builder.with_single_cert(chain.clone(), key.clone_key());
        Ok(Self {
            chain,
            key: Arc::new(key),
            config: with_protocols(config.map_err(invalid)?),
            names_users: false,
        })
    }

    /// Demands a certificate of every client, signed by one of these authorities (PEM), as etcd does with
    /// `--trusted-ca-file`.
    ///
    /// # Errors
    /// When the text has no certificate of an authority.
    pub fn client_authorities(self, authorities: &[u8]) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        for authority in read_certificates(authorities)? {
            roots.add(authority).map_err(invalid)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier: Arc<dyn ClientCertVerifier> = verifier.build().map_err(invalid)?;
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder
            .map_err(invalid)?
            .with_client_cert_verifier(verifier);
        let config = builder.with_single_cert(self.chain.clone(), self.key.clone_key());
        let config = with_protocols(config.map_err(invalid)?);
        Ok(Self { config, ..self })
    }

    /// Has the common name of a client's certificate name the user, as etcd does with `--client-cert-auth`: by gRPC and by
    /// v2, while auth is enabled. The gateway of v3 then refuses certificates with a common name. Defaults to no.
    pub fn common_names(mut self, name_users: bool) -> Self {
        self.names_users = name_users;
        self
    }

    /// The user that the certificate of a client names.
    fn user(&self, connection: &ServerConnection) -> Option<CommonName> {
        let certificate = connection.peer_certificates()?.first()?;
        self.names_users
            .then(|| CommonName(common_name(certificate).unwrap_or_default().into()))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Tls");
        debug.field("names_users", &self.names_users);
        debug.finish_non_exhaustive()
    }
}

/// As [`serve_until`](crate::serve_until), over TLS: HTTP/2 or HTTP/1.1, as ALPN negotiates, and over both the JSON of v3 and v2;
/// gRPC over HTTP/2.
///
/// A connection whose handshake fails is closed.
///
/// # Errors
/// As [`serve`](crate::serve).
pub async fn serve_tls_until(
    etcd: FakeEtcd,
    endpoint: usize,
    listener: TcpListener,
    tls: Tls,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    accept(etcd, endpoint, listener, stop, |connected| {
        let tls = tls.clone();
        async move {
            let Connected { stream, served } = connected;
            if let Some(stream) = handshake(&tls, stream, served.stopped()).await {
                let user = tls.user(stream.get_ref().1);
                served.over_tls(user).serve(stream).await;
            }
        }
    })
    .await
}

/// Resolves to nothing if the handshake fails, or the server is to stop first.
async fn handshake(
    tls: &Tls,
    stream: TcpStream,
    stopped: impl Future<Output = ()>,
) -> Option<TlsStream<TcpStream>> {
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
    let mut accepted = pin!(acceptor.accept(stream));
    let mut stopped = pin!(stopped);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(accepted) = accepted.as_mut().poll(cx) {
            return Poll::Ready(accepted.ok());
        }
        stopped.as_mut().poll(cx).map(|()| None)
    })
    .await
}

fn with_protocols(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read_certificates(pem: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(invalid)?;
    if certificates.is_empty() {
        return Err(invalid("there is no certificate"));
    }
    Ok(certificates)
}

fn invalid(problem: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.to_string())
}
