//! Transports for `https://` to a proxy of a test. The chaos tests use this, too.

use std::{fs, path::Path};

use etcd_http::{
    isahc::{
        IsahcTransport,
        isahc::{
            config::Configurable,
            tls::{TlsConfig, TrustStore},
        },
    },
    reqwest::{ReqwestTransport, reqwest::Certificate},
    transport::Transport,
};

/// A transport that trusts one authority.
pub(crate) trait Trusting: Transport {
    /// Trusts the certificate in this file.
    fn trusting(authority: &Path) -> Self;
}

impl Trusting for ReqwestTransport {
    fn trusting(authority: &Path) -> Self {
        let pem = fs::read(authority).unwrap();
        let authority = Certificate::from_pem(&pem).unwrap();
        Self::configured(move |client| client.tls_certs_only([authority.clone()])).unwrap()
    }
}

impl Trusting for IsahcTransport {
    fn trusting(authority: &Path) -> Self {
        let authority = authority.to_owned();
        Self::configured(move |client| {
            let trusted = TrustStore::from_file(&authority);
            client.tls_config(TlsConfig::builder().trust_store(trusted).build())
        })
        .unwrap()
    }
}
