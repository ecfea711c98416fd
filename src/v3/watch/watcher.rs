use std::{collections::VecDeque, time::Duration};

use etcd_transport::Transport;
use http::StatusCode;

use super::{
    event::{Changes, WatchResponse},
    request::{Settings, Watch, WatchSetItem},
    track::{NO_WATCH, Track, id},
};
use crate::{
    Client, Error, Outcome, Repeat, Result, StreamOperation,
    error::{Site, UnexpectedAnswer, UnexpectedKind},
    exchange::Failure,
    outage::Outage,
    v3::{
        Header, KeyRange, Range,
        link::{Heard, Link, is_of_the_token},
        refusal::{self, Refusal},
        wire,
    },
};

/// For the server to say that it has created the watches. What it cannot read it never answers.
const CREATED_LIMIT: Duration = Duration::from_secs(5);

/// The watches of one request at work: how far each has come, and the link that they share.
pub(super) struct Watcher<T> {
    client: Client<T>,
    settings: Settings,
    tracks: Vec<Track>,
    link: Option<Link<T, WatchResponse>>,
    /// The watches that the server has not said to have created on this link: it does so in the order of the request.
    uncreated: VecDeque<usize>,
    /// What has arrived and was not asked for yet: of one message at most.
    ready: VecDeque<(usize, Result<Changes>)>,
    outage: Outage,
    /// Another token was fetched, and no link has come about since.
    is_renewed: bool,
    /// The highest revision that any member has shown.
    seen: i64,
    /// Which cluster this is, once one has answered.
    cluster: Option<u64>,
}

impl<T: Transport> Watcher<T> {
    pub(super) fn new(client: Client<T>, watches: Vec<Watch>, settings: Settings) -> Self {
        let mut watcher = Self {
            client,
            outage: Outage::new(settings.outage),
            settings,
            tracks: watches.into_iter().map(Track::new).collect(),
            link: None,
            uncreated: VecDeque::new(),
            ready: VecDeque::new(),
            is_renewed: false,
            seen: 0,
            cluster: None,
        };
        for watch in 0..watcher.tracks.len() {
            if let Err(error) = watcher.tracks[watch].check() {
                watcher.end(watch, error);
            }
        }
        watcher
    }

    /// Waits for the next revision of any watch. An error is the last item, and so is the end of the last watch.
    pub(super) async fn next(&mut self) -> Option<Result<WatchSetItem>> {
        loop {
            if let Some((watch, changes)) = self.ready.pop_front() {
                return Some(Ok(WatchSetItem { watch, changes }));
            }
            if self.tracks.iter().all(Track::is_over) {
                self.cut();
                return None;
            }
            let step = match (
                &mut self.link,
                self.tracks.iter().position(Track::is_unpinned),
            ) {
                (None, Some(unpinned)) => self.pin(unpinned).await,
                (None, None) => self.open().await,
                (Some(link), _) => match link.hear().await {
                    Heard::Message(message, size) => self.take(message, size).await,
                    Heard::Failed(error) => self.lost(error).await,
                    Heard::Ended(error) => {
                        self.blame();
                        self.outage.pause(self.client.road(), error).await
                    }
                    Heard::Stale => {
                        self.cut();
                        Ok(())
                    }
                },
            };
            if let Err(error) = step {
                self.cut();
                return Some(Err(error));
            }
        }
    }

    /// Asks for all that is to come.
    async fn open(&mut self) -> Result<()> {
        let tracks = self.tracks.iter().enumerate();
        let live: VecDeque<usize> = tracks
            .filter(|(_, track)| !track.is_over())
            .map(|(watch, _)| watch)
            .collect();
        let requests = live
            .iter()
            .map(|&watch| self.tracks[watch].request(id(watch)));
        let body: String = requests.collect();
        let call = wire::post(Watch::NAME, "/v3/watch", Repeat::Always, body)?
            .require_leader(self.settings.require_leader);
        match Link::open(&self.client, call, self.settings.silence).await {
            Ok(link) => {
                self.link = Some(link.urgent(CREATED_LIMIT));
                self.uncreated = live;
                Ok(())
            }
            Err(error) => self.lost(error).await,
        }
    }

    /// Finds out which revision is now, for all watches that are to begin there: what a server says when it creates a
    /// watch may be later than what it then delivers.
    async fn pin(&mut self, unpinned: usize) -> Result<()> {
        match now(&self.client, self.tracks[unpinned].range()).await {
            Ok(header) => {
                self.look_at(&header)?;
                let unpinned = self.tracks.iter_mut().filter(|track| track.is_unpinned());
                unpinned.for_each(|track| track.pin(header.revision));
                Ok(())
            }
            Err(error) if error.is_passing() => self.outage.pause(self.client.road(), error).await,
            Err(error) => {
                self.end(unpinned, error);
                Ok(())
            }
        }
    }

