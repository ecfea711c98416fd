use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use etcd_transport::Transport;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::{
    error::Result as ClientResult,
    recipes::{
        error::RecipeError,
        wait::{settle, within},
    },
    v3::{Changes, Event, KeyRange, KeyValue, Namespace, Range, Watch},
};

/// What a leader of an [`Election`](super::Election) has proclaimed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proclamation {
    /// The key of the leader, whose value is what it proclaims.
    pub leader: KeyValue,
    /// Whether others may be missing before this one: history was compacted during an outage.
    pub is_resync: bool,
}

impl Proclamation {
    /// What the leader with this key has proclaimed. For your own tests.
    pub fn new(leader: KeyValue, is_resync: bool) -> Self {
        Self { leader, is_resync }
    }
}

/// How long an outage may last when the candidates are listed, as in a watch.
const OUTAGE: Duration = Duration::from_secs(300);

/// Delivers what each leader of a queue of candidates proclaims.
pub(super) fn follow<T: Transport>(
    namespace: &Namespace<T>,
    queue: KeyRange,
) -> BoxStream<'static, Result<Proclamation, RecipeError>> {
    let follower = Follower {
        namespace: namespace.clone(),
        queue,
        candidates: BTreeMap::new(),
        changes: None,
        last: None,
        has_listed: false,
        is_resync: false,
    };
    let next = |follower: Option<Follower<T>>| async move {
        let mut follower = follower?;
        let next = follower.next().await;
        let more = next.is_ok().then_some(follower);
        Some((next, more))
    };
    stream::unfold(Some(follower), next).boxed()
}

struct Follower<T> {
    namespace: Namespace<T>,
    queue: KeyRange,
    /// By the revision that created the key: the first one leads.
    candidates: BTreeMap<i64, KeyValue>,
    /// Open once the candidates are known.
    changes: Option<BoxStream<'static, ClientResult<Changes>>>,
    /// The key and the revision of what was delivered last.
    last: Option<(Bytes, i64)>,
    has_listed: bool,
    is_resync: bool,
}

impl<T: Transport> Follower<T> {
    async fn next(&mut self) -> Result<Proclamation, RecipeError> {
        loop {
            match &mut self.changes {
                None => self.list().await?,
                Some(changes) => match changes.next().await {
                    Some(Ok(changes)) => changes.events.into_iter().for_each(|it| self.apply(it)),
                    Some(Err(error)) if !error.is_compacted() => return Err(error.into()),
                    Some(Err(_)) | None => self.changes = None,
                },
            }
            if let Some((_, leader)) = self.candidates.first_key_value() {
                let this = (leader.key.clone(), leader.mod_revision);
                if self.last.as_ref() != Some(&this) {
                    self.last = Some(this);
                    return Ok(Proclamation {
                        leader: leader.clone(),
                        is_resync: std::mem::take(&mut self.is_resync),
                    });
                }
            }
        }
    }

    /// Reads all candidates, and watches them from then on.
    async fn list(&mut self) -> Result<(), RecipeError> {
        let transport = self.namespace.client().transport();
        let range = Range::new(&self.queue);
        let read = async { Ok(settle(&self.namespace, &range).await?) };
        let read = within(transport, OUTAGE, read).await?.output;
        let revision = read.header.revision;
        let candidates = read.kvs.into_iter().map(|kv| (kv.create_revision, kv));
        self.candidates = candidates.collect();
        let leader = self.candidates.first_key_value().map(|(_, leader)| leader);
        let leader = leader.map(|leader| (leader.key.clone(), leader.mod_revision));
        // Where the same leader leads, no other has led.
        self.is_resync |= self.has_listed && (leader.is_none() || leader != self.last);
        self.has_listed = true;
        let watch = Watch::new(&self.queue).after_revision(revision);
        self.changes = Some(self.namespace.open(watch));
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        if event.is_delete() {
            self.candidates.retain(|_, kv| kv.key != *event.key());
        } else {
            let kv = event.kv.detached();
            self.candidates.insert(kv.create_revision, kv);
        }
    }
}
