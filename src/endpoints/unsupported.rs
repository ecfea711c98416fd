use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;

/// How long a server's word is taken for what it does not have.
const BELIEVED: Duration = Duration::from_secs(60);

/// Calls that every member carries out, whichever is asked. One of 3.4 ends with a panic when one of 3.5 makes it: in a
/// cluster that is being upgraded, whoever has them is the last to be asked.
const BY_ALL_MEMBERS: [&str; 2] = ["/v3/auth/status", "/v3/maintenance/downgrade"];

/// Whether a call is not to be made as long as any member lacks it.
pub(crate) fn is_by_all_members(path: &str) -> bool {
    BY_ALL_MEMBERS.contains(&path)
}

/// The calls that a server has said it does not have, by their paths.
///
/// It is not for ever, as servers are upgraded: it is forgotten after a minute; and at once when a request to the server
/// has failed, as they do when it is started anew.
#[derive(Debug, Default)]
pub(crate) struct UnsupportedCalls(ArcSwapOption<Vec<UnsupportedCall>>);

#[derive(Clone, Copy, Debug)]
struct UnsupportedCall {
    path: &'static str,
    until: Instant,
}

impl UnsupportedCalls {
    /// The server has just said that it does not have this call.
    pub(crate) fn add(&self, path: &'static str, now: Instant) {
        let until = now + BELIEVED;
        self.0.rcu(|calls| {
            let known = calls.iter().flat_map(|calls| calls.iter());
            let others = known.filter(|call| call.path != path && call.until > now);
            let calls = others.copied().chain([UnsupportedCall { path, until }]);
            Some(Arc::new(calls.collect()))
        });
    }

    pub(crate) fn contains(&self, path: &str, now: Instant) -> bool {
        let calls = self.0.load();
        let mut calls = calls.iter().flat_map(|calls| calls.iter());
        calls.any(|call| call.path == path && call.until > now)
    }

    /// It may be another server now.
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
    fn what_is_missing_is_believed_for_a_minute_each() {
        let (missing, start) = (UnsupportedCalls::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let known = |seconds| ["/a", "/b"].map(|path| missing.contains(path, at(seconds)));
        missing.add("/a", at(0));
        assert_eq!(known(30), [true, false]);
        missing.add("/b", at(30));
        assert_eq!(known(59), [true, true]);
        assert_eq!(known(60), [false, true]);
        missing.add("/a", at(70));
        assert_eq!(known(89), [true, true]);
        assert_eq!(known(90), [true, false]);
        missing.forget();
        assert_eq!(known(90), [false, false]);
    }
}
