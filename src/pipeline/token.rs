use std::{fmt, pin::pin, sync::Arc, time::Duration};

use etcd_transport::Transport;
use futures::future::BoxFuture;

use crate::{
    auth::token::{Fetch, Granted, Tokens},
    error::Result,
    pipeline::{
        Pipeline, basic_auth, call::Call, exchange::TypedExchange, failure::Failure,
        retry::RetryPolicy,
    },
};

/// Fetches the tokens of a client, or the credentials that it sends instead of one, and caches them.
pub(crate) struct TokenSource {
    authenticate: AuthenticateSource,
    tokens: Arc<Tokens<Limits>>,
}

/// Requests a token from etcd.
pub(crate) type Authenticate = Box<dyn TypedExchange<Decoded = Granted>>;

/// Where the request for a token comes from.
pub(crate) enum AuthenticateSource {
    /// The credentials do not change.
    Fixed(Authenticate),
    /// They are asked for each time.
    Provided(Box<Provide>),
    /// They are asked for, and sent as they are.
    Basic(Box<dyn Fn() -> Fetch + Send + Sync>),
}

/// Returns a request for a token with the present credentials.
type Provide = dyn Fn() -> BoxFuture<'static, Result<Authenticate>> + Send + Sync;

/// The limits of one attempt, and of all together.
type Limits = (Duration, RetryPolicy);

/// How long a call waits for a token that replaces a suspect one. Then it goes on with that: without a majority no token is
/// granted, and a member may still serve reads of its own data.
const REPLACED_WITHIN: Duration = Duration::from_secs(3);

impl TokenSource {
    pub(crate) fn new(authenticate: AuthenticateSource) -> Self {
        let tokens = Arc::new(Tokens::new());
        Self {
            authenticate,
            tokens,
        }
    }
}

/// Redacts the token, and what it is requested with.
impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens.fmt(f)
    }
}

impl<T: Transport> Pipeline<T> {
    /// Whether a call is sent with a token, if etcd's authentication is on, or with credentials that are provided.
    pub(crate) fn needs_token(&self, call: &Call) -> bool {
        self.token_source_of(call).is_some()
    }

    fn token_source_of(&self, call: &Call) -> Option<&Arc<TokenSource>> {
        basic_auth::source(
            call.login,
            self.credentials.as_ref(),
            self.token_source.as_ref(),
        )
    }

    /// Records that a call with this token timed out: another one may be needed.
    pub(crate) fn token_timed_out(&self, token: &Granted) {
        if let Some(source) = &self.token_source {
            source.tokens.timed_out(token, self.transport.now());
        }
    }

    /// Returns the token to send within this time. It differs from the one that was refused.
    pub(crate) async fn token(
        &self,
        call: &Call,
        refused: Option<&Granted>,
        limit: Duration,
    ) -> Result<Granted> {
        let Some(source) = self.token_source_of(call) else {
            return Ok(None);
        };
        let tokens = &source.tokens;
        let Some(suspect) = tokens.usable(refused) else {
            return self.fetch_token(source, call, refused, limit).await;
        };
        if !tokens.is_suspect() {
            return Ok(suspect);
        }
        let limit = limit.min(REPLACED_WITHIN);
        let replaced = self.fetch_token(source, call, Some(&suspect), limit).await;
        Ok(replaced.unwrap_or_else(|_| {
            tokens.trust();
            suspect
        }))
    }

    async fn fetch_token(
        &self,
        source: &Arc<TokenSource>,
        call: &Call,
        refused: Option<&Granted>,
        limit: Duration,
    ) -> Result<Granted> {
        let limits = || (self.timeout, self.retry.clone());
        let fetch = || self.request_token(source);
        let wait = pin!(async { Ok(source.tokens.wait(refused, limits, fetch).await) });
        match self.within(limit, wait).await {
            Ok(result) => result,
            Err(_) => {
                let context = self.next_context(call.operation);
                Err(Failure::TimedOut(limit).into_error(context))
            }
        }
    }

    /// Requests a token. The request may outlive the call that begins it, for others join it.
    pub(crate) fn request_token(&self, source: &Arc<TokenSource>) -> Fetch {
        let (pipeline, source) = (self.clone(), Arc::clone(source));
        Box::pin(async move {
            let request = async |exchange: &Authenticate| {
                let answer = pipeline.execute(&**exchange).await?;
                exchange.decode(answer)
            };
            match &source.authenticate {
                AuthenticateSource::Basic(provide) => provide().await,
                AuthenticateSource::Fixed(exchange) => request(exchange).await,
                AuthenticateSource::Provided(provide) => match request(&provide().await?).await {
                    // They may have changed since they were provided.
                    Err(error) if error.is_unauthorized() => request(&provide().await?).await,
                    result => result,
                },
            }
        })
    }
}
