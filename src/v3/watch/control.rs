use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use etcd_transport::Transport;
use futures::{
    StreamExt,
    channel::mpsc::{self, UnboundedReceiver, UnboundedSender},
    stream::BoxStream,
};

use crate::v3::watch::{
    request::{Watch, WatchSet, WatchSetItem},
    watcher::Watcher,
};
use crate::{
    client::Client,
    error::{Error, Result},
    operation::{StreamOperation, sealed::Sealed},
    v3::namespace::{NamespacedStream, Outside, Prefix},
};

/// A [`WatchSet`] that a [`WatchControl`] changes while it is open. See [`WatchSet::controlled`].
#[derive(Debug)]
#[must_use = "an operation does nothing before `Client::open`"]
pub struct ControlledWatchSet {
    set: WatchSet,
    commands: Commands,
}

/// Adds watches to an open set, and cancels them. A clone controls the same set.
///
/// Both methods return immediately. The stream of the set applies them when it is polled next. See
/// [`WatchSet::controlled`].
#[derive(Clone)]
pub struct WatchControl {
    commands: UnboundedSender<Command>,
    /// The number of the next watch.
    next: Arc<AtomicUsize>,
}

/// A change of a set.
#[derive(Debug)]
pub(super) enum Command {
    Add(usize, Box<Watch>),
    Cancel(usize),
}

/// The changes of a set by its controls, in order.
#[derive(Debug)]
pub(super) struct Commands {
    commands: UnboundedReceiver<Command>,
    /// The namespace in which the set is opened.
    prefix: Option<Prefix>,
}

impl ControlledWatchSet {
    pub(super) fn new(set: WatchSet) -> (Self, WatchControl) {
        let (sender, commands) = mpsc::unbounded();
        let control = WatchControl {
            commands: sender,
            next: Arc::new(AtomicUsize::new(set.watches.len())),
        };
        let prefix = None;
        let commands = Commands { commands, prefix };
        (Self { set, commands }, control)
    }
}

impl WatchControl {
    /// Adds a watch, and returns its number in the set. No number is used twice.
    ///
    /// A watch without a start begins when the stream takes it up: the stream asks for the store's revision, and the
    /// other watches wait for the response. The time limits of the set apply, not those of the watch.
    ///
    /// # Errors
    /// [`Error::Invalid`] if etcd could not execute it, or if the stream of the set has ended or was dropped.
    pub fn add(&self, watch: Watch) -> Result<usize> {
        watch.check()?;
        let number = self.next.fetch_add(1, Relaxed);
        let add = Command::Add(number, Box::new(watch));
        match self.commands.unbounded_send(add) {
            Ok(()) => Ok(number),
            Err(_) => {
                let reason = "the stream of this set has ended, or was dropped";
                Err(Error::invalid(WatchSet::NAME, reason))
            }
        }
    }

    /// Cancels the watch with this number. The stream delivers nothing more of it, not even what has arrived. It is not
    /// an error if the watch has ended or never existed.
    pub fn cancel(&self, watch: usize) {
        // An error means that the stream has ended, and with it the watch.
        let _ = self.commands.unbounded_send(Command::Cancel(watch));
    }
}

impl fmt::Debug for WatchControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchControl").finish_non_exhaustive()
    }
}

impl Commands {
    /// The next one; `None` when no control is left. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Command> {
        let mut command = self.commands.next().await;
        if let (Some(Command::Add(_, watch)), Some(prefix)) = (&mut command, &self.prefix) {
            watch.enter(prefix);
        }
        command
    }
}

impl Sealed for ControlledWatchSet {}

impl StreamOperation for ControlledWatchSet {
    type Item = WatchSetItem;
    const NAME: &'static str = WatchSet::NAME;

    fn open<T: Transport>(self, client: &Client<T>) -> BoxStream<'static, Result<WatchSetItem>> {
        let WatchSet { watches, settings } = self.set;
        Watcher::new(client.clone(), watches, settings, Some(self.commands)).into_stream()
    }
}

impl NamespacedStream for ControlledWatchSet {
    fn enter(&mut self, prefix: &Prefix) {
        self.set.enter(prefix);
        self.commands.prefix = Some(prefix.clone());
    }

    fn leave(item: &mut WatchSetItem, prefix: &Prefix) -> Result<(), Outside> {
        WatchSet::leave(item, prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_is_printed_by_its_name() {
        let (_, control) = ControlledWatchSet::new(WatchSet::default());
        assert_eq!(format!("{control:?}"), "WatchControl { .. }");
    }
}
