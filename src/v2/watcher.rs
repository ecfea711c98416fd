use std::time::{Duration, Instant};

use etcd_transport::Transport;
use http::Method;

use super::{
    event::{self, Action, ClusterInfo, Event},
    keys::{Exists, Get},
    node::Node,
    pace::Pace,
    watch::{Resync, Watch, WatchUpdate},
    wire::{self, Query},
};
use crate::{
    Call, Client, Error, Operation, Outcome, Repeat, Reply, Result, StreamOperation,
    endpoints::Place, error::UnexpectedAnswer, stream::Polled,
};

/// After so many polls in a row a server whose index is behind what was seen before is not just late.
const MAX_BEHIND: u32 = 10;

/// How many events a quiet watch lets pass before it moves on: as many as may pass between two polls.
const MAX_LAG: u64 = super::pace::EVENTS;

/// A poll is taken for heard when it has lasted so many times as long as the probes before and after it took.
const FAR_SLOWER: u32 = 8;

/// What to do when the server's history no longer has what the watch needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnCleared {
    Fail,
    Resync,
}

/// A poll that brought nothing at all, not even a head.
struct Silence {
    /// The store's index just before it.
    at: u64,
    age: Duration,
    place: Place,
}

/// One watch at work: which event comes next, and how often to ask.
pub(super) struct Watcher<T> {
    client: Client<T>,
    watch: Watch,
    /// The watched key as events name it.
    key: String,
    on_cleared: OnCleared,
    /// The index that the next event will have at least.
    next: Option<u64>,
    /// The index at which the last quiet poll for `next` was registered.
    quiet: Option<u64>,
    pace: Pace,
    /// The store's index as it was just before the next poll, and the endpoint that said so.
    probe: Option<(u64, Place)>,
    /// How long the last two probes took.
    latencies: (Duration, Duration),
    /// The last poll ended without a head: only a probe can tell whether the server lives.
    needs_probe: bool,
    /// What that poll was, if it may mean that nothing happened.
    silence: Option<Silence>,
    /// The transport tells the head of a poll before its event: one that did not come means a slow server.
    has_heads: bool,
    /// Since when every attempt has failed, and how often.
    outage: Option<(Instant, u32)>,
    /// How many polls in a row found the server's index below what was seen before.
    behind: u32,
}

impl<T: Transport> Watcher<T> {
    pub(super) fn new(client: Client<T>, watch: Watch, on_cleared: OnCleared) -> Self {
        let key = format!("/{}", watch.key.trim_matches('/'));
        Self {
            next: watch.from,
            quiet: None,
            client,
            watch,
            key,
            on_cleared,
            pace: Pace::new(),
            probe: None,
            latencies: (Duration::ZERO, Duration::ZERO),
            needs_probe: false,
            silence: None,
            has_heads: false,
            outage: None,
            behind: 0,
        }
    }

    /// Waits for the next event of the key.
    pub(super) async fn next(&mut self) -> Result<WatchUpdate> {
        loop {
            let next = match self.next {
                Some(0) => {
                    let reason = "no event has index 0: to begin now, leave the index out";
                    return Err(Error::invalid(Watch::NAME, reason));
                }
                Some(next) => next,
                // Without an index an event between two polls would be lost, the first two included.
                None => after(self.probe().await?),
            };
            self.next = Some(next);
            if self.needs_probe {
                if let Err(error) = self.probe().await {
                    self.survive(error).await?;
                    continue;
                }
                self.needs_probe = false;
                if let Some(silence) = self.silence.take() {
                    self.silent_since(next, silence)?;
                    continue;
                }
            }
            let call = self.call(next)?;
            let road = self.client.road();
            let (at, place) = match self.probe.take() {
                Some((at, place)) => (Some(at), place),
                None => {
                    let set = road.endpoints.current();
                    (None, set.pick(&[], road.transport.now()))
                }
            };
            let age = self.pace.age();
            match road.poll(&call, &place, age).await {
                Ok(Polled::Quiet(head)) => {
                    match head.and_then(|headers| ClusterInfo::of(&headers).etcd_index) {
                        Some(at) => {
                            self.has_heads = true;
                            self.recovered(&place);
                            self.quiet_since(next, at, &place)?;
                        }
                        None => {
                            self.needs_probe = true;
                            match at {
                                Some(at) if !self.has_heads => {
                                    self.silence = Some(Silence { at, age, place });
                                }
                                _ => self.pace.give_more(),
                            }
                        }
                    }
                }
                Ok(Polled::Answer(reply)) => {
                    if let Some(update) = self.answer(next, reply).await? {
                        return Ok(update);
                    }
                }
                Err(failure) => {
                    road.note(&failure, &place, road.transport.now());
                    self.survive(failure.into_error(road.site(&call, &place, 1)))
                        .await?;
                }
            }
        }
    }

