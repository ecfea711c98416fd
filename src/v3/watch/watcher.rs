mod changes;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::pending,
    pin::pin,
    time::Duration,
};

use etcd_transport::Transport;
use futures::{
    StreamExt,
    future::{Either, select},
    stream::{self, BoxStream},
};

use crate::{
    client::Client,
    error::{Error, Result},
    operation::StreamOperation,
    pipeline::failure::Failure,
    v3::{
        Header,
        protocol::{
            method,
            status::{self, GrpcStatus},
        },
        stream::{
            connection::{Connection, ConnectionOptions, DuplexUse, Loss, Received},
            open::StreamCall,
            silence::SilenceLimit,
        },
        watch::{
            control::{Command, Commands},
            cursor::WatchPosition,
            event::Changes,
            message::{WatchRequest, WatchResponse},
            request::{Settings, Watch, WatchSetItem},
            requested::{CREATE_LIMIT, RequestedWatches, number},
            store::{SeenStore, agreed},
            watch_state::WatchState,
        },
    },
};

/// The watches of a set, with their progress, and the connection that they share.
pub(super) struct Watcher<T> {
    /// The settings are not valid.
    invalid: Option<Error>,
    client: Client<T>,
    /// The watches that have not ended, by number.
    watches: BTreeMap<usize, WatchState>,
    /// Those of them that wait for what a majority says of the store: see [`WatchState::is_unpinned`].
    unpinned: BTreeSet<usize>,
    /// Told how far the streams of these watches have come.
    positions: BTreeMap<usize, WatchPosition>,
    /// Changes of the set; `None` once it cannot change.
    commands: Option<Commands>,
    connection: Connection<T, WatchRequest, WatchResponse>,
    /// What the connection's request has asked for.
    requested: RequestedWatches,
    /// Items that have arrived and were not polled yet: the content of at most one message.
    ready: VecDeque<(usize, Result<Changes>)>,
    store: SeenStore,
}

/// What a watcher waits for.
enum Event {
    Received(Received<WatchResponse>),
    /// `None`: there will be no other.
    Command(Option<Command>),
    /// The request is outdated, and was kept for long enough.
    Replace,
}

impl<T: Transport> Watcher<T> {
    /// The watches of a set; one that changes, where there are commands.
    pub(super) fn new(
        client: Client<T>,
        watches: Vec<Watch>,
        settings: Settings,
        commands: Option<Commands>,
    ) -> Self {
        let options = ConnectionOptions {
            call: StreamCall {
                operation: Watch::NAME,
                method: method::WATCH,
                require_leader: settings.require_leader,
            },
            outage_limit: settings.outage_limit,
            silence: SilenceLimit::probe(settings.silence),
            expect_within: Some(CREATE_LIMIT),
            sends_state_first: false,
            token_limit: None,
            duplex: if commands.is_some() {
                DuplexUse::Always
            } else {
                DuplexUse::Never
            },
            has_worked: watches.iter().any(Watch::has_worked),
        };
        let freshness = watches.iter().find_map(Watch::freshness).cloned();
        let mut watcher = Self {
            invalid: settings.check().err(),
            connection: Connection::new(&client, options).confirming(freshness),
            client,
            watches: BTreeMap::new(),
            unpinned: BTreeSet::new(),
            positions: BTreeMap::new(),
            commands,
            requested: RequestedWatches::default(),
            ready: VecDeque::new(),
            store: SeenStore::default(),
        };
        for (number, watch) in watches.into_iter().enumerate() {
            match watch.check() {
                Ok(()) => watcher.add(number, watch),
                Err(error) => watcher.ready.push_back((number, Err(error))),
            }
        }
        watcher
    }

