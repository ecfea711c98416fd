//! The HTTP transports with TLS settings.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use etcd_http::{
    Outcome,
    hyper::HyperTransport,
    isahc::{
        IsahcTransport,
        isahc::{
            config::Configurable,
            net::dns::ResolveMap,
            tls::{Identity, PrivateKey, TlsConfig, TrustStore},
        },
    },
    reqwest::{ReqwestTransport, identity_from_pems, reqwest},
    transport::Transport,
};
use harness::certificates::Pair;

/// The certificates that a client trusts and sends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    /// The trusted authority, instead of the system's.
    pub(crate) authority: Option<PathBuf>,
    pub(crate) identity: Option<Pair>,
    /// A name for 127.0.0.1, with this port.
    pub(crate) name: Option<(&'static str, u16)>,
    /// No HTTP/2.
    pub(crate) is_http1: bool,
}

/// An HTTP stack, configured with its own settings, as its README describes.
pub(crate) trait Stack: Transport + Default {
    /// Whether a request can continue while its response arrives.
    const IS_DUPLEX: bool;

    /// The outcome of a write whose server does not accept the client's certificate, by the text of its error.
    fn certificate_refused(text: &str) -> Outcome;

    fn with(tls: &Tls) -> Self;
}

impl Stack for ReqwestTransport {
    const IS_DUPLEX: bool = true;

    /// A write may meet the end of the connection before the alert is read.
    fn certificate_refused(text: &str) -> Outcome {
        if text.contains("received fatal alert: ") {
            Outcome::NotSent
        } else {
            Outcome::Unknown
        }
    }

    fn with(tls: &Tls) -> Self {
        let mut client = Self::client_builder();
        if let Some(path) = &tls.authority {
            let authority = reqwest::Certificate::from_pem(&fs::read(path).unwrap()).unwrap();
            client = client.tls_certs_only([authority]);
        }
        if let Some(Pair { certificate, key }) = &tls.identity {
            let [certificate, key] = [certificate, key].map(|path| fs::read(path).unwrap());
            // Files without a line break at their end are joined as well.
            let identity = identity_from_pems(certificate.trim_ascii_end(), key.trim_ascii_end());
            client = client.identity(identity.unwrap());
        }
        if let Some((name, port)) = tls.name {
            client = client.resolve(name, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        if tls.is_http1 {
            client = client.http1_only();
        }
        Self::new(client.build().unwrap())
    }
}

impl Stack for HyperTransport {
    const IS_DUPLEX: bool = true;

    fn certificate_refused(_: &str) -> Outcome {
        Outcome::NotSent
    }

    fn with(tls: &Tls) -> Self {
        let mut transport = Self::builder();
        if let Some(path) = &tls.authority {
            transport = transport.root_certificates(fs::read(path).unwrap());
        }
        if let Some(Pair { certificate, key }) = &tls.identity {
            transport = transport.identity(fs::read(certificate).unwrap(), fs::read(key).unwrap());
        }
        if let Some((name, port)) = tls.name {
            transport = transport.resolve(name, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        if tls.is_http1 {
            transport = transport.http1_only();
        }
        transport.build().unwrap()
    }
}

impl Stack for IsahcTransport {
    const IS_DUPLEX: bool = false;

    /// libcurl reports a closed connection.
    fn certificate_refused(_: &str) -> Outcome {
        Outcome::Unknown
    }

    fn with(tls: &Tls) -> Self {
        let tls = tls.clone();
        Self::configured(move |mut client| {
            let mut config = TlsConfig::builder();
            if let Some(path) = &tls.authority {
                config = config.trust_store(TrustStore::from_file(path));
            }
            if let Some(Pair { certificate, key }) = &tls.identity {
                let key = PrivateKey::from_pem_file(key, None);
                config = config.identity(Identity::from_pem_file(certificate, Some(key)));
            }
            if let Some((name, port)) = tls.name {
                let here = Ipv4Addr::LOCALHOST;
                client = client.dns_resolve(ResolveMap::new().add(name, port, here));
            }
            client.tls_config(config.build())
        })
        .unwrap()
    }
}
