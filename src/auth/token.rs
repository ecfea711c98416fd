use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared, ready},
};
use http::HeaderValue;

use crate::error::{Error, Result};

/// Caches the token that stands for a user and a password. It is fetched when first needed and used until etcd no
/// longer accepts it.
///
/// All calls that need a token while it is being fetched wait for the same request and get the same result. A call that
/// comes after a failure fetches again, and so does one that has joined a fetch that timed out: the fetch may have stood
/// still, as nobody polled it. A fetch has the limits `L` of the client that began it, and only clients with the same
/// limits join it.
pub(crate) struct Tokens<L> {
    /// `None` before the first fetch.
    current: ArcSwapOption<Granted>,
    under_way: Mutex<Vec<UnderWay<L>>>,
    /// A call with the current token timed out, and no other one was fetched since.
    is_suspect: AtomicBool,
    last_suspected: Mutex<Option<Instant>>,
}

/// How soon after a timeout another one makes a token suspect. An overloaded server should not have to check a password for
/// each.
const SUSPECT_INTERVAL: Duration = Duration::from_secs(30);

/// A token, or `None` if etcd needs none.
pub(crate) type Granted = Option<HeaderValue>;

/// A request for a token.
pub(crate) type Fetch = BoxFuture<'static, Result<Granted>>;

/// A fetch, with the limits of the client that began it. It continues as long as any caller waits for it.
struct UnderWay<L> {
    limits: L,
    fetch: WeakShared<Fetch>,
}

impl<L: PartialEq + Send + 'static> Tokens<L> {
    pub(crate) fn new() -> Self {
        Self {
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
    pub(crate) fn timed_out(&self, token: &Granted, now: Instant) {
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
    pub(crate) fn usable(&self, refused: Option<&Granted>) -> Option<Granted> {
        let current = self.current.load();
        let current = current.as_deref().filter(|it| Some(*it) != refused);
        current.cloned()
    }

    /// Whether another token should be fetched before the next call.
    pub(crate) fn is_suspect(&self) -> bool {
        self.is_suspect.load(Relaxed)
    }

    /// Uses the current token on, although it is suspect.
    pub(crate) fn trust(&self) {
        self.is_suspect.store(false, Relaxed);
    }

    /// Waits for the fetch that is under way, or starts one.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        refused: Option<&Granted>,
        limits: impl Fn() -> L,
        fetch: impl Fn() -> Fetch,
    ) -> Result<Granted> {
        let (joined, has_begun) = self.join(refused, limits(), &fetch);
        match joined.await {
            // What began before this call came says nothing about now.
            Err(error) if has_begun && is_timeout(&error) => {
                self.join(refused, limits(), &fetch).0.await
            }
            result => result,
        }
    }

    /// Returns the fetch that is under way, or a new one, and whether it has begun before.
    fn join(
        self: &Arc<Self>,
        refused: Option<&Granted>,
        limits: L,
        fetch: &impl Fn() -> Fetch,
    ) -> (Shared<Fetch>, bool) {
        let mut under_way = lock(&self.under_way);
        // It may have ended before the lock was taken.
        if let Some(current) = self.usable(refused) {
            return (ready(Ok(current)).boxed().shared(), false);
        }
        // A fetch that has ended or was abandoned cannot be joined.
        under_way.retain(|known| known.fetch.upgrade().is_some_and(|it| it.peek().is_none()));
        let mut fits = under_way.iter().filter(|known| known.limits == limits);
        if let Some(fetch) = fits.find_map(|known| known.fetch.upgrade()) {
            return (fetch, true);
        }
        let new = Arc::clone(self).cached(fetch()).shared();
        under_way.extend(new.downgrade().map(|fetch| UnderWay { limits, fetch }));
        (new, false)
    }

    /// Caches the token that a fetch brings.
    fn cached(self: Arc<Self>, fetch: Fetch) -> Fetch {
        Box::pin(async move {
            let granted = fetch.await?;
            self.current.store(Some(Arc::new(granted.clone())));
            self.is_suspect.store(false, Relaxed);
            Ok(granted)
        })
    }
}

fn is_timeout(error: &Error) -> bool {
    matches!(error, Error::Timeout(_)) || error.is_provider_timeout()
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Redacts the token.
impl<L> fmt::Debug for Tokens<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &'static str) -> Granted {
        Some(HeaderValue::from_static(text))
    }

    /// Returns the tokens of a client to which this one was granted.
    fn with(granted: &Granted) -> Arc<Tokens<()>> {
        let tokens = Arc::new(Tokens::new());
        let fetch = || -> Fetch { Box::pin(ready(Ok(granted.clone()))) };
        let wait = tokens.wait(None, || (), fetch);
        assert_eq!(wait.now_or_never().unwrap().unwrap(), *granted);
        tokens
    }

    #[test]
    fn a_timeout_makes_only_the_token_of_its_call_suspect() {
        let now = Instant::now();
        let tokens = with(&token("new"));
        tokens.timed_out(&token("old"), now);
        tokens.timed_out(&None, now);
        assert!(!tokens.is_suspect());
        tokens.timed_out(&token("new"), now);
        assert!(tokens.is_suspect());
    }

    #[test]
    fn where_etcd_needs_no_token_a_timeout_makes_none_suspect() {
        let tokens = with(&None);
        tokens.timed_out(&None, Instant::now());
        assert!(!tokens.is_suspect());
    }

    #[test]
    fn a_token_is_suspect_at_most_every_thirty_seconds() {
        let (now, tokens) = (Instant::now(), with(&token("one")));
        for (seconds, is_suspect) in [(0, true), (29, false), (30, true)] {
            tokens.timed_out(&token("one"), now + Duration::from_secs(seconds));
            assert_eq!(tokens.is_suspect(), is_suspect, "after {seconds} s");
            tokens.trust();
        }
    }
}
