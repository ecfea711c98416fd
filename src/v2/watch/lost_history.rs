use etcd_transport::Transport;

use crate::{
    base::trace,
    error::{Error, Result},
    operation::StreamOperation,
    v2::{
        keys::Get,
        watch::{
            event::Event,
            filter::is_unchanged_file,
            polls::Poll,
            request::{Resync, Watch, WatchUpdate},
            watcher::{OnCleared, Watcher},
        },
    },
};

/// History that the server no longer had when it was requested.
///
/// The file has changed since, but perhaps only after that request: then the first event after it names the file as it
/// was before, and shows that nothing is missing.
pub(super) struct LostHistory {
    error: Error,
    /// The index of the change.
    changed_at: u64,
    resync: Resync,
}

impl<T: Transport> Watcher<T> {
    /// Handles the loss of the history from `next` on. Nothing is lost if the file shows no change since; otherwise the
    /// caller's setting decides. The server may have told that it is lost before it delivered the event to an older poll,
    /// which has been registered all the time.
    pub(super) async fn cleared(
        &mut self,
        next: u64,
        error: Error,
        older: Option<Poll<T>>,
    ) -> Result<Option<WatchUpdate>> {
        let asked = self.client.transport().now();
        let get = Get::new(&self.watch.key).recursive(self.watch.recursive);
        let (state, index) = match self.client.send(get).await {
            Ok(event) => (Some(event.node), event.cluster.etcd_index),
            Err(error) if error.is_key_not_found() || error.is_not_a_directory() => {
                (None, error.as_etcd().and_then(|etcd| etcd.index()))
            }
            Err(error) => {
                self.survive_call(asked, error).await?;
                return Ok(None);
            }
        };
        let Some(index) = index else {
            return Err(error);
        };
        if index < next {
            // Another member that lags behind: it will catch up.
            self.pause(error).await?;
            return Ok(None);
        }
        let before = self.lost.as_ref();
        let lost_from = before.map_or(next, |lost| lost.resync.lost_from);
        if state
            .as_ref()
            .is_some_and(|node| is_unchanged_file(node, lost_from))
        {
            self.lost = None;
            self.go_on_from(index.saturating_add(1));
            return Ok(None);
        }
        // The server's index at that request: a later event is in its history.
        let requested_at = error.as_etcd().and_then(|etcd| etcd.index());
        let file = state.as_ref().filter(|node| !node.dir);
        let changed_at = file.map_or(0, |node| node.modified_index);
        let lost = LostHistory {
            resync: Resync::new(lost_from, index, state),
            changed_at,
            error,
        };
        match requested_at {
            Some(at) if at < changed_at => {
                self.lost = Some(lost);
                self.go_on_from(at.saturating_add(1));
                Ok(None)
            }
            _ => match older.filter(|older| older.from <= lost_from) {
                Some(older) => match older.in_flight(self.client.transport()).await {
                    Some(brought) => Box::pin(self.answer(brought, None)).await,
                    // What was read is old by now.
                    None => Ok(None),
                },
                None => self.lose(lost).map(Some),
            },
        }
    }

    /// Delivers an event, or the loss of those before it if it does not show that there were none.
    pub(super) fn after_lost_history(&mut self, event: Event) -> Result<WatchUpdate> {
        let Some(lost) = self.lost.take() else {
            return Ok(WatchUpdate::Event(event));
        };
        let before = event.prev_node.as_ref();
        let is_first = event.node.key == self.key
            && before.is_some_and(|node| is_unchanged_file(node, lost.resync.lost_from));
        if is_first {
            return Ok(WatchUpdate::Event(event));
        }
        self.lose(lost)
    }

    /// Handles the absence of events up to this index: a change before it was a refresh, which has no event and does not
    /// show what was before.
    pub(super) fn lost_unless_pending(&mut self, index: u64) -> Result<Option<WatchUpdate>> {
        let lost = self.lost.take_if(|lost| lost.changed_at <= index);
        lost.map(|lost| self.lose(lost)).transpose()
    }

    /// Ends the watch, or goes on from the state that was read.
    fn lose(&mut self, lost: LostHistory) -> Result<WatchUpdate> {
        let LostHistory { error, resync, .. } = lost;
        if self.on_cleared == OnCleared::Fail {
            return Err(error);
        }
        trace::resynced(Watch::NAME, &error);
        self.lost = None;
        self.go_on_from(resync.index.saturating_add(1));
        Ok(WatchUpdate::Resync(resync))
    }
}
