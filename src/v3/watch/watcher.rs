use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::pending,
    mem,
    pin::pin,
    time::Duration,
};

use etcd_transport::Transport;
use futures::{
    FutureExt, StreamExt,
    future::{Either, select},
    stream::{self, BoxStream},
};
use http::StatusCode;

use crate::v3::watch::{
    control::{Command, Commands},
    duplex::DuplexEndpoints,
    event::{Changes, WatchResponse},
    request::{Settings, Watch, WatchSetItem},
    watch_connection::WatchConnection,
    watch_state::{self, WatchState, id},
};
use crate::{
    client::Client,
    error::{Error, ErrorContext, Outcome, Result, UnexpectedAnswer, UnexpectedKind},
    operation::{Repeat, StreamOperation},
    pipeline::{execute::Failure, reconnect::Reconnect},
    v3::{
        Header, KeyRange, Range,
        protocol::{
            gateway,
            status::{self, GrpcStatus},
        },
        stream::connection::{Received, is_token_error},
    },
};

/// For so long the changes of a set are gathered, where each takes another request.
const GATHERED: Duration = Duration::from_millis(50);

/// The watches of a set at work: how far each has come, and the line that they share.
pub(super) struct Watcher<T> {
    client: Client<T>,
    settings: Settings,
    /// The watches that are not over, by their numbers.
    tracks: BTreeMap<usize, WatchState>,
    /// Those of them that are to begin now, and nobody has asked yet when that is.
    unpinned: BTreeSet<usize>,
    /// Where the set changes; `None` once it cannot.
    commands: Option<Commands>,
    line: Option<WatchConnection<T>>,
    duplex: DuplexEndpoints,
    /// What has arrived and was not asked for yet: of one message at most.
    ready: VecDeque<(usize, Result<Changes>)>,
    outage: Reconnect,
    /// Another token was fetched, and no line has come about since.
    is_renewed: bool,
    /// The highest revision that any member has shown.
    seen: i64,
    /// Which cluster this is, once one has answered.
    cluster: Option<u64>,
}

/// What a watcher waits for.
enum Turn {
    Received(Received<WatchResponse>),
    /// `None`: no other will come.
    Command(Option<Command>),
    /// The line is not what the set is, and has been kept for long enough.
    Replace,
}

impl<T: Transport> Watcher<T> {
    pub(super) fn new(client: Client<T>, watches: Vec<Watch>, settings: Settings) -> Self {
        let mut watcher = Self {
            client,
            outage: Reconnect::new(settings.outage),
            settings,
            tracks: BTreeMap::new(),
            unpinned: BTreeSet::new(),
            commands: None,
            line: None,
            duplex: DuplexEndpoints::default(),
            ready: VecDeque::new(),
            is_renewed: false,
            seen: 0,
            cluster: None,
        };
        for (number, watch) in watches.into_iter().enumerate() {
            match watch.check() {
                Ok(()) => watcher.add(number, watch),
                Err(error) => watcher.ready.push_back((number, Err(error))),
            }
        }
        watcher
    }