    /// The meaning of a whole answer: an update to deliver, or nothing that concerns this watch.
    async fn answer(&mut self, next: u64, reply: Reply) -> Result<Option<WatchUpdate>> {
        let place = reply.place.clone();
        if reply.status.is_success() && reply.body.trim_ascii().is_empty() {
            // The server closed the poll without an event, as it may at any time.
            let empty = Error::Unexpected(reply.unexpected("the answer is empty"));
            self.pause(empty).await?;
            return Ok(None);
        }
        let site = reply.site.clone();
        match event::decode(reply) {
            // After the last of all numbers nothing could come.
            Ok(event) if event.index() >= next && event.index() < u64::MAX => {
                self.recovered(&place);
                self.go_on_from(after(event.index()));
                Ok(self.concerns(&event).then_some(WatchUpdate::Event(event)))
            }
            Ok(event) => {
                let what = format!("asked for events from {next} on, got {}", event.index());
                let answer = UnexpectedAnswer::new(site, what, Outcome::Unknown);
                Err(Error::Unexpected(answer))
            }
            Err(error) if error.is_history_cleared() => {
                self.recovered(&place);
                self.cleared(next, error).await
            }
            Err(error) => {
                let error = self.client.explain(&self.call(next)?, error);
                self.survive(error).await?;
                Ok(None)
            }
        }
    }

    /// The history from `next` on is gone. Nothing is lost where the file shows no change since; otherwise, the caller's
    /// choice.
    async fn cleared(&mut self, next: u64, error: Error) -> Result<Option<WatchUpdate>> {
        let get = Get::new(&self.watch.key).recursive(self.watch.recursive);
        let (state, index) = match self.client.send(get).await {
            Ok(event) => (Some(event.node), event.cluster.etcd_index),
            Err(error) if error.is_key_not_found() || error.is_not_a_directory() => {
                (None, error.as_etcd().and_then(|etcd| etcd.index()))
            }
            Err(error) => {
                self.survive(error).await?;
                return Ok(None);
            }
        };
        let Some(index) = index else {
            return Err(error);
        };
        if index < next {
            // Another member, and one that lags behind: it will catch up.
            self.pause(error).await?;
            return Ok(None);
        }
        if state
            .as_ref()
            .is_some_and(|node| is_unchanged_file(node, next))
        {
            self.go_on_from(after(index));
            return Ok(None);
        }
        if self.on_cleared == OnCleared::Fail {
            return Err(error);
        }
        self.go_on_from(after(index));
        Ok(Some(WatchUpdate::Resync(Resync {
            lost_from: next,
            index,
            state,
        })))
    }

    fn go_on_from(&mut self, next: u64) {
        self.next = Some(next);
        self.quiet = None;
    }

    /// A poll for `next`, registered when the store's index was `at` or later, brought nothing: so nothing up to `at`
    /// concerns the key, and history need not reach back further. Unless its connection stalled with an event on the way:
    /// so the watch stays where it is for as long as history allows, and what one poll has not brought counts as nothing
    /// only when the next has not, either.
    fn quiet_since(&mut self, next: u64, at: u64, place: &Place) -> Result<()> {
        let road = self.client.road();
        self.pace.observe(at, road.transport.now());
        if after(at) >= next {
            self.behind = 0;
            if let Some(before) = self.quiet.replace(at)
                && at - next.min(at) >= MAX_LAG
            {
                self.next = Some(next.max(after(before.min(at))));
            }
            return Ok(());
        }
        self.behind += 1;
        self.pace.restart();
        if self.behind < MAX_BEHIND {
            return Ok(());
        }
        let what = format!(
            "the server's index is {at}, and this watch has seen {}: was its data restored from a backup?",
            next - 1
        );
        let site = road.site(&self.call(next)?, place, self.behind);
        let answer = UnexpectedAnswer::new(site, what, Outcome::Unknown);
        Err(Error::Unexpected(answer))
    }

    /// A poll brought nothing at all, and a probe has been answered since. The transport may not tell heads; or the
    /// server is slow, and has not even heard of the poll: then what it is about to answer must not be passed over.
    fn silent_since(&mut self, next: u64, silence: Silence) -> Result<()> {
        let slowest = self.latencies.0.max(self.latencies.1);
        if silence.age >= slowest * FAR_SLOWER {
            self.quiet_since(next, silence.at, &silence.place)
        } else {
            self.pace.give_more();
            Ok(())
        }
    }

    /// Asks for the store's index, without waiting.
    async fn probe(&mut self) -> Result<u64> {
        let call = Call {
            operation: Watch::NAME,
            ..Exists::new(&self.watch.key).encode()?
        };
        let clock = &self.client.road().transport;
        let asked = clock.now();
        let reply = self.client.road().exchange(&call).await?;
        let latency = clock.now().saturating_duration_since(asked);
        self.latencies = (self.latencies.1, latency);
        // Not found is found out by the store too, and has its index; what was refused before has 0, or none.
        match ClusterInfo::of(&reply.headers).etcd_index {
            Some(index) if index > 0 && reply.is_json() => {
                self.probe = Some((index, reply.place.clone()));
                Ok(index)
            }
            _ => {
                // An answer to HEAD cannot say why.
                let event = self.client.send(Get::new(&self.watch.key)).await?;
                match event.cluster.etcd_index {
                    Some(index) => {
                        self.probe = Some((index, reply.place.clone()));
                        Ok(index)
                    }
                    None => Err(Error::Unexpected(
                        reply.unexpected("the answer has no X-Etcd-Index header"),
                    )),
                }
            }
        }
    }

