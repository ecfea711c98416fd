//! The observation of an election, as the recipe of etcd's Go client makes it: a search for the leader, and a watch of its key
//! until that is deleted.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Call, Failure, election::first_of, fill_ids, queue::prefix_end};
use crate::{
    cluster::exchanges::ExchangeId,
    v3::{
        error::V3Error,
        message::{
            election::{LeaderRequest, LeaderResponse},
            kv::{ResponseHeader, SharedKeyValue},
            watch::{EventType, WatchCreateRequest, WatchRequest},
        },
        watch::WatchHub,
    },
};

/// An observation that is open.
#[derive(Debug)]
pub(crate) struct Observation {
    /// Names the stream of watches that wakes it.
    id: ExchangeId,
    prefix: Bytes,
    stage: Stage,
    ready: VecDeque<LeaderResponse>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The leader is to be read.
    Searching,
    /// There is no leader: the first key with the prefix is watched for.
    Electing,
    /// The leader's key is watched.
    Following,
}

/// What an observation has to say.
#[derive(Debug)]
pub(crate) enum Observed {
    Leader(LeaderResponse),
    /// Nothing at present.
    Nothing,
    /// Nothing until there is a quorum.
    Blocked,
    /// Nothing ever again. etcd gives no reason.
    End,
}

impl Observation {
    /// An observation that uses the stream of watches with this id, which the caller opens and closes.
    pub(crate) fn new(id: ExchangeId, request: &LeaderRequest) -> Self {
        Self {
            id,
            prefix: Bytes::from([&request.name[..], b"/"].concat()),
            stage: Stage::Searching,
            ready: VecDeque::new(),
        }
    }

    fn push(&mut self, header: ResponseHeader, kv: SharedKeyValue) {
        let (header, kv) = (Some(header), Some(kv));
        self.ready.push_back(LeaderResponse { header, kv });
    }
}

impl Call<'_> {
    /// The next leader, or the next value that the leader proclaims.
    pub(crate) fn observe(&mut self, observation: &mut Observation) -> Observed {
        loop {
            if let Some(response) = observation.ready.pop_front() {
                return Observed::Leader(response);
            }
            let is_new = match observation.stage {
                Stage::Searching => self.search(observation),
                Stage::Electing | Stage::Following => self.follow(observation),
            };
            match is_new {
                Ok(true) => {}
                Ok(false) => return Observed::Nothing,
                Err(Failure::Blocked) => return Observed::Blocked,
                Err(Failure::Refused(_)) => return Observed::End,
            }
        }
    }

    /// Reads the leader, and begins to watch.
    fn search(&mut self, observation: &mut Observation) -> Result<bool, Failure> {
        let found = self.range(&first_of(&observation.prefix))?;
        let header = found.header.unwrap_or_default();
        let revision = header.revision;
        if let Some(kv) = found.kvs.into_iter().next() {
            let key = kv.0.key.clone();
            observation.push(header, kv);
            self.watch_leader(observation, key, revision + 1)?;
        } else {
            let prefix = observation.prefix.clone();
            let end = prefix_end(&prefix);
            self.watch_range(observation.id, prefix, end, revision)?;
            observation.stage = Stage::Electing;
        }
        Ok(true)
    }

    /// Takes what the watch has found; returns whether there was something.
    fn follow(&mut self, observation: &mut Observation) -> Result<bool, Failure> {
        let Some(message) = self.hub().take(observation.id) else {
            return Ok(false);
        };
        if message.canceled {
            return Err(V3Error::COMPACTED.into());
        }
        let mut header = message.header.unwrap_or_default();
        fill_ids(self.cluster, self.endpoint, &mut header);
        for event in message.events {
            let Some(kv) = event.kv else { continue };
            let is_deletion = event.kind == EventType::DELETE;
            match observation.stage {
                Stage::Electing if !is_deletion => {
                    header.revision = kv.0.mod_revision;
                    let (key, next) = (kv.0.key.clone(), header.revision + 1);
                    observation.push(header, kv);
                    self.watch_leader(observation, key, next)?;
                    break;
                }
                Stage::Following if is_deletion => {
                    observation.stage = Stage::Searching;
                    break;
                }
                Stage::Following => observation.push(header.clone(), kv),
                Stage::Searching | Stage::Electing => {}
            }
        }
        Ok(true)
    }

    fn watch_leader(
        &mut self,
        observation: &mut Observation,
        key: Bytes,
        from: i64,
    ) -> Result<(), Failure> {
        self.watch_range(observation.id, key, Bytes::new(), from)?;
        observation.stage = Stage::Following;
        Ok(())
    }

    /// Watches these keys and no others on a stream.
    fn watch_range(
        &mut self,
        id: ExchangeId,
        key: Bytes,
        range_end: Bytes,
        start_revision: i64,
    ) -> Result<(), Failure> {
        let caller = self.caller()?;
        let at = self.cluster.moment();
        let store = &mut self.cluster.local(self.endpoint).v3;
        store.auth.check_watch(&caller, &key, &range_end)?;
        let create = WatchRequest {
            create_request: Some(WatchCreateRequest {
                key,
                range_end,
                start_revision,
                ..WatchCreateRequest::default()
            }),
            ..WatchRequest::default()
        };
        store.watches.close(id);
        store.watches.open(id, at.now);
        store.watches.request(id, &create, &store.mvcc, at);
        Ok(())
    }

    fn hub(&mut self) -> &mut WatchHub {
        &mut self.cluster.local(self.endpoint).v3.watches
    }
}
