use crate::error::{Error, EtcdErrorKind};

/// How many keys to ask for at once: fewer, where a page was too large, or took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageSize {
    now: i64,
    most: i64,
}

impl PageSize {
    pub(super) fn new(keys: i64) -> Self {
        let most = keys.max(1);
        Self { now: most, most }
    }

    /// How many keys the next page has.
    pub(super) fn keys(self) -> i64 {
        self.now
    }

    /// A page arrived.
    pub(super) fn arrived(&mut self) {
        self.now = self.now.saturating_mul(2).min(self.most);
    }

    /// A page did not arrive. Returns whether a smaller one may.
    ///
    /// A page that is too large is halved. After a timeout, one key shows whether the server responds at all, and the
    /// pages grow again from there, up to a half.
    pub(super) fn failed(&mut self, error: &Error) -> bool {
        let is_too_large =
            error.is_too_large() || error.etcd_kind() == Some(EtcdErrorKind::ResponseTooLarge);
        let is_late = matches!(error, Error::Timeout(_));
        if self.now == 1 || !is_too_large && !is_late {
            return false;
        }
        self.most = self.now / 2;
        self.now = if is_late { 1 } else { self.most };
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        error::{ErrorContext, TimeoutError},
        pipeline::failure::Failure,
    };

    fn context() -> ErrorContext {
        ErrorContext::new("test", "http://a".parse().unwrap())
    }

    #[test]
    fn a_page_that_is_too_large_is_halved_down_to_one_key() {
        let mut page = PageSize::new(500);
        let mut sizes = vec![page.keys()];
        while page.failed(&Failure::TooLarge(1).into_error(context())) {
            sizes.push(page.keys());
            page.arrived();
        }
        assert_eq!(sizes, [500, 250, 125, 62, 31, 15, 7, 3, 1]);
    }

    #[test]
    fn after_a_time_out_pages_grow_from_one_key_to_a_half() {
        let mut page = PageSize::new(20);
        let late = Error::Timeout(TimeoutError::of(context(), Duration::ZERO));
        assert!(page.failed(&late));
        let mut sizes = Vec::new();
        for _ in 0..6 {
            sizes.push(page.keys());
            page.arrived();
        }
        assert_eq!(sizes, [1, 2, 4, 8, 10, 10]);
        let mut one = PageSize::new(0);
        assert!(one.keys() == 1 && !one.failed(&late));
    }

    #[test]
    fn any_other_failure_is_not_the_pages() {
        let mut page = PageSize::new(20);
        assert!(!page.failed(&Error::invalid("test", "no")));
        assert_eq!(page, PageSize::new(20));
    }
}
