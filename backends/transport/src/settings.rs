use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{Transport, TransportError};

/// Settings that belong to the transport, not to the client: connecting, keeping connections alive, and certificates.
///
/// They are independent of the HTTP stack, for a program that reads them from a file or from its environment and chooses the
/// stack elsewhere. `None` leaves a setting at the transport's default. Each backend has settings of its own besides.
///
/// ```
/// use std::time::Duration;
///
/// use etcd_transport::TransportSettings;
///
/// let mut settings = TransportSettings::default();
/// settings.connect_timeout = Some(Duration::from_secs(5));
/// settings.ca_file = Some("/etc/etcd/ca.pem".into());
/// assert!(settings.has_tls());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportSettings {
    /// The time limit for making a connection.
    pub connect_timeout: Option<Duration>,
    /// The interval of HTTP/2 pings on a connection with open streams. Zero disables them.
    pub keepalive_interval: Option<Duration>,
    /// How long a connection may leave a ping unanswered.
    pub keepalive_timeout: Option<Duration>,
    /// A file of the certificate authorities to trust instead of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// A file of the client's certificate, with its chain, in PEM.
    pub cert_file: Option<PathBuf>,
    /// A file of the certificate's private key, in PEM.
    pub key_file: Option<PathBuf>,
}

/// A transport that can be made from [`TransportSettings`].
///
/// ```
/// use etcd_transport::{FromSettings, TransportError, TransportSettings};
///
/// fn transport<T: FromSettings>(ca: &str) -> Result<T, TransportError> {
///     let mut settings = TransportSettings::default();
///     settings.ca_file = Some(ca.into());
///     T::from_settings(&settings)
/// }
/// ```
pub trait FromSettings: Transport + Sized {
    /// Creates a transport with these settings, and with its defaults for those that are `None`.
    ///
    /// # Errors
    /// [`Rejected`](crate::TransportErrorKind::Rejected), with the reason, if a file cannot be read, or if the transport does
    /// not have one of the settings. No setting is ignored.
    fn from_settings(settings: &TransportSettings) -> Result<Self, TransportError>;
}

impl TransportSettings {
    /// Returns whether a file of certificates or a key is set.
    pub fn has_tls(&self) -> bool {
        self.ca_file.is_some() || self.cert_file.is_some() || self.key_file.is_some()
    }

    /// Reads the certificate authorities to trust, in PEM.
    ///
    /// # Errors
    /// [`Rejected`](crate::TransportErrorKind::Rejected) if the file cannot be read.
    pub fn read_authorities(&self) -> Result<Option<Vec<u8>>, TransportError> {
        self.ca_file.as_deref().map(read).transpose()
    }

    /// Returns the files of the client's certificate and its key.
    ///
    /// # Errors
    /// [`Rejected`](crate::TransportErrorKind::Rejected) if only one of them is set.
    pub fn identity_files(&self) -> Result<Option<(&Path, &Path)>, TransportError> {
        match (&self.cert_file, &self.key_file) {
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(TransportError::rejected(
                "a client certificate requires its key, too",
            )),
            (None, Some(_)) => Err(TransportError::rejected(
                "the key of a client certificate requires the certificate, too",
            )),
        }
    }

    /// Reads the client's certificate and its key, each in PEM.
    ///
    /// # Errors
    /// [`Rejected`](crate::TransportErrorKind::Rejected) if one of the files cannot be read, or only one of them is set.
    pub fn read_identity(&self) -> Result<Option<[Vec<u8>; 2]>, TransportError> {
        let Some((certificate, key)) = self.identity_files()? else {
            return Ok(None);
        };
        Ok(Some([read(certificate)?, read(key)?]))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TransportError> {
    fs::read(path).map_err(|error| {
        TransportError::rejected(format!("cannot read {}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn reason<O>(result: Result<O, TransportError>) -> String {
        let error = result.err().unwrap();
        error.source().unwrap().to_string()
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let settings = TransportSettings {
            ca_file: Some("/nowhere/ca.pem".into()),
            ..TransportSettings::default()
        };
        assert!(settings.has_tls());
        let reason = reason(settings.read_authorities());
        assert!(
            reason.starts_with("cannot read /nowhere/ca.pem: "),
            "{reason}"
        );
    }

    #[test]
    fn a_certificate_and_its_key_come_together() {
        let mut settings = TransportSettings::default();
        assert_eq!(settings.read_identity().unwrap(), None);
        settings.cert_file = Some("/nowhere/client.pem".into());
        assert_eq!(
            reason(settings.identity_files()),
            "a client certificate requires its key, too"
        );
        settings.key_file = settings.cert_file.take();
        assert_eq!(
            reason(settings.identity_files()),
            "the key of a client certificate requires the certificate, too"
        );
    }
}
