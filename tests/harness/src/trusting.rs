//! Transports for `https://` to a proxy of a test.

/// Declares the trait `Trusting`, of transports that trust one authority, and implements it for those of hyper, of reqwest and
/// of isahc.
///
/// A test target that expands it has their features with TLS; this crate has none.
#[macro_export]
macro_rules! trusting {
    () => {
        /// A transport that trusts one authority.
        pub(crate) trait Trusting: ::etcd_http::transport::Transport {
            /// Trusts the certificate in this file.
            fn trusting(authority: &::std::path::Path) -> Self;
        }

        impl Trusting for ::etcd_http::reqwest::ReqwestTransport {
            fn trusting(authority: &::std::path::Path) -> Self {
                use ::etcd_http::reqwest::reqwest::Certificate;

                let pem = ::std::fs::read(authority).unwrap();
                let authority = Certificate::from_pem(&pem).unwrap();
                Self::configured(move |client| client.tls_certs_only([authority.clone()])).unwrap()
            }
        }

        impl Trusting for ::etcd_http::hyper::HyperTransport {
            fn trusting(authority: &::std::path::Path) -> Self {
                let authority = ::std::fs::read(authority).unwrap();
                Self::builder()
                    .root_certificates(authority)
                    .build()
                    .unwrap()
            }
        }

        impl Trusting for ::etcd_http::isahc::IsahcTransport {
            fn trusting(authority: &::std::path::Path) -> Self {
                use ::etcd_http::isahc::isahc::{
                    config::Configurable,
                    tls::{TlsConfig, TrustStore},
                };

                let authority = authority.to_owned();
                Self::configured(move |client| {
                    let trusted = TrustStore::from_file(&authority);
                    client.tls_config(TlsConfig::builder().trust_store(trusted).build())
                })
                .unwrap()
            }
        }
    };
}
