use crate::error::{Error, EtcdErrorKind};

/// How many keys the first page has, unless it is set.
const FIRST: i64 = 500;

/// How far pages grow: as far as those of Kubernetes. etcd makes the response whatever the values take, which only a
/// response shows.
const MOST: i64 = 10_000;

/// What pages grow up to, in bytes.
const GROWTH_LIMIT: usize = 1 << 20;

/// For how many pages a timeout limits their size: few, where it was an outage, and so many that, where pages of this size do
/// take too long, waiting for one now and then costs less than the pages between.
const PAGES_AFTER_TIMEOUT: u8 = 32;

/// How many keys to ask for at once: more, while pages are small, and fewer, where a page was too large, or took too long.
///
/// etcd 3.4 counts all keys that follow for each page, so that many small pages take long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageSize {
    now: i64,
    /// How far pages grow.
    most: i64,
    /// How far they grow for some pages after a timeout.
    timely: i64,
    /// For how many more pages that holds.
    limited: u8,
    growth_limit: usize,
}

impl PageSize {
    /// Pages of so many keys.
    pub(super) fn fixed(keys: i64) -> Self {
        let most = keys.max(1);
        Self {
            now: most,
            most,
            timely: most,
            limited: 0,
            growth_limit: usize::MAX,
        }
    }

    /// Pages that grow while they are small beside the largest response, in bytes.
    pub(super) fn growing(max_response_size: usize) -> Self {
        Self {
            now: FIRST,
            most: MOST,
            timely: MOST,
            limited: 0,
            growth_limit: GROWTH_LIMIT.min(max_response_size / 4),
        }
    }

    /// How many keys the next page has.
    pub(super) fn keys(self) -> i64 {
        self.now
    }

    /// A page of so many bytes arrived.
    pub(super) fn arrived(&mut self, bytes: usize) {
        let doubled = self.now.saturating_mul(2);
        let next = if bytes <= self.growth_limit / 2 || doubled <= FIRST {
            doubled
        } else if bytes > self.growth_limit {
            (self.now / 2).max(FIRST).min(self.now)
        } else {
            self.now
        };
        self.limited = self.limited.saturating_sub(1);
        let most = match self.limited {
            0 => self.most,
            _ => self.most.min(self.timely),
        };
        self.now = next.min(most);
    }

    /// A page did not arrive. Returns whether a smaller one may.
    ///
    /// A page that is too large is halved, and so are all that follow. After a timeout, one key shows whether the server responds
    /// at all, and the pages grow again from there, up to a half at first, and then further: an outage is no matter of their size.
    pub(super) fn failed(&mut self, error: &Error) -> bool {
        let is_too_large =
            error.is_too_large() || error.etcd_kind() == Some(EtcdErrorKind::ResponseTooLarge);
        let is_late = matches!(error, Error::Timeout(_));
        if self.now == 1 || !is_too_large && !is_late {
            return false;
        }
        if is_late {
            self.timely = self.now / 2;
            self.limited = PAGES_AFTER_TIMEOUT;
            self.now = 1;
        } else {
            self.most = self.now / 2;
            self.now = self.most;
        }
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
        for mut page in [PageSize::fixed(500), PageSize::growing(1 << 20)] {
            let mut sizes = vec![page.keys()];
            while page.failed(&Failure::TooLarge(1).into_error(context())) {
                sizes.push(page.keys());
                page.arrived(0);
            }
            assert_eq!(sizes, [500, 250, 125, 62, 31, 15, 7, 3, 1]);
        }
    }

    /// The sizes of pages whose keys take so many bytes.
    fn sizes(page: &mut PageSize, bytes_of_a_key: usize) -> [i64; 7] {
        std::array::from_fn(|_| {
            let keys = page.keys();
            page.arrived(usize::try_from(keys).unwrap() * bytes_of_a_key);
            keys
        })
    }

    #[test]
    fn pages_of_small_keys_grow_and_shrink_where_keys_are_larger() {
        let mut page = PageSize::growing(64 << 20);
        let grown = [500, 1000, 2000, 4000, 8000, 10_000, 10_000];
        assert_eq!(sizes(&mut page, 50), grown);
        // Down to the first size, whatever the values take.
        let shrunk = [10_000, 5000, 2500, 1250, 625, 500, 500];
        assert_eq!(sizes(&mut page, 100_000), shrunk);
        assert_eq!(sizes(&mut page, 200)[..4], [500, 1000, 2000, 4000]);
        assert_eq!(sizes(&mut page, 200)[..2], [4000, 4000]);
    }

