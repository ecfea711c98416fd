use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;

/// How long "unsupported" is cached.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The features that a server has said it does not support.
///
/// Servers are upgraded, so an entry expires after a minute, and immediately when a request to the server fails, as
/// requests do when a server restarts.
#[derive(Debug, Default)]
pub(crate) struct UnsupportedFeatures(ArcSwapOption<Vec<Unsupported>>);

#[derive(Clone, Copy, Debug)]
struct Unsupported {
    name: &'static str,
    until: Instant,
}

impl UnsupportedFeatures {
    /// Records that the server does not support this.
    pub(crate) fn add(&self, name: &'static str, now: Instant) {
        let until = now + REMEMBERED;
        self.0.rcu(|all| {
            let known = all.iter().flat_map(|all| all.iter());
            let others = known.filter(|it| it.name != name && it.until > now);
            let all = others.copied().chain([Unsupported { name, until }]);
            Some(Arc::new(all.collect()))
        });
    }

    pub(crate) fn contains(&self, name: &str, now: Instant) -> bool {
        let all = self.0.load();
        let mut all = all.iter().flat_map(|all| all.iter());
        all.any(|it| it.name == name && it.until > now)
    }

    /// Clears all entries: it may be another server now.
    pub(crate) fn forget(&self) {
        if self.0.load().is_some() {
            self.0.store(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unsupported_is_remembered_for_a_minute_each() {
        let (unsupported, start) = (UnsupportedFeatures::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let known = |seconds| ["/a", "/b"].map(|path| unsupported.contains(path, at(seconds)));
        unsupported.add("/a", at(0));
        assert_eq!(known(30), [true, false]);
        unsupported.add("/b", at(30));
        assert_eq!(known(59), [true, true]);
        assert_eq!(known(60), [false, true]);
        unsupported.add("/a", at(70));
        assert_eq!(known(89), [true, true]);
        assert_eq!(known(90), [true, false]);
        unsupported.forget();
        assert_eq!(known(90), [false, false]);
    }
}
