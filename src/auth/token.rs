use std::{
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use etcd_transport::Transport;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared, ready},
};
use http::HeaderValue;

use crate::{
    error::{Error, Result},
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
/// comes after a failure fetches again, and so does one that has joined a fetch that timed out: the fetch may have stood
/// still, as nobody polled it. A client with other time limits or another retry policy fetches with these.
pub(crate) struct Tokens {
    authenticate: Authenticate,
    /// `None` before the first fetch.
    current: ArcSwapOption<Granted>,
    under_way: Mutex<Vec<UnderWay>>,
    /// A call with the current token timed out, and no other one was fetched since.
    is_suspect: AtomicBool,
    last_suspected: Mutex<Option<Instant>>,
}

/// How soon after a timeout another one makes a token suspect. An overloaded server should not have to check a password for
/// each.
const SUSPECT_INTERVAL: Duration = Duration::from_secs(30);

/// How long a call waits for a token that replaces a suspect one. Then it goes on with that: without a majority no token is
/// granted, and a member may still serve reads of its own data.
const REPLACED_WITHIN: Duration = Duration::from_secs(3);

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
            is_suspect: AtomicBool::new(false),
            last_suspected: Mutex::default(),
        }
    }

    /// Records that a call with this token timed out: another one is fetched before the next call, at a limited rate.
    ///
    /// A simple token names a raft index, and a member waits until it has reached that. In a store that was recreated this
    /// takes forever: each call with the token would time out.
    fn timed_out(&self, token: &Granted, now: Instant) {
        if token.is_none() || self.current.load().as_deref() != Some(token) {
            return;
        }
        let mut last = lock(&self.last_suspected);
        if last.is_none_or(|at| now.saturating_duration_since(at) >= SUSPECT_INTERVAL) {
            *last = Some(now);
            self.is_suspect.store(true, Relaxed);
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
        let (fetch, is_joined) = self.join(pipeline, refused);
        match fetch.await {
            // What began before this call came says nothing about now.
            Err(Error::Timeout(_)) if is_joined => self.join(pipeline, refused).0.await,
            result => result,
        }
    }

    /// Returns the fetch that is under way, or a new one, and whether it has begun before.
    fn join<T: Transport>(
        self: &Arc<Self>,
        pipeline: &Pipeline<T>,
        refused: Option<&Granted>,
    ) -> (Shared<Fetch>, bool) {
        let mut under_way = lock(&self.under_way);
        // It may have ended before the lock was taken.
        if let Some(current) = self.usable(refused) {
            return (ready(Ok(current)).boxed().shared(), false);
        }
        // A fetch that has ended or was abandoned cannot be joined.
        under_way.retain(|known| known.fetch.upgrade().is_some_and(|it| it.peek().is_none()));
        let mut fits = under_way
            .iter()
            .filter(|known| known.timeout == pipeline.timeout && known.retry == pipeline.retry);
        if let Some(fetch) = fits.find_map(|known| known.fetch.upgrade()) {
            return (fetch, true);
        }
        let new = Arc::clone(self).fetch(pipeline.clone()).shared();
        under_way.extend(new.downgrade().map(|fetch| UnderWay {
            timeout: pipeline.timeout,
            retry: pipeline.retry.clone(),
            fetch,
        }));
        (new, false)
    }

    /// Fetches a token and caches it.
    fn fetch<T: Transport>(self: Arc<Self>, pipeline: Pipeline<T>) -> Fetch {
        Box::pin(async move {
            let answer = pipeline.execute(&*self.authenticate).await?;
            let granted = self.authenticate.decode(answer)?;
            self.current.store(Some(Arc::new(granted.clone())));
            self.is_suspect.store(false, Relaxed);
            Ok(granted)
        })
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Records that a call with this token timed out: another one may be needed.
    pub(crate) fn token_timed_out(&self, token: &Granted) {
        if let Some(tokens) = &self.tokens {
            tokens.timed_out(token, self.transport.now());
        }
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
        let Some(suspect) = tokens.usable(refused) else {
            return self.fetch_token(tokens, call, refused, limit).await;
        };
        if !tokens.is_suspect.load(Relaxed) {
            return Ok(suspect);
        }
        let limit = limit.min(REPLACED_WITHIN);
        let replaced = self.fetch_token(tokens, call, Some(&suspect), limit).await;
        Ok(replaced.unwrap_or_else(|_| {
            tokens.is_suspect.store(false, Relaxed);
            suspect
        }))
    }

    async fn fetch_token(
        &self,
        tokens: &Arc<Tokens>,
        call: &Call,
        refused: Option<&Granted>,
        limit: Duration,
    ) -> Result<Granted> {
        let wait = pin!(async { Ok(tokens.wait(self, refused).await) });
        match self.within(limit, wait).await {
            Ok(result) => result,
            Err(_) => {
                let context = self.next_context(call.operation);
                Err(Failure::TimedOut(limit).into_error(context))
            }
        }
    }
}
