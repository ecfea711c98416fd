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

/// The tokens that stand for a user and a password: fetched when one is first needed, then kept until etcd no longer accepts
/// it.
///
/// All who need one while it is being fetched wait for the same request, and get the same result. Who comes after a
/// failure asks again. Who has other time limits, or another retry policy, asks by these.
pub(crate) struct Tokens {
    authenticate: Authenticate,
    /// `None` before the first one.
    current: ArcSwapOption<Granted>,
    under_way: Mutex<Vec<UnderWay>>,
}

/// Asks etcd for a token.
pub(crate) type Authenticate = Box<dyn TypedExchange<Decoded = Granted>>;

/// A token; `None` if etcd says that it needs none.
pub(crate) type Granted = Option<HeaderValue>;

/// A fetch, and the limits of whoever began it, by which it succeeds or fails.
struct UnderWay {
    timeout: Duration,
    retry: RetryPolicy,
    fetch: WeakShared<Fetch>,
}

/// It goes on as long as anybody waits for it, whoever began it.
type Fetch = BoxFuture<'static, Result<Granted>>;

impl Tokens {
    pub(crate) fn new(authenticate: Authenticate) -> Self {
        Self {
            authenticate,
            current: ArcSwapOption::empty(),
            under_way: Mutex::default(),
        }
    }

    /// The current token, unless it is the one that was refused.
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
            let mut under_way = self
                .under_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            // It may have ended before the lock was taken.
            if let Some(current) = self.usable(refused) {
                return Ok(current);
            }
            // Nobody joins a fetch that is over, or that nobody waits for any more.
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

    /// Asks for a token, and keeps it.
    fn fetch<T: Transport>(self: Arc<Self>, pipeline: Pipeline<T>) -> Fetch {
        Box::pin(async move {
            let answer = pipeline.execute(&*self.authenticate).await?;
            let granted = self.authenticate.decode(answer)?;
            self.current.store(Some(Arc::new(granted.clone())));
            Ok(granted)
        })
    }
}

/// Shows nothing of what it keeps.
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

    /// Returns the token to send, and another one than the one that was refused, within this time.
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