    #[test]
    fn pages_stay_small_beside_the_largest_response() {
        let mut page = PageSize::growing(400_000);
        assert_eq!(sizes(&mut page, 150), [500; 7]);
        assert_eq!(sizes(&mut page, 60)[..4], [500, 1000, 1000, 1000]);
    }

    #[test]
    fn pages_that_are_set_stay_as_they_are() {
        let mut page = PageSize::fixed(20);
        assert_eq!(sizes(&mut page, 1), [20; 7]);
        assert_eq!(sizes(&mut page, 1 << 30), [20; 7]);
    }

    #[test]
    fn after_a_growing_page_has_failed_pages_grow_up_to_a_half_of_it() {
        let mut page = PageSize::growing(64 << 20);
        sizes(&mut page, 1);
        assert!(page.failed(&Failure::TooLarge(1).into_error(context())));
        assert_eq!(sizes(&mut page, 1), [5000; 7]);
        let late = Error::Timeout(TimeoutError::of(context(), Duration::ZERO));
        assert!(page.failed(&late));
        // Large values as well: the first size was not too large.
        assert_eq!(sizes(&mut page, 1 << 20), [1, 2, 4, 8, 16, 32, 64]);
    }

    #[test]
    fn after_a_time_out_pages_grow_from_one_key_to_a_half() {
        let mut page = PageSize::fixed(20);
        let late = Error::Timeout(TimeoutError::of(context(), Duration::ZERO));
        assert!(page.failed(&late));
        let mut sizes = Vec::new();
        for _ in 0..6 {
            sizes.push(page.keys());
            page.arrived(0);
        }
        assert_eq!(sizes, [1, 2, 4, 8, 10, 10]);
        let mut one = PageSize::fixed(0);
        assert!(one.keys() == 1 && !one.failed(&late));
    }

    /// How many pages and timeouts it takes to list so many keys, if the pages of which this is true time out.
    fn listing(mut page: PageSize, keys: i64, is_late: impl Fn(i64, usize) -> bool) -> [usize; 2] {
        let late = Error::Timeout(TimeoutError::of(context(), Duration::ZERO));
        let (mut listed, mut pages, mut timeouts) = (0, 0, 0);
        while listed < keys {
            if is_late(page.keys(), pages + timeouts) {
                timeouts += 1;
                assert!(page.failed(&late), "one key is late");
            } else {
                pages += 1;
                listed += page.keys();
                page.arrived(0);
            }
        }
        [pages, timeouts]
    }

    #[test]
    fn outages_in_a_row_leave_pages_small_for_a_while_only() {
        let growing = || PageSize::growing(64 << 20);
        assert_eq!(listing(growing(), 20_000, |_, _| false), [6, 0]);
        // The second one is met by a page of two keys.
        let outages = listing(growing(), 20_000, |_, nth| matches!(nth, 3 | 5));
        assert_eq!(outages, [50, 2]);
        let many = listing(growing(), 20_000, |keys, nth| keys > 1 && nth < 20);
        assert_eq!(many, [47, 2]);
        let fixed = listing(PageSize::fixed(500), 20_000, |_, nth| matches!(nth, 3 | 5));
        assert_eq!(fixed, [80, 2]);
    }

    #[test]
    fn pages_that_do_take_too_long_stay_smaller() {
        for (most, expected) in [
            (1, [1000, 33]),
            (2, [509, 17]),
            (3, [509, 17]),
            (100, [26, 2]),
        ] {
            let page = PageSize::growing(64 << 20);
            assert_eq!(
                listing(page, 1000, |keys, _| keys > most),
                expected,
                "{most}"
            );
        }
    }

    #[test]
    fn any_other_failure_is_not_the_pages() {
        let mut page = PageSize::fixed(20);
        assert!(!page.failed(&Error::invalid("test", "no")));
        assert_eq!(page, PageSize::fixed(20));
    }
}
