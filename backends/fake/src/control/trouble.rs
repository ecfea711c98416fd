use crate::{
    fake::FakeEtcd,
    v3::{
        error::V3Error,
        message::{
            kv::CompactionRequest,
            maintenance::{AlarmAction, AlarmRequest, AlarmType},
        },
    },
};

/// What goes wrong in a store, as by another client or a server's own doing.
impl FakeEtcd {
    /// Compacts the history of the v3 store at its present revision, as a server with `--auto-compaction-retention` may at any
    /// moment. A watch that resumes from an earlier revision ends with the compacted revision.
    pub fn compact(&self) {
        let revision = self.revision();
        // It may have been compacted there before.
        let _: Result<(), V3Error> = self.shared.with(|core| {
            let request = CompactionRequest {
                revision,
                ..CompactionRequest::default()
            };
            core.cluster.propose(0, request).map(|_| ())
        });
    }

    /// Raises the alarm NOSPACE: what adds data is refused until [`free_space`](Self::free_space).
    pub fn exhaust_space(&self) {
        self.alarm(AlarmAction::ACTIVATE);
    }

    /// Lifts the alarm NOSPACE.
    pub fn free_space(&self) {
        self.alarm(AlarmAction::DEACTIVATE);
    }

    /// Forgets all v3 tokens, as servers do that restart.
    pub fn revoke_tokens(&self) {
        self.shared.with(|core| {
            for stores in core.cluster.states() {
                stores.v3.auth.restart();
            }
        });
    }

    /// Drops the next `count` reports of progress of v3 watches, asked for or not.
    pub fn lose_progress(&self, count: usize) {
        self.shared.with(|core| {
            for stores in core.cluster.states() {
                stores.v3.watches.lose_progress(count);
            }
        });
    }

    /// Replaces the data by those of another fake, as restoring a backup does. Servers restart: open responses break off. Members
    /// and the cluster's id stay; [`change_cluster_id`](Self::change_cluster_id) gives it the id of a new one.
    ///
    /// ```
    /// # use etcd_http_fake::FakeEtcd;
    /// let etcd = FakeEtcd::new();
    /// let backup = etcd.fork();
    /// // … some writes later …
    /// etcd.restore(&backup);
    /// ```
    pub fn restore(&self, backup: &Self) {
        let stores = backup.shared.with(|core| core.cluster.state.backup());
        self.shared.with(|core| {
            core.stop_servers();
            core.cluster.restore(|state| *state = stores);
        });
    }

    /// Gives the cluster another id, as a new one has: with [`wipe`](Self::wipe) it is empty, with
    /// [`restore`](Self::restore) it has old data. Servers restart.
    pub fn change_cluster_id(&self) {
        self.shared.with(|core| {
            core.stop_servers();
            let id = core.cluster.rng.next();
            core.cluster.membership.set_id(id);
        });
    }

    fn alarm(&self, action: AlarmAction) {
        self.shared.with(|core| {
            let member_id = core.cluster.member(0).map_or(0, |member| member.id);
            let alarm = AlarmType::NOSPACE;
            let request = AlarmRequest {
                action,
                member_id,
                alarm,
            };
            // An alarm cannot fail.
            let _ = core.cluster.propose(0, request);
        });
    }
}
