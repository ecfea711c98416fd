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
    error::Result,
    pipeline::{
        Pipeline,
        call::{Call, Login},
        exchange::TypedExchange,
        failure::Failure,
        retry::RetryPolicy,
    },
};

/// Caches the token that stands for a user and a password. It is fetched when first needed and used until etcd no
/// longer accepts it.
///
/// All calls that need a token while it is being fetched wait for the same request and get the same result. A call that
/// comes after a failure fetches again. A client with other time limits or another retry policy fetches with these.
pub(crate) struct Tokens {
    authenticate: Authenticate,
    /// `None` before the first fetch.
    current: ArcSwapOption<Granted>,
    under_way: Mutex<Vec<UnderWay>>,
}

/// Requests a token from etcd.
pub(crate) type Authenticate = Box<dyn TypedExchange<Decoded = Granted>>;

/// A token, or `None` if etcd needs none.
pub(crate) type Granted = Option<HeaderValue>;

/// A fetch, with the limits of the client that began it.
struct UnderWay {
    timeout: Duration,
    retry: RetryPolicy,
    fetch: WeakShared<Fetch>,
}

/// It continues as long as any caller waits for it.
type Fetch = BoxFuture<'static, Result<Granted>>;

impl Tokens {
    pub(crate) fn new(authenticate: Authenticate) -> Self {
        Self {
            authenticate,
            current: ArcSwapOption::empty(),
            under_way: Mutex::default(),
        }
    }

    /// Returns the current token, unless it is the one that was refused.
    fn usable(&self, refused: Option<&Granted>) -> Option<Granted> {
        let current = self.current.load();
        let current = current.as_deref().filter(|it| Some(*it) != refused);
        current.cloned()
    }

    /// Waits for the fetch that is under way, or starts one.
    async fn wait<T: Transport>(
        self: &Arc<Self>,
        pipeline: &Pipeline<T>,
        refused: Option<&Granted>,
    ) -> Result<Granted> {
        let fetch = {
            let mut under_way = self
                .under_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            // It may have ended before the lock was taken.
            if let Some(current) = self.usable(refused) {
                return Ok(current);
            }
            // A fetch that has ended or was abandoned cannot be joined.
            under_way.retain(|known| known.fetch.upgrade().is_some_and(|it| it.peek().is_none()));
            let mut fits = under_way
                .iter()
                .filter(|known| known.timeout == pipeline.timeout && known.retry == pipeline.retry);
            match fits.find_map(|known| known.fetch.upgrade()) {
                Some(fetch) => fetch,
                None => {
                    let new = Arc::clone(self).fetch(pipeline.clone()).shared();
                    under_way.extend(new.downgrade().map(|fetch| UnderWay {
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

    /// Fetches a token and caches it.
    fn fetch<T: Transport>(self: Arc<Self>, pipeline: Pipeline<T>) -> Fetch {
        Box::pin(async move {
            let answer = pipeline.execute(&*self.authenticate).await?;
            let granted = self.authenticate.decode(answer)?;
            self.current.store(Some(Arc::new(granted.clone())));
            Ok(granted)
        })
    }
}

/// Redacts the token.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(***)")
    }
}

impl<T: Transport> Pipeline<T> {
    /// Whether a call is sent with a token, if etcd's authentication is on.
    pub(crate) fn needs_token(&self, call: &Call) -> bool {
        self.tokens.is_some() && call.login == Login::Token
    }

    /// Returns the token to send within this time. It differs from the one that was refused.
    pub(crate) async fn token(
        &self,
        call: &Call,
        refused: Option<&Granted>,
        limit: Duration,
    ) -> Result<Granted> {
        let Some(tokens) = &self.tokens else {
            return Ok(None);
        };
        if let Some(current) = tokens.usable(refused) {
            return Ok(current);
        }
        let wait = async { Ok(tokens.wait(self, refused).await) };
        match self.within(limit, wait).await {
            Ok(result) => result,
            Err(_) => {
                let context = self.next_context(call.operation);
                Err(Failure::TimedOut(limit).into_error(context))
            }
        }
    }
}
