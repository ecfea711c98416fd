//! Certificate authorities and certificates.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use tempfile::TempDir;

/// A certificate authority of one test. Its files are removed when it is dropped.
#[expect(
    missing_debug_implementations,
    reason = "its issuer has no such implementation"
)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
    count: usize,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A new key pair without a certificate: the private and the public key, as PEM.
pub fn key_pair() -> (String, String) {
    let pair = KeyPair::generate().unwrap();
    (pair.serialize_pem(), pair.public_key_pem())
}

impl Authority {
    /// Creates an authority with a name of its own.
    #[expect(clippy::new_without_default, reason = "no two are equal")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Every authority has another name. With the same name, the signature would be the error.
        let name = format!("authority {:x}", fastrand::u64(..));
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self {
            issuer,
            directory,
            count: 0,
        }
    }

    /// Returns its own certificate, as a PEM file.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Creates a certificate for this name or address, for a server or a client.
    pub fn issue(&mut self, name: &str) -> Pair {
        self.sign(name, |_| {})
    }

    /// Creates a certificate that was valid until the end of 2020.
    pub fn issue_expired(&mut self, name: &str) -> Pair {
        self.sign(name, |params| {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 12, 31);
        })
    }

    /// Creates a certificate that is valid from now, for this long.
    pub fn issue_for(&mut self, name: &str, time: Duration) -> Pair {
        self.sign(name, |params| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            params.not_before = date_time_ymd(1970, 1, 1) + now.unwrap();
            params.not_after = params.not_before + time;
        })
    }

    /// Creates a certificate without a common name.
    pub fn issue_without_a_common_name(&mut self, name: &str) -> Pair {
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
        let path = |kind: &str| {
            self.directory
                .path()
                .join(format!("{}-{kind}.pem", self.count))
        };
        let pair = Pair {
            certificate: path("certificate"),
            key: path("key"),
        };
        fs::write(&pair.certificate, certificate.pem()).unwrap();
        fs::write(&pair.key, key.serialize_pem()).unwrap();
        pair
    }
}
