use std::{
    pin::pin,
    time::{Duration, Instant},
};

use etcd_transport::Transport;
use futures::future::{Either, select};
use http::Method;

use crate::{
    client::Client,
    endpoints::{state::EndpointState, wire::Wire},
    error::{Error, Outcome, Result, UnexpectedResponse},
    form::Query,
    operation::StreamOperation,
    pipeline::{
        exchange::{Encoded, Prepared},
        reconnect::Reconnect,
    },
    v2::{
        keys::{Exists, Get},
        protocol,
        watch::{
            credentials::PollCredentials,
            event::{self, ClusterInfo},
            filter::matches,
            interval::{self, PollInterval},
            liveness::{self, Ask},
            lost_history::LostHistory,
            polls::{Brought, Poll, Polls, SETTLED},
            request::{Watch, WatchUpdate},
        },
    },
};

/// After this many consecutive polls, a majority is asked whether a server whose index is behind is just late.
const MAX_BEHIND: u32 = 10;

/// How many events a quiet watch lets pass before it advances: as many as may pass between two polls.
const MAX_LAG: u64 = interval::EVENTS;

/// A poll counts as received by the server when it has lasted this many times as long as the probes before and after
/// it.
const FAR_SLOWER: u32 = 8;

/// What to do when the server's history no longer has what the watch needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnCleared {
    Fail,
    Resync,
}

/// One running watch: which event comes next, and how often to poll.
///
/// A quiet watch must advance in the store's history, which is short, and must not skip an event that is still in
/// flight: its connection may stall, and the server may be slow. So it advances to an index only when two polls, over
/// two connections, have requested everything before that index and were silent for long enough. Usually the second
/// poll follows the first, and the index is the one at which the first was registered. If the store is too fast for
/// that, the first poll stays open while the second is silent, and the index is that of the second: it is then as old
/// as one poll, not as two.
pub(super) struct Watcher<T> {
    pub(super) client: Client<T>,
    pub(super) watch: Watch,
    /// The watched key, as events name it.
    pub(super) key: String,
    pub(super) on_cleared: OnCleared,
    /// The lowest index that the next event can have.
    next: Option<u64>,
    /// History that was lost, until the next event shows whether the file changed in it.
    pub(super) lost: Option<LostHistory>,
    /// The index at which the last quiet poll was registered.
    quiet: Option<u64>,
    /// That poll, if it is still open.
    older: Option<Poll<T>>,
    interval: PollInterval,
    /// The store's index just before the next poll.
    probe: Option<Probe>,
    /// The durations of the last two probes.
    latencies: (Duration, Duration),
    /// The state of the server and its index are too old for the next poll.
    needs_probe: bool,
    /// The transport reports the head of a poll before its event: a missing head means a slow server.
    has_heads: bool,
    reconnect: Reconnect,
    credentials: PollCredentials,
    /// The number of consecutive polls in which the server's index was below an earlier one.
    pub(super) behind: u32,
}

/// The store's index, the endpoint that reported it, and when.
pub(super) struct Probe {
    index: u64,
    pub(super) endpoint: EndpointState,
    at: Instant,
}

/// The result of waiting for polls.
enum Received {
    Answer(Brought),
    /// No event for long enough to count: the newer poll was registered at this index, or later.
    Silence(Probe),
    /// No event, and the store's index before is unknown.
    Undated,
    /// No event, but the server is slow.
    Slow,
}

impl<T: Transport> Watcher<T> {
    pub(super) fn new(client: Client<T>, watch: Watch, on_cleared: OnCleared) -> Self {
        let key = format!("/{}", watch.key.trim_matches('/'));
        Self {
            next: watch.from,
            quiet: None,
            lost: None,
            older: None,
            client,
            reconnect: Reconnect::new(watch.outage_limit),
            watch,
            key,
            on_cleared,
            interval: PollInterval::new(),
            probe: None,
            latencies: (Duration::ZERO, Duration::ZERO),
            needs_probe: false,
            has_heads: false,
            behind: 0,
            credentials: PollCredentials::default(),
        }
    }

