use std::mem;

use etcd_transport::Transport;
use futures::FutureExt;

use super::Watcher;
use crate::{
    error::Result,
    v3::watch::{
        control::Command,
        message::{CancelRequest, WatchRequest},
        request::Watch,
        requested::{CREATE_LIMIT, id},
        store::agreed,
        watch_state::WatchState,
    },
};

/// How watches join a set, and leave it.
impl<T: Transport> Watcher<T> {
    /// Executes the commands that have arrived.
    pub(super) fn obey_all(&mut self) {
        while let Some(commands) = &mut self.commands
            && let Some(command) = commands.next().now_or_never()
        {
            self.obey(command);
        }
    }

    pub(super) fn obey(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Add(number, watch)) => self.add(number, *watch),
            Some(Command::Cancel(number)) => self.cancel(number),
            None => self.commands = None,
        }
    }

    pub(super) fn add(&mut self, number: usize, watch: Watch) {
        if let Some(position) = watch.position() {
            self.positions.insert(number, position.clone());
        }
        let watch = WatchState::new(watch);
        let is_unpinned = watch.is_unpinned();
        self.watches.insert(number, watch);
        if is_unpinned {
            self.unpinned.insert(number);
        } else {
            self.request(number);
        }
    }

    /// Requests a watch on the open connection. Otherwise it is requested with all others when the connection opens.
    fn request(&mut self, number: usize) {
        let Some(watch) = self.watches.get(&number) else {
            return;
        };
        if !self.connection.is_open() {
            return;
        }
        if !self.connection.send([&watch.request(number)]) {
            self.requested.outdated(self.client.transport().now());
            return;
        }
        if self.requested.is_complete() {
            self.connection.expect(CREATE_LIMIT);
        }
        self.requested.add(number);
    }

    fn cancel(&mut self, number: usize) {
        self.ready.retain(|(watch, _)| *watch != number);
        self.positions.remove(&number);
        let is_requested = self.watches.remove(&number).is_some() && !self.unpinned.remove(&number);
        if is_requested {
            self.withdraw(number);
        }
    }

    /// Takes back the request for a watch that was removed.
    pub(super) fn withdraw(&mut self, number: usize) {
        if !self.connection.is_open() {
            return;
        }
        if !self
            .connection
            .send([&WatchRequest::Cancel(CancelRequest { id: id(number) })])
        {
            self.requested.outdated(self.client.transport().now());
            if self.watches.is_empty() {
                self.close();
            }
        }
    }

    /// Finds out the store's revision for all watches that begin with it: the revision that a server reports when it
    /// creates a watch may be later than the first that it delivers.
    pub(super) async fn pin(&mut self, unpinned: usize) -> Result<()> {
        let Some(watch) = self.watches.get(&unpinned) else {
            self.unpinned.remove(&unpinned);
            return Ok(());
        };
        // The stream itself tries again, and pauses as it does between connections.
        let once = self.client.pipeline().retry.clone().attempts(1);
        match agreed(&self.client.with_retry(once), watch.range()).await {
            Ok(header) => {
                self.report(&header)?;
                for number in mem::take(&mut self.unpinned) {
                    let Some(watch) = self.watches.get_mut(&number) else {
                        continue;
                    };
                    match watch.pin(&header) {
                        Ok(()) => {
                            self.reached(number);
                            self.request(number);
                        }
                        Err(mismatch) => {
                            let error = self.connection.cluster_changed(mismatch);
                            self.end(number, error);
                        }
                    }
                }
                Ok(())
            }
            Err(error) if self.connection.survives(&error) => self.connection.pause(error).await,
            Err(error) => {
                self.end(unpinned, error);
                Ok(())
            }
        }
    }
}
