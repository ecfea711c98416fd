use etcd_transport::Transport;

use crate::{
    client::Client,
    error::{Error, ErrorContext, Outcome, Result, UnexpectedKind, UnexpectedResponse},
    v3::{Header, KeyRange, Range, watch::cursor::WatchCursor},
};

/// What the members have said about the store: its cluster and its revision.
#[derive(Debug, Default)]
pub(super) struct SeenStore {
    /// The cluster of the first member that responded.
    cluster: Option<u64>,
    /// The highest revision that any member has reported.
    revision: i64,
    /// The highest raft term.
    term: u64,
}

impl SeenStore {
    /// Takes in what a member reports.
    ///
    /// # Errors
    /// [`is_cluster_changed`](Error::is_cluster_changed) where it is a member of another cluster: a watch cannot go on
    /// there.
    pub(super) fn report(
        &mut self,
        header: &Header,
        context: impl FnOnce() -> ErrorContext,
    ) -> Result<()> {
        let cluster = *self.cluster.get_or_insert(header.cluster_id);
        if cluster != header.cluster_id {
            let other = header.cluster_id;
            let what = format!(
                "this is a member of cluster {other:x}, and the watch began in cluster {cluster:x}: it cannot go \
                 on from the revision that it has come to"
            );
            let error = UnexpectedResponse::of(context(), what, Outcome::Unknown);
            let error = error.with_kind(UnexpectedKind::ClusterChanged);
            return Err(Error::Unexpected(error));
        }
        self.revision = self.revision.max(header.revision);
        self.term = self.term.max(header.raft_term);
        Ok(())
    }

    /// A cursor of this store; `None` before a member has responded.
    pub(super) fn cursor(&self, revision: i64) -> Option<WatchCursor> {
        let cluster_id = self.cluster?;
        Some(WatchCursor::after(&Header {
            cluster_id,
            raft_term: self.term,
            revision,
            ..Header::default()
        }))
    }

    /// Whether a member has reported this revision or a later one.
    pub(super) fn has(&self, revision: i64) -> bool {
        revision <= self.revision
    }

    /// The revision that was reported before, if this one is lower.
    pub(super) fn is_behind(&self, revision: i64) -> Option<i64> {
        (revision < self.revision).then_some(self.revision)
    }
}

/// The store's revision, as the majority of the members agrees.
pub(super) async fn agreed<T: Transport>(client: &Client<T>, range: &KeyRange) -> Result<Header> {
    // A user who may watch a range may read its first key.
    let read = Range::new(range.start()).keys_only(true);
    Ok(client.send(read).await?.header)
}