    /// Waits for the next event of the key.
    pub(super) async fn next(&mut self) -> Result<WatchUpdate> {
        if let Some(cursor) = self.watch.cursor.clone() {
            self.verify(&cursor).await?;
            self.watch.cursor = None;
        }
        loop {
            let next = match self.next {
                Some(0) => {
                    let reason = "no event has index 0: to begin now, omit the index";
                    return Err(Error::invalid(Watch::NAME, reason));
                }
                Some(next) => next,
                // Without an index an event between two polls would be lost, the first two included.
                None => after(self.probe().await?),
            };
            self.next = Some(next);
            if self.needs_probe {
                let asked = self.client.transport().now();
                if let Err(error) = self.probe().await {
                    self.survive_call(asked, error).await?;
                    continue;
                }
                self.needs_probe = false;
            }
            let probe = self.probe.take();
            let mut polls = self.polls(next, probe.as_ref()).await?;
            match self.listen(&mut polls, probe).await {
                Ok(Received::Answer(brought)) => {
                    if let Some(update) = self.answer(brought, polls.older).await? {
                        return Ok(update);
                    }
                }
                Ok(Received::Silence(since)) => {
                    if let Some(update) = self.lost_unless_pending(since.index)? {
                        return Ok(update);
                    }
                    self.quiet_since(since, polls).await?;
                }
                Ok(Received::Undated) => self.older = Some(polls.newer),
                Ok(Received::Slow) => self.interval.give_more(),
                Err(error) => {
                    // Perhaps something ends silent connections: shorter polls last until they count as quiet.
                    self.interval.restart();
                    self.survive(error).await?;
                }
            }
        }
    }

    /// Returns a new poll for events from `next` on, and the one before it, if that is still open.
    async fn polls(&mut self, next: u64, probe: Option<&Probe>) -> Result<Polls<T>> {
        let mut prepared = prepared(&self.watch, next)?;
        while let Err(error) = self.credentials.add_to(&mut prepared, &self.client).await {
            self.survive(error).await?;
        }
        let pipeline = self.client.pipeline();
        let endpoint = match probe {
            Some(probe) => probe.endpoint.clone(),
            None => pipeline.endpoint_for(&prepared.call)?,
        };
        // It may stay open for twice the time that it is waited for.
        let longest = self
            .interval
            .age()
            .max(self.far_slower())
            .min(interval::LONGEST);
        let idle = longest * 2 + SETTLED;
        Ok(Polls {
            newer: Poll::new(&self.client, prepared, endpoint, idle, next),
            older: self.older.take(),
        })
    }

    /// Waits for polls until the newer one has been silent for its time.
    async fn listen(&mut self, polls: &mut Polls<T>, probe: Option<Probe>) -> Result<Received> {
        let client = self.client.clone();
        let clock = client.transport();
        let age = self.interval.age();
        let mut end = clock.sleep(age);
        let mut since = None;
        let mut lost = pin!(liveness::lost(
            &client,
            Ask(Exists::new(&self.watch.key)),
            polls.newer.endpoint().clone(),
        ));
        loop {
            let received = match select(pin!(polls.recv()), select(&mut end, lost.as_mut())).await {
                Either::Left((received, _)) => Some(received?),
                Either::Right((Either::Left(_), _)) => None,
                Either::Right((Either::Right((error, _)), _)) => return Err(error),
            };
            let Some(received) = received else {
                if !polls.are_arriving() {
                    break;
                }
                end = clock.sleep(SETTLED);
                continue;
            };
            if let Some(answer) = received {
                return Ok(Received::Answer(answer));
            }
            polls.newer.endpoint().mark_alive(clock.now());
            // The head of the newer poll.
            end = clock.sleep(age.saturating_sub(polls.newer.age()).max(SETTLED));
            since = polls.newer.index().map(|index| Probe {
                index,
                endpoint: polls.newer.endpoint().clone(),
                at: clock.now(),
            });
            if let Some(since) = &since {
                self.interval.gauge(since.index, since.at);
            }
            // What refuses the newer one, as when the history is lost, says nothing of the older one.
            if since.is_some() && !self.interval.is_outrun() {
                polls.close_older();
            }
        }
        polls.newer.fall_silent();
        match (since, probe) {
            (Some(since), _) => {
                self.has_heads = true;
                self.interval.observe(since.index, since.at);
                self.recovered(&since.endpoint);
                Ok(Received::Silence(since))
            }
            (None, Some(before)) if !self.has_heads => self.make_sure(polls, before).await,
            (None, _) => {
                self.needs_probe = true;
                Ok(if self.has_heads {
                    Received::Slow
                } else {
                    Received::Undated
                })
            }
        }
    }

