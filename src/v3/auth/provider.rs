use std::{error::Error as StdError, fmt, sync::Arc};

use async_trait::async_trait;
use etcd_transport::Transport;

use super::token::TokenRequest;
use crate::{
    auth::secret::Secret,
    builder::ClientBuilder,
    endpoints::wire::Wire,
    error::{Error, Result},
    pipeline::{
        exchange::Exchange,
        token::{Authenticate, AuthenticateSource},
    },
    v3,
};

/// Provides the user and the password of the v3 API, where they change while a program runs: from a vault, or from a file that is
/// written again. See [`ClientBuilder::v3_auth_by`].
///
/// ```
/// use std::{error::Error, fs};
///
/// use etcd_http::{
///     transport::async_trait,
///     v3::{CredentialsProvider, UserCredentials},
/// };
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
    /// Returns the present credentials. It is called whenever a token is needed: before the first call, and when etcd no longer
    /// accepts the token; all calls that need one at that time share the result. If etcd refuses the credentials, it is called
    /// again, once, as they may have changed meanwhile.
    ///
    /// # Errors
    /// Why there are none at present. The calls that wait for them fail with this text, and are not sent.
    async fn credentials(&self) -> Result<UserCredentials, Box<dyn StdError + Send + Sync>>;
}

/// A user of the v3 API, and the password: redacted when printed, and zeroed when dropped.
#[derive(Clone, Debug)]
pub struct UserCredentials {
    user: String,
    password: Secret,
}

impl UserCredentials {
    /// This user, with this password.
    pub fn new(user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        Self {
            user: user.as_ref().to_owned(),
            password: password.as_ref().into(),
        }
    }
}

/// # The v3 API's user
impl<T: Transport> ClientBuilder<T> {
    /// Sets the user of the v3 API by what provides it, instead of [`v3_auth`](Self::v3_auth).
    ///
    /// A password that was changed in etcd needs no restart: tokens that were granted for the former one are refused from then on,
    /// and the next is requested with what the provider returns.
    pub fn v3_auth_by(self, provider: impl CredentialsProvider + 'static) -> Self {
        let provider = Arc::new(provider);
        self.tokens_from(AuthenticateSource::Provided(Box::new(move || {
            let provider = Arc::clone(&provider);
            Box::pin(async move { request(&*provider).await })
        })))
    }
}

/// Requests a token with the present credentials.
async fn request(provider: &dyn CredentialsProvider) -> Result<Authenticate> {
    let refused = |reason: &dyn fmt::Display| Error::invalid("credentials", reason.to_string());
    let provided = provider.credentials().await;
    let UserCredentials { user, password } = provided.map_err(|error| refused(&error))?;
    let request = TokenRequest(v3::Authenticate::new(user, password.expose()));
    request.encode(Wire::Http)?;
    Ok(Box::new(request))
}
