use std::sync::Arc;

use etcd_transport::Transport;

use super::token::TokenRequest;
use crate::{
    auth::provider::{CredentialsProvider, Kind, provided},
    builder::ClientBuilder,
    endpoints::wire::Wire,
    error::{Error, Result},
    pipeline::{
        exchange::Exchange,
        token::{AuthenticateSource, ProvidedToken},
    },
    v3,
};

/// # The v3 API's user
impl<T: Transport> ClientBuilder<T> {
    /// Sets the user of the v3 API by what provides it, instead of [`v3_auth`](Self::v3_auth).
    ///
    /// A password that was changed in etcd needs no restart: tokens that were granted for the former one are refused from then on,
    /// and the next is requested with what the provider returns, or is that: see [`UserCredentials::token`](crate::UserCredentials::token).
    pub fn v3_auth_by(self, provider: impl CredentialsProvider + 'static) -> Self {
        let provider = Arc::new(provider);
        self.tokens_from(AuthenticateSource::Provided(Box::new(move || {
            let provider = Arc::clone(&provider);
            Box::pin(async move { grant(&*provider).await })
        })))
    }
}

/// Returns the token that is provided, or requests one with the credentials that are.
async fn grant(provider: &dyn CredentialsProvider) -> Result<ProvidedToken> {
    match provided(provider).await?.0 {
        Kind::Password { user, password } => {
            let request = TokenRequest(v3::Authenticate::new(user, password.expose()));
            request.encode(Wire::Http)?;
            Ok(ProvidedToken::For(Box::new(request)))
        }
        Kind::Token(token) => {
            let token = Some(token)
                .filter(|token| !token.is_empty())
                .and_then(|token| token.into_header().ok());
            let reason = "the provider has returned a token that is empty, or has characters that are not valid in a header";
            token
                .map(ProvidedToken::Itself)
                .ok_or_else(|| Error::invalid("credentials", reason))
        }
    }
}