    /// Handles a poll that received nothing, not even a head. Either the transport does not report heads, or the server
    /// is slow and has not received the poll; its response must then not be skipped. A probe measures how slow it is,
    /// and the poll is waited for until it has lasted much longer.
    async fn make_sure(&mut self, polls: &mut Polls<T>, before: Probe) -> Result<Received> {
        self.needs_probe = true;
        match select(pin!(polls.answer()), pin!(self.probe())).await {
            Either::Left((answer, _)) => return Ok(Received::Answer(answer?)),
            Either::Right((probed, _)) => probed?,
        };
        self.needs_probe = false;
        self.interval.observe(before.index, before.at);
        if let Some(now) = &self.probe {
            self.interval.gauge(now.index, now.at);
        }
        if !self.interval.is_outrun() {
            polls.close_older();
        }
        let needed = self.far_slower();
        if needed > interval::LONGEST {
            return Ok(Received::Slow);
        }
        let mut missing = needed.saturating_sub(polls.newer.age());
        while !missing.is_zero() {
            self.needs_probe = true;
            let end = self.client.transport().sleep(missing);
            if let Either::Left((answer, _)) = select(pin!(polls.answer()), end).await {
                return Ok(Received::Answer(answer?));
            }
            missing = if polls.are_arriving() {
                SETTLED
            } else {
                Duration::ZERO
            };
        }
        // The probe was answered, perhaps by another endpoint, and the poll did not fail.
        self.reconnect.answered();
        Ok(Received::Silence(before))
    }

    /// Handles polls without an event, the newer of which was registered at `since` or later: nothing up to there
    /// matches the key, and the history need not reach back further. Its connection may have stalled with an event in
    /// flight, so the watch stays where it is as long as the history allows, and advances only when a second poll has
    /// no event either: the older one, if it is still open, or else the previous one.
    async fn quiet_since(&mut self, since: Probe, polls: Polls<T>) -> Result<()> {
        liveness::leave_if_cut_off(&self.client, &since.endpoint).await;
        let next = polls.newer.from;
        let index = since.index;
        if after(index) >= next {
            self.behind = 0;
            let before = self.quiet.replace(index);
            let is_held = polls
                .older
                .is_some_and(|older| older.endpoint().is(&since.endpoint));
            if is_held {
                self.next = Some(after(index));
            } else if let Some(before) = before
                && index - next.min(index) >= MAX_LAG
            {
                self.next = Some(next.max(after(before.min(index))));
            }
            // With heads, the next one shows whether it is needed.
            if self.has_heads || self.interval.is_outrun() {
                self.older = Some(polls.newer);
            }
            return Ok(());
        }
        self.behind += 1;
        self.interval.restart();
        if self.behind < MAX_BEHIND {
            return Ok(());
        }
        self.stays_behind(next, &since).await
    }

    /// Interprets a complete response: an update to deliver, or nothing that matches this watch. The older poll is still open.
    pub(super) async fn answer(
        &mut self,
        brought: Brought,
        older: Option<Poll<T>>,
    ) -> Result<Option<WatchUpdate>> {
        let Brought { from, answer } = brought;
        let endpoint = answer.endpoint.clone();
        if answer.reply.status.is_success() && answer.reply.body.trim_ascii().is_empty() {
            // The server, or something before it, may close a poll without an event at any time.
            self.interval.restart();
            let empty = Error::Unexpected(answer.unexpected("the response is empty"));
            self.pause(empty).await?;
            return Ok(None);
        }
        if answer.is_not_served() {
            let call = prepared(&self.watch, from)?.call;
            if self
                .client
                .pipeline()
                .endpoint_after(&answer, &call)
                .is_some()
            {
                return Ok(None);
            }
        }
        let context = answer.context.clone();
        match event::decode(answer) {
            // No index can follow the highest number.
            Ok(event) if event.index() >= from && event.index() < u64::MAX => {
                self.recovered(&endpoint);
                self.go_on_from(after(event.index()));
                if !matches(&self.key, self.watch.recursive, &event) {
                    return Ok(None);
                }
                self.after_lost_history(event).map(Some)
            }
            Ok(event) => {
                let what = format!("requested events from {from} on, got {}", event.index());
                let answer = UnexpectedResponse::of(context, what, Outcome::Unknown);
                Err(Error::Unexpected(answer))
            }
            Err(error) if error.is_history_cleared() => {
                self.recovered(&endpoint);
                self.cleared(from, error, older).await
            }
            Err(error) if error.is_unauthorized() && self.has_other_credentials(from).await? => {
                Ok(None)
            }
            Err(error) => {
                if error.is_foreign() {
                    endpoint.failed(self.client.transport().now());
                }
                self.survive(error).await?;
                Ok(None)
            }
        }
    }

