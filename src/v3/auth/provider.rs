use std::sync::Arc;

use etcd_transport::Transport;

use super::token::TokenRequest;
use crate::{
    auth::provider::{CredentialsProvider, UserCredentials, provided},
    builder::ClientBuilder,
    endpoints::wire::Wire,
    error::Result,
    pipeline::{
        exchange::Exchange,
        token::{Authenticate, AuthenticateSource},
    },
    v3,
};

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
    let UserCredentials { user, password } = provided(provider).await?;
    let request = TokenRequest(v3::Authenticate::new(user, password.expose()));
    request.encode(Wire::Http)?;
    Ok(Box::new(request))
}