    async fn take(&mut self, message: WatchResponse, size: usize) -> Result<()> {
        let watch = if message.created {
            match self.uncreated.pop_front() {
                Some(watch) if [NO_WATCH, id(watch)].contains(&message.watch_id) => watch,
                _ => return Err(self.unexpected("another watch was created than was asked for")),
            }
        } else {
            let known = (0..self.tracks.len()).find(|&watch| id(watch) == message.watch_id);
            match known.filter(|&watch| !self.tracks[watch].is_over()) {
                Some(watch) => watch,
                // How far the server has come with none of these watches in particular: no promise to any.
                None => return Ok(()),
            }
        };
        if message.canceled {
            self.canceled(watch, &message).await?;
        } else if message.created {
            self.created(watch, &message.header).await?;
        } else {
            self.look_at(&message.header)?;
            let limit = self.client.road().answer_limit;
            let track = &mut self.tracks[watch];
            let changes = track.take(message, size).into_iter();
            if track.kept() > limit {
                return Err(Failure::TooLarge(limit).into_error(self.site()));
            }
            self.ready
                .extend(changes.map(|changes| (watch, Ok(changes))));
        }
        if self.uncreated.is_empty()
            && let Some(link) = &mut self.link
        {
            link.settled();
            self.is_renewed = false;
            self.outage.over(self.client.transport().now());
        }
        Ok(())
    }

    /// A watch is there.
    async fn created(&mut self, watch: usize, header: &Header) -> Result<()> {
        if header.revision < self.seen {
            // Either this member lags behind, and will catch up; or the store has gone back, and a majority says so.
            match now(&self.client, self.tracks[watch].range()).await {
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
    async fn canceled(&mut self, watch: usize, message: &WatchResponse) -> Result<()> {
        if message.compact_revision > 0 {
            let error = refusal::compacted(self.site(), message.compact_revision);
            self.end(watch, error);
            return Ok(());
        }
        let refusal = Refusal::of_text(&message.cancel_reason);
        let is_passing = refusal.is_of_the_token() || refusal.is_unavailable();
        let error = refusal.into_error(self.site(), StatusCode::OK);
        if is_passing {
            return self.lost(error).await;
        }
        self.end(watch, error);
        Ok(())
    }

    /// The link is gone. Goes on with another after a while, if that may bring something else.
    async fn lost(&mut self, error: Error) -> Result<()> {
        if is_of_the_token(&error)
            && !self.is_renewed
            && let Some(link) = self.link.take()
        {
            self.is_renewed = true;
            self.cut();
            return match link.renew_token().await {
                Ok(()) => Ok(()),
                Err(error) => self.outage.survive(self.client.road(), error).await,
            };
        }
        if error.is_passing() {
            self.blame();
        }
        self.cut();
        self.outage.survive(self.client.road(), error).await
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
            let error = UnexpectedAnswer::new(self.site(), what, Outcome::Unknown);
            return Err(Error::Unexpected(
                error.with_kind(UnexpectedKind::ClusterChanged),
            ));
        }
        self.seen = self.seen.max(header.revision);
        Ok(())
    }

    fn unexpected(&self, what: impl Into<String>) -> Error {
        Error::Unexpected(UnexpectedAnswer::new(self.site(), what, Outcome::Unknown))
    }

    /// Where the watches are at the moment, or will be next.
    fn site(&self) -> Site {
        match &self.link {
            Some(link) => link.site(),
            None => self.client.road().next_site(Watch::NAME),
        }
    }

    fn end(&mut self, watch: usize, error: Error) {
        self.tracks[watch].end();
        self.ready.push_back((watch, Err(error)));
    }

    fn blame(&mut self) {
        if let Some(link) = &self.link {
            link.blame();
        }
        self.cut();
    }

    fn cut(&mut self) {
        self.link = None;
        self.uncreated.clear();
        self.tracks.iter_mut().for_each(Track::cut);
    }
}

/// The store's revision, by agreement of the majority.
async fn now<T: Transport>(client: &Client<T>, range: &KeyRange) -> Result<Header> {
    // Who may watch a range may read its first key.
    let read = Range::new(range.start()).keys_only(true);
    Ok(client.send(read).await?.header)
}