    /// Whether the provider has other credentials than those of the poll that etcd has refused, or may have others later.
    async fn has_other_credentials(&mut self, from: u64) -> Result<bool> {
        let refused = prepared(&self.watch, from)?;
        let pipeline = self.client.pipeline();
        match self.credentials.have_changed(&refused, pipeline).await {
            Err(error) => self.survive(error).await.map(|()| true),
            changed => changed,
        }
    }

    pub(super) fn go_on_from(&mut self, next: u64) {
        self.next = Some(next);
        self.quiet = None;
        self.older = None;
    }

    /// Requests the store's index, without waiting.
    async fn probe(&mut self) -> Result<u64> {
        let clock = &self.client.pipeline().transport;
        let asked = clock.now();
        let exists = Exists::new(&self.watch.key);
        let answer = self.client.pipeline().execute(&Ask(exists)).await?;
        let at = clock.now();
        let latency = at.saturating_duration_since(asked);
        self.latencies = (self.latencies.1, latency);
        // "Not found" comes from the store and has its index; an earlier refusal has 0 or none.
        let reported = ClusterInfo::of(&answer.reply.headers).etcd_index;
        let index = match reported.filter(|index| *index > 0 && answer.reply.is_json()) {
            Some(index) => index,
            None => {
                // A response to HEAD has no reason.
                let event = self.client.send(Get::new(&self.watch.key)).await?;
                event.cluster.etcd_index.ok_or_else(|| {
                    Error::Unexpected(answer.unexpected("the response has no X-Etcd-Index header"))
                })?
            }
        };
        self.reconnect.worked();
        self.probe = Some(Probe {
            index,
            endpoint: answer.endpoint,
            at,
        });
        Ok(index)
    }

    /// Returns the minimum duration of a poll that is much slower than the last two probes.
    fn far_slower(&self) -> Duration {
        self.latencies.0.max(self.latencies.1) * FAR_SLOWER
    }

    /// Handles a failed attempt: waits before the next one if that may succeed, and gives up otherwise.
    async fn survive(&mut self, error: Error) -> Result<()> {
        self.reconnect.survive(self.client.pipeline(), error).await
    }

    /// A call that began at `asked` failed at every endpoint. Goes on as after an attempt.
    pub(super) async fn survive_call(&mut self, asked: Instant, error: Error) -> Result<()> {
        if !self.reconnect.survives(&error) {
            return Err(error);
        }
        let pipeline = self.client.pipeline();
        self.reconnect
            .pause_after_call(pipeline, asked, error)
            .await
    }

    /// Waits before the next attempt, or gives up with this error if the outage has lasted too long.
    pub(super) async fn pause(&mut self, error: Error) -> Result<()> {
        self.reconnect.pause(self.client.pipeline(), error).await
    }

    fn recovered(&mut self, endpoint: &EndpointState) {
        self.credentials.accepted();
        self.client.pipeline().endpoints.answered(endpoint);
        self.reconnect.answered();
    }
}

/// Returns the request of the poll for events from `next` on.
fn prepared(watch: &Watch, next: u64) -> Result<Prepared> {
    let mut query = Query::new();
    query.flag("wait", true);
    query.flag("recursive", watch.recursive);
    query.push("waitIndex", &next.to_string());
    let target = query.append_to(protocol::key_path(Watch::NAME, &watch.key)?);
    Ok(Prepared {
        call: protocol::KEYS.read(Watch::NAME),
        wire: Wire::Http,
        encoded: Encoded::new(Watch::NAME, Method::GET, target)?,
        token: None,
    })
}

/// Returns the index after this one, which comes from the server and may be any number.
pub(super) fn after(index: u64) -> u64 {
    index.saturating_add(1)
}
