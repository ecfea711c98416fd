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

/// A [`WatchSet`] that changes while it is open, by its [`WatchControl`]. See [`WatchSet::controlled`].
#[derive(Debug)]
#[must_use = "an operation does nothing before `Client::open`"]
pub struct ControlledWatchSet {
    set: WatchSet,
    commands: Commands,
}

/// Adds watches to a set that is open, and cancels them. A clone controls the same set.
///
/// Both return at once; the stream of the set carries them out when it is polled next. See [`WatchSet::controlled`].
#[derive(Clone)]
pub struct WatchControl {
    commands: UnboundedSender<Command>,
    /// The number of the next watch.
    next: Arc<AtomicUsize>,
}

/// What a control wants of its set.
#[derive(Debug)]
pub(super) enum Command {
    Add(usize, Box<Watch>),
    Cancel(usize),
}

/// What the controls of a set want of it, in order.
#[derive(Debug)]
pub(super) struct Commands {
    commands: UnboundedReceiver<Command>,
    /// The namespace that the set is opened in.
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
    /// Adds a watch, and returns its number in the set: the next one, no number is used twice. One «from now» begins when
    /// the stream takes it up: the store's revision is asked for, and the other watches of the set wait for the answer. Its limits of time do not count, those of the set do.
    ///
    /// # Errors
    /// [`Error::Invalid`] where etcd could not carry it out, and where the stream of the set has ended or was dropped.
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

    /// Cancels the watch with this number. The stream delivers nothing of it from now on, not even what had arrived
    /// already. A watch that is over, or never was, is no error.
    pub fn cancel(&self, watch: usize) {
        // An error means that the stream is gone, and with it the watch.
        let _ = self.commands.unbounded_send(Command::Cancel(watch));
    }
}

impl fmt::Debug for WatchControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchControl").finish_non_exhaustive()
    }
}

impl Commands {
    /// The next one; `None` when no control is left. Nothing is lost when this future is dropped.
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
        Watcher::new(client.clone(), watches, settings)
            .controlled(self.commands)
            .into_stream()
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