    /// What arrives, up to the first error of all watches.
    pub(super) fn into_stream(self) -> BoxStream<'static, Result<WatchSetItem>> {
        let next = |watcher: Option<Self>| async move {
            let mut watcher = watcher?;
            let item = watcher.next().await?;
            let more = item.is_ok().then_some(watcher);
            Some((item, more))
        };
        stream::unfold(Some(self), next).boxed()
    }

    /// The next revision of any watch. The last item is an error, or the end of the last watch.
    async fn next(&mut self) -> Option<Result<WatchSetItem>> {
        if let Some(error) = self.invalid.take() {
            return Some(Err(error));
        }
        loop {
            self.obey_all();
            if let Some((watch, changes)) = self.ready.pop_front() {
                if let Ok(changes) = &changes {
                    self.yielded(watch, changes.revision);
                }
                return Some(Ok(WatchSetItem { watch, changes }));
            }
            if self.watches.is_empty() && self.commands.is_none() {
                return None;
            }
            if let Err(error) = self.step().await {
                return Some(Err(error));
            }
        }
    }

    async fn step(&mut self) -> Result<()> {
        if let Some(&unpinned) = self.unpinned.first() {
            return self.pin(unpinned).await;
        }
        if self.watches.is_empty() {
            self.connection.rest();
        }
        match self.event().await {
            Event::Received(Received::Message(message, size)) => self.take(message, size).await,
            Event::Received(Received::Lost(loss)) => self.lost(loss),
            Event::Command(command) => {
                self.obey(command);
                Ok(())
            }
            Event::Replace => {
                self.close();
                Ok(())
            }
        }
    }

    /// Waits for whatever happens first.
    async fn event(&mut self) -> Event {
        let replace_in = self.replace_in();
        if replace_in == Some(Duration::ZERO) {
            return Event::Replace;
        }
        let replace = async {
            match replace_in {
                Some(time) => self.client.transport().sleep(time).await,
                None => pending().await,
            }
        };
        let command = async {
            match &mut self.commands {
                Some(commands) => commands.next().await,
                None => pending().await,
            }
        };
        let (watches, requested) = (&self.watches, &mut self.requested);
        let request = || {
            *requested = RequestedWatches::new(watches.keys().copied());
            let requests = watches.iter();
            requests
                .map(|(&number, watch)| watch.request(number))
                .collect()
        };
        let connection = &mut self.connection;
        let recv = async {
            if watches.is_empty() && !connection.is_open() {
                return pending().await;
            }
            connection.recv(request).await
        };
        let (recv, command, replace) = (pin!(recv), pin!(command), pin!(replace));
        match select(recv, select(command, replace)).await {
            Either::Left((received, _)) => Event::Received(received),
            Either::Right((Either::Left((command, _)), _)) => Event::Command(command),
            Either::Right((Either::Right(((), _)), _)) => Event::Replace,
        }
    }

    /// How long an outdated request stays in use. A revision that has arrived in part is waited for: it may be too
    /// large to arrive between two changes.
    fn replace_in(&self) -> Option<Duration> {
        let is_partial = self.connection.is_partial()
            || self
                .watches
                .values()
                .any(|watch| watch.buffered_bytes() > 0);
        if is_partial || !self.connection.is_open() {
            return None;
        }
        self.requested.replace_in(self.client.transport().now())
    }

    async fn take(&mut self, message: WatchResponse, size: usize) -> Result<()> {
        let number = if message.created {
            let Some(number) = self.requested.created(message.watch_id) else {
                let what = "another watch was created than was requested";
                return Err(self.connection.unexpected(what));
            };
            if !self.requested.is_complete() {
                self.connection.expect(CREATE_LIMIT);
            }
            Some(number)
        } else {
            // Without a number it is about the progress of the server, and promises nothing for any of these watches.
            number(message.watch_id)
        };
        // Messages about a canceled watch may arrive for a while.
        if let Some(number) = number.filter(|number| self.watches.contains_key(number)) {
            if message.canceled {
                self.canceled(number, &message)?;
            } else if message.created {
                self.created(number, &message.header).await?;
                self.reached(number);
            } else {
                self.changed(number, message, size)?;
            }
        }
        if self.connection.is_open() && self.requested.is_complete() {
            self.connection.settled();
            self.requested.settled(self.client.transport().now());
        }
        Ok(())
    }

    /// Something has happened to the keys of a watch, or nothing has up to here.
    fn changed(&mut self, number: usize, message: WatchResponse, size: usize) -> Result<()> {
        self.report(&message.header)?;
        self.connection.confirm();
        let limit = self.client.pipeline().max_response_size;
        if let Some(watch) = self.watches.get_mut(&number) {
            let changes = watch.take(message, size).into_iter();
            if watch.buffered_bytes() > limit {
                let failure = Failure::TooLarge(limit);
                return Err(failure.into_error(self.connection.context()));
            }
            self.ready
                .extend(changes.map(|changes| (number, Ok(changes))));
            self.reached(number);
        }
        Ok(())
    }

    /// A watch was created.
    async fn created(&mut self, number: usize, header: &Header) -> Result<()> {
        // Once the request has settled, its member is known to be good: it only lags behind what another has reported
        // since.
        if let Some(seen) = self.store.is_behind(header.revision)
            && !self.requested.is_settled()
            && let Some(watch) = self.watches.get(&number)
        {
            // Either this member lags behind, and will catch up, or the store was set back, which the majority would
            // say.
            match agreed(&self.client, watch.range()).await {
                Ok(Header { revision: now, .. }) if now < seen => {
                    return Err(self.connection.cluster_changed(format!(
                        "the store's revision is {now}, and this watch has seen {seen}: was its data restored from a \
                         backup?"
                    )));
                }
                Ok(_) => {}
                Err(error) => return self.lost(Loss::Failed(error)),
            }
        }
        self.report(header)
    }

    /// A watch has ended, or was not created.
    fn canceled(&mut self, number: usize, message: &WatchResponse) -> Result<()> {
        let context = self.connection.context();
        if message.compact_revision > 0 {
            self.end(number, status::compacted(context, message.compact_revision));
            return Ok(());
        }
        let refusal = GrpcStatus::of_text(&message.cancel_reason);
        let concerns_connection = refusal.is_token_error() || refusal.is_unavailable();
        let error = refusal.into_error(context);
        if concerns_connection {
            return self.lost(Loss::Failed(error));
        }
        self.end(number, error);
        Ok(())
    }

    /// The request is over. Goes on with another where that may help.
    fn lost(&mut self, loss: Loss) -> Result<()> {
        self.cut();
        if self.watches.is_empty() {
            self.connection.close();
            return Ok(());
        }
        self.connection.recover(loss)
    }

    /// What a member reports about itself and its cluster.
    fn report(&mut self, header: &Header) -> Result<()> {
        let connection = &self.connection;
        self.store.report(header, || connection.context())
    }

    /// Tells how far a watch has come, unless the stream has not yielded all that has arrived.
    fn reached(&mut self, number: usize) {
        if self.positions.contains_key(&number)
            && !self.ready.iter().any(|(watch, _)| *watch == number)
            && let Some(reached) = self.watches.get(&number).and_then(WatchState::reached)
            // A watch from a future revision has not come anywhere yet.
            && self.store.has(reached)
        {
            self.yielded(number, reached);
        }
    }

    /// The stream has yielded everything of a watch up to this revision.
    fn yielded(&self, number: usize, revision: i64) {
        if let Some(position) = self.positions.get(&number)
            && let Some(cursor) = self.store.cursor(revision)
        {
            position.set(cursor);
        }
    }

    fn end(&mut self, number: usize, error: Error) {
        self.watches.remove(&number);
        self.unpinned.remove(&number);
        self.ready.push_back((number, Err(error)));
    }

    fn close(&mut self) {
        self.connection.close();
        self.cut();
    }

    /// Drops what is incomplete.
    fn cut(&mut self) {
        self.watches.values_mut().for_each(WatchState::cut);
    }
}