    /// The same, changing by these.
    pub(super) fn controlled(mut self, commands: Commands) -> Self {
        self.commands = Some(commands);
        self
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

    /// Waits for the next revision of any watch. An error is the last item, and so is the end of the last watch.
    async fn next(&mut self) -> Option<Result<WatchSetItem>> {
        loop {
            self.obey_all();
            if let Some((watch, changes)) = self.ready.pop_front() {
                return Some(Ok(WatchSetItem { watch, changes }));
            }
            if self.tracks.is_empty() && self.commands.is_none() {
                self.cut();
                return None;
            }
            if let Err(error) = self.step().await {
                self.cut();
                return Some(Err(error));
            }
        }
    }

    async fn step(&mut self) -> Result<()> {
        if let Some(&unpinned) = self.unpinned.first() {
            return self.pin(unpinned).await;
        }
        if self.line.is_none() {
            if !self.tracks.is_empty() {
                return self.open().await;
            }
            // While nothing is watched, nothing is out.
            self.outage = Reconnect::new(self.settings.outage);
        }
        match self.turn().await {
            Turn::Received(Received::Message(message, size)) => self.take(message, size).await,
            Turn::Received(Received::Failed(error)) => self.lost(error).await,
            Turn::Received(Received::Ended(error)) => self.ended(error).await,
            Turn::Received(Received::Stale) | Turn::Replace => {
                self.cut();
                Ok(())
            }
            Turn::Command(command) => {
                self.obey(command);
                Ok(())
            }
        }
    }

    /// Waits for whatever comes first.
    async fn turn(&mut self) -> Turn {
        let kept_for = self.kept_for();
        if kept_for == Some(Duration::ZERO) {
            return Turn::Replace;
        }
        let replace = async {
            match kept_for {
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
        let recv = async {
            match &mut self.line {
                Some(line) => line.recv().await,
                None => pending().await,
            }
        };
        let (recv, command, replace) = (pin!(recv), pin!(command), pin!(replace));
        match select(recv, select(command, replace)).await {
            Either::Left((heard, _)) => Turn::Received(heard),
            Either::Right((Either::Left((command, _)), _)) => Turn::Command(command),
            Either::Right((Either::Right(((), _)), _)) => Turn::Replace,
        }
    }

    /// For how long a line that is not what the set is goes on, before another takes its place.
    fn kept_for(&self) -> Option<Duration> {
        let line = self.line.as_ref()?;
        let changed = line.changed()?;
        // A revision of which a part is here is waited for: it may be too large to arrive between two changes.
        let is_between = line.is_between() && self.tracks.values().all(|track| track.kept() == 0);
        is_between.then(|| GATHERED.saturating_sub(self.client.pipeline().since(changed)))
    }

    /// Carries out what the controls have asked for so far.
    fn obey_all(&mut self) {
        while let Some(commands) = &mut self.commands
            && let Some(command) = commands.next().now_or_never()
        {
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Add(number, watch)) => self.add(number, *watch),
            Some(Command::Cancel(number)) => self.cancel(number),
            None => self.commands = None,
        }
    }

    fn add(&mut self, number: usize, watch: Watch) {
        let track = WatchState::new(watch);
        let is_unpinned = track.is_unpinned();
        self.tracks.insert(number, track);
        if is_unpinned {
            self.unpinned.insert(number);
        } else {
            self.ask(number);
        }
    }

    /// Asks for a watch on the line that is there. Where there is none yet, it will be asked for with all others.
    fn ask(&mut self, number: usize) {
        if let (Some(line), Some(track)) = (&mut self.line, self.tracks.get(&number)) {
            line.add(
                number,
                track.request(id(number)),
                self.client.transport().now(),
            );
        }
    }

    fn cancel(&mut self, number: usize) {
        self.ready.retain(|(watch, _)| *watch != number);
        let is_asked = self.tracks.remove(&number).is_some() && !self.unpinned.remove(&number);
        let is_empty = self.tracks.is_empty();
        if is_asked && let Some(line) = &mut self.line {
            line.cancel(number, self.client.transport().now());
            if is_empty && !line.is_duplex() {
                self.cut();
            }
        }
    }

    /// Asks for all that is to come.
    async fn open(&mut self) -> Result<()> {
        let watches = self.tracks.keys().copied().collect();
        let requests = self.tracks.iter();
        let body: String = requests
            .map(|(&number, track)| track.request(id(number)))
            .collect();
        let call = gateway::post(Watch::NAME, "/v3/watch", Repeat::Always, body)?
            .sequence(self.tracks.len() > 1)
            .require_leader(self.settings.require_leader);
        let may_change = self.commands.is_some();
        let is_duplex = |endpoint: &_| may_change && self.duplex.is_for(endpoint);
        let silence = self.settings.silence;
        match WatchConnection::open(&self.client, call, silence, watches, is_duplex).await {
            Ok(line) => {
                self.line = Some(line);
                Ok(())
            }
            Err(error) => self.lost(error).await,
        }
    }

    /// Finds out which revision is now, for all watches that are to begin there: what a server says when it creates a
    /// watch may be later than what it then delivers.
    async fn pin(&mut self, unpinned: usize) -> Result<()> {
        let Some(track) = self.tracks.get(&unpinned) else {
            self.unpinned.remove(&unpinned);
            return Ok(());
        };
        match now(&self.client, track.range()).await {
            Ok(header) => {
                self.look_at(&header)?;
                for number in mem::take(&mut self.unpinned) {
                    if let Some(track) = self.tracks.get_mut(&number) {
                        track.pin(header.revision);
                    }
                    self.ask(number);
                }
                Ok(())
            }
            Err(error) if error.is_retryable() => {
                self.outage.pause(self.client.pipeline(), error).await
            }
            Err(error) => {
                self.end(unpinned, error);
                Ok(())
            }
        }
    }

    async fn take(&mut self, message: WatchResponse, size: usize) -> Result<()> {
        let number = if message.created {
            match self
                .line
                .as_mut()
                .map(|line| line.created(message.watch_id))
            {
                Some(Some(number)) => Some(number),
                _ => return Err(self.unexpected("another watch was created than was asked for")),
            }
        } else {
            // Without a number: how far the server has come with none of these watches in particular. No promise to any.
            watch_state::number(message.watch_id)
        };
        // What was cancelled may be told of for a while.
        if let Some(number) = number.filter(|number| self.tracks.contains_key(number)) {
            if message.canceled {
                self.canceled(number, &message).await?;
            } else if message.created {
                self.created(number, &message.header).await?;
            } else {
                self.changed(number, message, size)?;
            }
        }
        if let Some(line) = &mut self.line {
            let is_new = !line.is_settled();
            if !line.settle(|| self.client.transport().now()) {
                return Ok(());
            }
            if is_new {
                self.duplex.worked(line.endpoint(), line.is_duplex());
            }
            self.is_renewed = false;
            self.outage.over(self.client.transport().now());
        }
        Ok(())
    }

    /// Something has happened, or nothing has up to here.
    fn changed(&mut self, number: usize, message: WatchResponse, size: usize) -> Result<()> {
        self.look_at(&message.header)?;
        let limit = self.client.pipeline().max_response_size;
        if let Some(track) = self.tracks.get_mut(&number) {
            let changes = track.take(message, size).into_iter();
            if track.kept() > limit {
                return Err(Failure::TooLarge(limit).into_error(self.context()));
            }
            self.ready
                .extend(changes.map(|changes| (number, Ok(changes))));
        }
        Ok(())
    }

    /// A watch is there.
    async fn created(&mut self, number: usize, header: &Header) -> Result<()> {
        // Once a line is settled, its member was found to be good: it is but behind what another has told since.
        let is_settled = self.line.as_ref().is_some_and(WatchConnection::is_settled);
        if header.revision < self.seen
            && !is_settled
            && let Some(track) = self.tracks.get(&number)
        {
            // Either this member lags behind, and will catch up; or the store has gone back, and a majority says so.
            match now(&self.client, track.range()).await {
                Ok(agreed) if agreed.revision < self.seen => {
                    let (now, seen) = (agreed.revision, self.seen);
                    return Err(self.unexpected(format!(
                        "the store's revision is {now}, and this watch has seen {seen}: was its data restored from a \
                         backup?"
                    )));
                }
                Ok(_) => {}
                Err(error) => return self.lost(error).await,
            }
        }
        self.look_at(header)
    }

    /// A watch is over, or did not come about.
    async fn canceled(&mut self, number: usize, message: &WatchResponse) -> Result<()> {
        if message.compact_revision > 0 {
            let error = status::compacted(self.context(), message.compact_revision);
            self.end(number, error);
            return Ok(());
        }
        let refusal = GrpcStatus::of_text(&message.cancel_reason);
        let is_retryable = refusal.is_token_error() || refusal.is_unavailable();
        let error = refusal.into_error(self.context(), StatusCode::OK);
        if is_retryable {
            return self.lost(error).await;
        }
        self.end(number, error);
        Ok(())
    }

    /// The server ended the answer as if there was no more to say.
    async fn ended(&mut self, error: Error) -> Result<()> {
        if self.tracks.is_empty() {
            self.cut();
            return Ok(());
        }
        self.learn_from(&error);
        self.blame();
        self.outage.pause(self.client.pipeline(), error).await
    }

    /// The line is gone. Goes on with another after a while, if that may bring something else.
    async fn lost(&mut self, error: Error) -> Result<()> {
        if self.tracks.is_empty() {
            self.cut();
            return Ok(());
        }
        let is_of_the_way = self.learn_from(&error);
        if is_token_error(&error)
            && !self.is_renewed
            && let Some(line) = self.line.take()
        {
            self.is_renewed = true;
            self.cut();
            return match line.renew_token().await {
                Ok(()) => Ok(()),
                Err(error) => self.outage.survive(self.client.pipeline(), error).await,
            };
        }
        if error.is_retryable() {
            self.blame();
        }
        self.cut();
        if error.is_rejected() && is_of_the_way {
            // Nothing was sent; the next one will be of the other kind.
            return Ok(());
        }
        if is_of_the_way {
            return self.outage.pause(self.client.pipeline(), error).await;
        }
        self.outage.survive(self.client.pipeline(), error).await
    }

    /// A line came to nothing. Returns whether that may be because its request was one that goes on.
    fn learn_from(&mut self, error: &Error) -> bool {
        self.line
            .as_ref()
            .is_some_and(|line| self.duplex.failed(line.endpoint(), line.is_duplex(), error))
    }

    /// What a member says of itself and its cluster.
    fn look_at(&mut self, header: &Header) -> Result<()> {
        let cluster = *self.cluster.get_or_insert(header.cluster_id);
        if cluster != header.cluster_id {
            let other = header.cluster_id;
            let what = format!(
                "this is a member of cluster {other:016x}, and the watch began in cluster {cluster:016x}: it cannot go \
                 on from the revision that it has come to"
            );
            let error = UnexpectedAnswer::new(self.context(), what, Outcome::Unknown);
            return Err(Error::Unexpected(
                error.with_kind(UnexpectedKind::ClusterChanged),
            ));
        }
        self.seen = self.seen.max(header.revision);
        Ok(())
    }

    fn unexpected(&self, what: impl Into<String>) -> Error {
        Error::Unexpected(UnexpectedAnswer::new(
            self.context(),
            what,
            Outcome::Unknown,
        ))
    }

    /// Where the watches are at the moment, or will be next.
    fn context(&self) -> ErrorContext {
        match &self.line {
            Some(line) => line.context(),
            None => self.client.pipeline().next_context(Watch::NAME),
        }
    }

    fn end(&mut self, number: usize, error: Error) {
        self.tracks.remove(&number);
        self.unpinned.remove(&number);
        self.ready.push_back((number, Err(error)));
    }

    fn blame(&mut self) {
        if let Some(line) = &self.line {
            line.blame();
        }
        self.cut();
    }

    fn cut(&mut self) {
        self.line = None;
        self.tracks.values_mut().for_each(WatchState::cut);
    }
}

/// The store's revision, by agreement of the majority.
async fn now<T: Transport>(client: &Client<T>, range: &KeyRange) -> Result<Header> {
    // Who may watch a range may read its first key.
    let read = Range::new(range.start()).keys_only(true);
    Ok(client.send(read).await?.header)
}
