use std::sync::Arc;

use etcd_transport::Transport;

use crate::{
    auth::provider::{CredentialsProvider, provided},
    builder::ClientBuilder,
    pipeline::token::AuthenticateSource,
};

/// # The v2 API's user
impl<T: Transport> ClientBuilder<T> {
    /// Sets the user of the v2 API by what provides it, instead of [`basic_auth`](Self::basic_auth).
    ///
    /// The provider is asked before the first call. What it returns is kept until etcd refuses it: then the provider is asked again,
    /// and the call is sent again if the credentials have changed. etcd's v2 API says "insufficient credentials" to a wrong password
    /// and to a user without permission alike, so the provider is asked after each such refusal.
    ///
    /// ```
    /// # use etcd_http::{Client, CredentialsProvider, Error, transport::Transport};
    /// # fn example<T: Transport>(transport: T, vault: impl CredentialsProvider + 'static) -> Result<Client<T>, Error> {
    /// Client::builder(transport)
    ///     .endpoints(["https://10.0.0.1:2379"])
    ///     .basic_auth_by(vault)
    ///     .build()
    /// # }
    /// ```
    pub fn basic_auth_by(self, provider: impl CredentialsProvider + 'static) -> Self {
        let provider = Arc::new(provider);
        self.basic_from(AuthenticateSource::Basic(Box::new(move || {
            let provider = Arc::clone(&provider);
            Box::pin(async move {
                let credentials = provided(&*provider).await?.basic()?;
                Ok(Some(credentials.header().clone()))
            })
        })))
    }
}