    /// An attempt failed. Waits before the next one if that may bring something else; gives up otherwise.
    async fn survive(&mut self, error: Error) -> Result<()> {
        if error.is_passing() {
            self.pause(error).await
        } else {
            Err(error)
        }
    }

    /// Waits before the next attempt, or gives up with this error if the outage has lasted too long.
    async fn pause(&mut self, error: Error) -> Result<()> {
        let road = self.client.road();
        let now = road.transport.now();
        let (since, failures) = self.outage.unwrap_or((now, 0));
        if now.saturating_duration_since(since) >= self.watch.outage {
            return Err(error);
        }
        self.outage = Some((since, failures + 1));
        let pause = road.retry.pause(failures + 1, fastrand::f64());
        road.transport.sleep(pause).await;
        Ok(())
    }

    fn recovered(&mut self, place: &Place) {
        self.client.road().endpoints.answered(place);
        self.outage = None;
    }

    fn call(&self, next: u64) -> Result<Call> {
        let mut query = Query::new();
        query.flag("wait", true);
        query.flag("recursive", self.watch.recursive);
        query.push("waitIndex", &next.to_string());
        let target = query.append_to(wire::key_path(Watch::NAME, &self.watch.key)?);
        Call::new(Watch::NAME, Method::GET, target, Repeat::Always)
    }

    fn concerns(&self, event: &Event) -> bool {
        concerns(&self.key, self.watch.recursive, event)
    }
}

/// The index that comes after this one, which is the server's word: any number.
fn after(index: u64) -> u64 {
    index.saturating_add(1)
}

/// Whether an event is one that a watch on `key` is to see.
///
/// The server's history takes any key with the right beginning (`/ab` for `/a`), and forgets that hidden keys are hidden.
fn concerns(key: &str, recursive: bool, event: &Event) -> bool {
    let changed = event.node.key.as_str();
    if changed == key {
        return true;
    }
    if let Some(below) = below(key, changed) {
        return recursive && !below.split('/').any(|segment| segment.starts_with('_'));
    }
    // A directory above the key went, and the key with it.
    matches!(event.action, Action::Delete | Action::Expire) && below(changed, key).is_some()
}

/// The part of `key` that is below `dir`.
fn below<'a>(dir: &str, key: &'a str) -> Option<&'a str> {
    key.strip_prefix(dir.trim_end_matches('/'))?
        .strip_prefix('/')
        .filter(|below| !below.is_empty())
}

/// Whether this file has the value that it had before `index`. A directory can lose what is in it without a trace.
fn is_unchanged_file(node: &Node, index: u64) -> bool {
    !node.dir && node.modified_index < index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: Action, key: &str) -> Event {
        Event {
            action,
            node: Node {
                key: key.to_owned(),
                ..Node::default()
            },
            prev_node: None,
            created: false,
            cluster: ClusterInfo::default(),
        }
    }

    #[test]
    fn a_watch_sees_its_key_and_what_is_below_if_recursive() {
        let set = |key| event(Action::Set, key);
        assert!(concerns("/a", false, &set("/a")));
        assert!(!concerns("/a", false, &set("/a/b")));
        assert!(concerns("/a", true, &set("/a/b/c")));
        assert!(concerns("/", true, &set("/a")));
        assert!(!concerns("/a", true, &set("/b")));
        assert!(!concerns("/a", true, &set("/ab")));
        assert!(!concerns("/a/b", true, &set("/a")));
    }

    #[test]
    fn v2_85_and_86_hidden_keys_are_seen_only_by_those_who_name_them() {
        let set = |key| event(Action::Set, key);
        assert!(!concerns("/a", true, &set("/a/_b")));
        assert!(!concerns("/", true, &set("/a/_b/c")));
        assert!(concerns("/a/_b", true, &set("/a/_b/c")));
        assert!(concerns("/a/_b", false, &set("/a/_b")));
    }

    #[test]
    fn v2_87_and_88_a_directory_takes_along_what_is_below_it_and_nothing_beside_it() {
        let delete = |key| event(Action::Delete, key);
        assert!(concerns("/a/b/c", false, &delete("/a")));
        assert!(concerns("/a/b/c", true, &event(Action::Expire, "/a/b")));
        assert!(!concerns("/ab", false, &delete("/a")));
        assert!(!concerns("/prefix/x", true, &delete("/pre")));
    }

    #[test]
    fn only_a_file_can_prove_that_nothing_was_lost() {
        let file = Node {
            modified_index: 7,
            ..Node::default()
        };
        let dir = Node {
            dir: true,
            ..file.clone()
        };
        assert!(is_unchanged_file(&file, 8));
        assert!(!is_unchanged_file(&file, 7));
        assert!(!is_unchanged_file(&dir, 8));
    }
}
