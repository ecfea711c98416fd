use std::error::Error as StdError;

use async_trait::async_trait;

use crate::{
    auth::{basic::Credentials, secret::Secret},
    error::{Error, Result},
};

/// Provides a user and the password, or a token, where they change while a program runs: from a vault, or from a file that is written
/// again. See [`ClientBuilder::v3_auth_by`](crate::ClientBuilder::v3_auth_by) and, for the v2 API,
/// [`ClientBuilder::basic_auth_by`](crate::ClientBuilder::basic_auth_by).
///
/// ```
/// use std::{error::Error, fs};
///
/// use etcd_http::{CredentialsProvider, UserCredentials, transport::async_trait};
///
/// struct SecretFile;
///
/// #[async_trait]
/// impl CredentialsProvider for SecretFile {
///     async fn credentials(&self) -> Result<UserCredentials, Box<dyn Error + Send + Sync>> {
///         let password = fs::read_to_string("/run/secrets/etcd")?;
///         Ok(UserCredentials::new("app", password.trim_end()))
///     }
/// }
/// ```
#[async_trait]
pub trait CredentialsProvider: Send + Sync {
    /// Returns the present credentials. It is called before the first call that needs them, and when etcd no longer accepts them or
    /// the token that they were exchanged for; all calls that need them at that time share the result. If etcd refuses the
    /// credentials, it is called again, once, as they may have changed meanwhile.
    ///
    /// # Errors
    /// Why there are none at present. The calls that wait for them fail with this text, and are not sent:
    /// [`Error::is_without_credentials`]. Streams and recipes treat it as they do an outage, and ask again. A provider that does not
    /// return within [`RetryPolicy::overall`](crate::RetryPolicy::overall) has failed.
    async fn credentials(&self) -> Result<UserCredentials, Box<dyn StdError + Send + Sync>>;
}

/// A user and the password, or a token: redacted when printed, and zeroed when dropped.
#[derive(Clone, Debug)]
pub struct UserCredentials(pub(crate) Kind);

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Password { user: String, password: Secret },
    Token(Secret),
}

impl UserCredentials {
    /// This user, with this password.
    pub fn new(user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        Self(Kind::Password {
            user: user.as_ref().to_owned(),
            password: password.as_ref().into(),
        })
    }

    /// A token that etcd accepts as it is: a JWT of an issuer that etcd trusts, or one that another client was granted. The v2 API has
    /// no tokens.
    ///
    /// It is sent until etcd refuses it. Then the provider is asked again, and the call is sent again if the token has changed.
    ///
    /// <https://etcd.io/docs/v3.5/learning/design-auth-v3/#two-types-of-tokens-simple-and-jwt>
    pub fn token(token: impl AsRef<str>) -> Self {
        Self(Kind::Token(token.as_ref().into()))
    }

    /// Returns them as the v2 API takes them.
    pub(crate) fn basic(&self) -> Result<Credentials> {
        match &self.0 {
            Kind::Password { user, password } => Credentials::basic(user, password.expose()),
            Kind::Token(_) => {
                let reason =
                    "the provider has returned a token: the v2 API takes a user and a password";
                Err(Error::invalid("credentials", reason))
            }
        }
    }
}

/// Asks for the present credentials.
///
/// # Errors
/// [`Error::is_without_credentials`], with the provider's reason.
pub(crate) async fn provided(provider: &dyn CredentialsProvider) -> Result<UserCredentials> {
    let provided = provider.credentials().await;
    provided.map_err(|reason| Error::without_credentials(reason.to_string()))
}
