use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;

/// How long "unsupported" is cached.
const REMEMBERED: Duration = Duration::from_secs(60);

/// A part of an API that a server may not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    /// Every member executes it, whichever is contacted, so every member must support it.
    pub(crate) by_all_members: bool,
}

/// The features that an endpoint does not support, because its etcd says so or because no etcd responds there.
///
/// Servers are upgraded, so an entry expires after a minute, and immediately when a request to the server fails, as
/// requests do when a server restarts.
#[derive(Debug, Default)]
pub(crate) struct UnsupportedFeatures(ArcSwapOption<Vec<Unsupported>>);

#[derive(Clone, Copy, Debug)]
struct Unsupported {
    name: &'static str,
    is_certain: bool,
    until: Instant,
}

impl UnsupportedFeatures {
    /// Records that the server does not support this.
    pub(crate) fn add(&self, name: &'static str, is_certain: bool, now: Instant) {
        let until = now + REMEMBERED;
        self.0.rcu(|all| {
            let known = all.iter().flat_map(|all| all.iter());
            let others = known.filter(|it| it.name != name && it.until > now);
            let new = Unsupported {
                name,
                is_certain,
                until,
            };
            let all = others.copied().chain([new]);
            Some(Arc::new(all.collect()))
        });
    }

    /// Whether it does not support this by etcd's own word.
    pub(crate) fn contains(&self, name: &str, now: Instant) -> bool {
        self.any(|it| it.is_certain && it.name == name && it.until > now)
    }

    /// Returns whether it does not support this feature.
    pub(crate) fn has(&self, name: &str, now: Instant) -> bool {
        self.any(|it| it.name == name && it.until > now)
    }

    fn any(&self, is: impl Fn(&Unsupported) -> bool) -> bool {
        let all = self.0.load();
        all.iter().flat_map(|all| all.iter()).any(is)
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
        unsupported.add("/a", true, at(0));
        assert_eq!(known(30), [true, false]);
        unsupported.add("/b", true, at(30));
        assert_eq!(known(59), [true, true]);
        assert_eq!(known(60), [false, true]);
        unsupported.add("/a", true, at(70));
        assert_eq!(known(89), [true, true]);
        assert_eq!(known(90), [true, false]);
        unsupported.forget();
        assert_eq!(known(90), [false, false]);
    }

    #[test]
    fn the_last_report_counts() {
        let (unsupported, start) = (UnsupportedFeatures::default(), Instant::now());
        unsupported.add("/a", true, start);
        unsupported.add("/a", false, start);
        assert!(unsupported.has("/a", start) && !unsupported.contains("/a", start));
    }
}
