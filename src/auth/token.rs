use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use etcd_transport::Transport;
use futures::{
    FutureExt,
    future::{BoxFuture, WeakShared},
};
use http::HeaderValue;

use crate::{
    auth::secret::Secret,
    error::{Error, EtcdErrorKind, Outcome, Result, UnexpectedAnswer},
    operation::{Call, Operation, Reply},
    pipeline::{execute::Pipeline, retry::RetryPolicy},
    v3::{Authenticate, protocol::status},
};

/// The tokens of the v3 API: fetched when one is first needed, then kept, until etcd no longer takes it.
///
/// All who need one while it is being fetched wait for the same request, and are told the same: the token, or why there is
/// none. Who comes after a failure asks anew; and who has other time limits, or another policy of attempts, asks by these.
pub(crate) struct Tokens {
    authenticate: Authenticate,
    /// `None` before the first one.
    current: ArcSwapOption<Granted>,
    /// What is under way.
    fetches: Mutex<Vec<UnderWay>>,
}

/// A fetch, and the limits of whoever began it, by which it succeeds or fails.
struct UnderWay {
    timeout: Duration,
    retry: RetryPolicy,
    fetch: WeakShared<Fetch>,
}

/// A token; or `None`, when etcd said that it needs none.
type Granted = Option<HeaderValue>;

/// It goes on as long as anybody waits for it, whoever began it.
type Fetch = BoxFuture<'static, Result<Granted>>;

impl Tokens {
    pub(crate) fn new(user: String, password: String) -> Result<Self> {
        let authenticate = Authenticate::new(user, password);
        authenticate.encode()?;
        Ok(Self {
            authenticate,
            current: ArcSwapOption::empty(),
            fetches: Mutex::default(),
        })
    }

    /// The current token; a new one, where there is none, or only the one that was refused.
    async fn get<T: Transport>(
        self: &Arc<Self>,
        pipeline: &Pipeline<T>,
        refused: Option<&Granted>,
    ) -> Result<Granted> {
        match self.usable(refused) {
            Some(current) => Ok(current),
            None => self.wait(pipeline, refused).await,
        }
    }

    fn usable(&self, refused: Option<&Granted>) -> Option<Granted> {
        let current = self.current.load();
        let current = current.as_deref().filter(|it| Some(*it) != refused);
        current.cloned()
    }

    /// Waits for the fetch that is under way, or for one that begins now.
    async fn wait<T: Transport>(
        self: &Arc<Self>,
        pipeline: &Pipeline<T>,
        refused: Option<&Granted>,
    ) -> Result<Granted> {
        let fetch = {
            let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
            // It may have ended while we came here.
            if let Some(current) = self.usable(refused) {
                return Ok(current);
            }
            // Nobody joins a fetch that is over, and nobody may wait any more for one that is not.
            fetches.retain(|known| known.fetch.upgrade().is_some_and(|it| it.peek().is_none()));
            let mut fits = fetches
                .iter()
                .filter(|known| known.timeout == pipeline.timeout && known.retry == pipeline.retry);
            match fits.find_map(|known| known.fetch.upgrade()) {
                Some(under_way) => under_way,
                None => {
                    let new = Arc::clone(self).fetch(pipeline.clone()).boxed().shared();
                    fetches.extend(new.downgrade().map(|fetch| UnderWay {
                        timeout: pipeline.timeout,
                        retry: pipeline.retry.clone(),
                        fetch,
                    }));
                    new
                }
            }
        };
        fetch.await
    }

    /// Asks for a token, and keeps it.
    async fn fetch<T: Transport>(self: Arc<Self>, pipeline: Pipeline<T>) -> Result<Granted> {
        let granted = self.ask(&pipeline).await;
        if let Ok(granted) = &granted {
            self.current.store(Some(Arc::new(granted.clone())));
        }
        granted
    }

    async fn ask<T: Transport>(&self, pipeline: &Pipeline<T>) -> Result<Granted> {
        let reply = pipeline
            .execute_with_retry(&self.authenticate.encode()?)
            .await?;
        let context = reply.context.clone();
        match self.authenticate.decode(reply) {
            Ok(answer) => match Secret::new(answer.token).into_header() {
                Ok(token) => Ok(Some(token)),
                Err(_) => {
                    let what = "the token does not fit a header";
                    let error = UnexpectedAnswer::new(context, what, Outcome::Rejected);
                    Err(Error::Unexpected(error))
                }
            },
            Err(error) if error.etcd_kind() == Some(EtcdErrorKind::AuthNotEnabled) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Says nothing of what it keeps.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(***)")
    }
}

impl<T: Transport> Pipeline<T> {
    /// Sends a call, with a token where it needs one: once more with a new one, when etcd refuses it for its token. What
    /// was refused was not carried out, so that this is safe for writes.
    pub(crate) async fn execute(&self, call: &Call) -> Result<Reply> {
        let Some(call) = self.with_token(call).await? else {
            return self.execute_with_retry(call).await;
        };
        let reply = self.execute_with_retry(&call).await?;
        if !status::of(&call, &reply).is_some_and(|refusal| refusal.is_token_error()) {
            return Ok(reply);
        }
        let call = self.with_new_token(call).await?;
        let mut again = self.execute_with_retry(&call).await?;
        again.in_doubt |= reply.in_doubt;
        Ok(again)
    }

    /// The call with the current token; `None` for a call that goes without.
    pub(crate) async fn with_token(&self, call: &Call) -> Result<Option<Call>> {
        let Some(tokens) = &self.tokens else {
            return Ok(None);
        };
        if !self.needs_token(call) {
            return Ok(None);
        }
        let mut call = call.clone();
        call.token = tokens.get(self, None).await?;
        Ok(Some(call))
    }

    /// Whether a call is sent with a token, if etcd's authentication is on.
    pub(crate) fn needs_token(&self, call: &Call) -> bool {
        self.tokens.is_some() && call.is_v3() && call.target.path() != Authenticate::PATH
    }

    /// The call with another token than the one it has, which etcd refused.
    pub(crate) async fn with_new_token(&self, mut call: Call) -> Result<Call> {
        if let Some(tokens) = &self.tokens {
            call.token = tokens.get(self, Some(&call.token)).await?;
        }
        Ok(call)
    }
}
