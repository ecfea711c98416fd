/// The counters of `/v2/stats/store`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) gets: Tally,
    pub(crate) sets: Tally,
    pub(crate) deletes: Tally,
    pub(crate) updates: Tally,
    pub(crate) creates: Tally,
    pub(crate) swaps: Tally,
    pub(crate) compare_deletes: Tally,
    pub(crate) expired: u64,
}

/// How often an operation was counted as a success and as a failure.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) success: u64,
    pub(crate) fail: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, success: bool) {
        if success {
            self.success += 1;
        } else {
            self.fail += 1;
        }
    }
}

impl Stats {
    /// The counters in the order in which etcd writes them.
    pub(crate) fn fields(&self, watchers: u64) -> [(&'static str, u64); 16] {
        [
            ("getsSuccess", self.gets.success),
            ("getsFail", self.gets.fail),
            ("setsSuccess", self.sets.success),
            ("setsFail", self.sets.fail),
            ("deleteSuccess", self.deletes.success),
            ("deleteFail", self.deletes.fail),
            ("updateSuccess", self.updates.success),
            ("updateFail", self.updates.fail),
            ("createSuccess", self.creates.success),
            ("createFail", self.creates.fail),
            ("compareAndSwapSuccess", self.swaps.success),
            ("compareAndSwapFail", self.swaps.fail),
            ("compareAndDeleteSuccess", self.compare_deletes.success),
            ("compareAndDeleteFail", self.compare_deletes.fail),
            ("expireCount", self.expired),
            ("watchers", watchers),
        ]
    }
}
