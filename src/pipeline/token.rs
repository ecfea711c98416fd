use std::{
    fmt,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use etcd_transport::Transport;
use futures::future::BoxFuture;
use http::HeaderValue;

use crate::{
    auth::token::{Fetch, Granted, Tokens},
    error::{Error, Result},
    pipeline::{Pipeline, basic_auth, call::Call, exchange::TypedExchange, retry::RetryPolicy},
};

/// Fetches the tokens of a client, or the credentials that it sends instead of one, and caches them.
pub(crate) struct TokenSource {
    authenticate: AuthenticateSource,
    tokens: Arc<Tokens<Limits>>,
    stage: Mutex<Stage>,
}

/// What a request for a token waits for; with several, the one that went on last.
#[derive(Clone, Copy)]
enum Stage {
    Provider,
    /// A response to this operation.
    Response(&'static str),
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

/// Asks for the present credentials.
type Provide = dyn Fn() -> BoxFuture<'static, Result<ProvidedToken>> + Send + Sync;

/// What credentials that are provided come to.
pub(crate) enum ProvidedToken {
    /// A request for a token.
    For(Authenticate),
    Itself(HeaderValue),
}

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
            stage: Mutex::new(Stage::Provider),
        }
    }

    fn enter(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
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
    ///
    /// # Errors
    /// Those of the request for the token. The call itself was not sent, as they say.
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
            let fetched = self.fetch_token(source, refused, limit).await;
            return fetched.map_err(Error::before_call);
        };
        if !tokens.is_suspect() {
            return Ok(suspect);
        }
        let limit = limit.min(REPLACED_WITHIN);
        let replaced = self.fetch_token(source, Some(&suspect), limit).await;
        Ok(replaced.unwrap_or_else(|_| {
            tokens.trust();
            suspect
        }))
    }

    async fn fetch_token(
        &self,
        source: &Arc<TokenSource>,
        refused: Option<&Granted>,
        limit: Duration,
    ) -> Result<Granted> {
        let limits = || (self.timeout, self.retry.clone());
        let fetch = || self.request_token(source);
        let wait = pin!(async { Ok(source.tokens.wait(refused, limits, fetch).await) });
        match self.within(limit, wait).await {
            Ok(result) => result,
            Err(failure) => Err(match source.stage() {
                Stage::Provider => Error::provider_timed_out(limit),
                Stage::Response(operation) => failure.into_error(self.next_context(operation)),
            }),
        }
    }

    /// Requests a token. The request may outlive the call that begins it, for others join it.
    pub(crate) fn request_token(&self, source: &Arc<TokenSource>) -> Fetch {
        let (pipeline, source) = (self.clone(), Arc::clone(source));
        Box::pin(async move {
            let request = async |exchange: &Authenticate| {
                source.enter(Stage::Response(exchange.call().operation));
                let answer = pipeline.execute(&**exchange).await?;
                exchange.decode(answer)
            };
            let grant = async |provided: ProvidedToken| match provided {
                ProvidedToken::For(exchange) => request(&exchange).await,
                ProvidedToken::Itself(token) => Ok(Some(token)),
            };
            match &source.authenticate {
                AuthenticateSource::Basic(provide) => pipeline.provided(&source, provide()).await,
                AuthenticateSource::Fixed(exchange) => request(exchange).await,
                AuthenticateSource::Provided(provide) => {
                    match grant(pipeline.provided(&source, provide()).await?).await {
                        // They may have changed since they were provided.
                        Err(error) if error.is_unauthorized() => {
                            grant(pipeline.provided(&source, provide()).await?).await
                        }
                        result => result,
                    }
                }
            }
        })
    }

    /// Waits for the provider, for as long as a call may take: a request for a token has an end, as others join it.
    async fn provided<O>(
        &self,
        source: &TokenSource,
        provided: BoxFuture<'_, Result<O>>,
    ) -> Result<O> {
        source.enter(Stage::Provider);
        let limit = self.retry.overall;
        let provided = pin!(async { Ok(provided.await) });
        let result = self.within(limit, provided).await;
        result.unwrap_or_else(|_| Err(Error::provider_timed_out(limit)))
    }
}
