//! Certificate authorities, certificates, and servers with them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use etcd_http::server::Server;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};

/// A certificate authority of one test.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: Directory,
    count: usize,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Every authority has another name. With the same name, the signature would be the error.
        let name = format!("authority {:x}", fastrand::u64(..));
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = Directory::new();
        fs::write(directory.0.join("ca.pem"), issuer.pem()).unwrap();
        Self {
            issuer,
            directory,
            count: 0,
        }
    }

    /// Returns its own certificate, as a PEM file.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.directory.0.join("ca.pem")
    }

    /// Creates a certificate for this name or address, for a server or a client.
    pub(crate) fn issue(&mut self, name: &str) -> Pair {
        self.sign(name, |_| {})
    }

    /// Creates a certificate that was valid until the end of 2020.
    pub(crate) fn issue_expired(&mut self, name: &str) -> Pair {
        self.sign(name, |params| {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 12, 31);
        })
    }

    /// Creates a certificate without a common name.
    pub(crate) fn issue_without_a_common_name(&mut self, name: &str) -> Pair {
        self.sign(name, |params| {
            params.distinguished_name = DistinguishedName::new();
        })
    }

    fn sign(&mut self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        // etcd's gateway uses the server's certificate for requests to etcd itself.
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.count += 1;
        let path = |kind: &str| self.directory.0.join(format!("{}-{kind}.pem", self.count));
        let pair = Pair {
            certificate: path("certificate"),
            key: path("key"),
        };
        fs::write(&pair.certificate, certificate.pem()).unwrap();
        fs::write(&pair.key, key.serialize_pem()).unwrap();
        pair
    }
}

/// Starts a server with `https://` and this certificate.
pub(crate) fn server(pair: &Pair) -> Server {
    Server::builder()
        .https(&pair.certificate, &pair.key)
        .start()
        .unwrap()
}

/// Starts a server that also requires client certificates signed by this authority.
pub(crate) fn strict_server(pair: &Pair, authority: &Path) -> Server {
    let mut trusted = std::ffi::OsString::from("--trusted-ca-file=");
    trusted.push(authority);
    Server::builder()
        .https(&pair.certificate, &pair.key)
        .arg("--client-cert-auth")
        .arg(trusted)
        .start()
        .unwrap()
}

/// A directory that is removed after the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let name = format!(
            "etcd-http-tls-{}-{:x}",
            std::process::id(),
            fastrand::u64(..)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
