use std::{pin::pin, sync::Arc};

use etcd_transport::Transport;
use futures::{
    StreamExt,
    channel::mpsc::UnboundedReceiver,
    future::{BoxFuture, Either, select},
};

use super::{
    snapshot::Snapshot,
    subscription::Subscriptions,
    update::{Decode, apply},
};
use crate::{
    error::Error,
    recipes::{published::Publisher, traits::driver, wait::Pauses},
    v3::{Mirror, Namespace},
};

/// A future that fills a [`Cache`](super::Cache) and follows its keys: spawn it on any runtime, or poll it beside the work.
///
/// It resolves when the last handle and the last stream of the cache are dropped, if the first listing is refused, when the client
/// is [closed](crate::Client::close) or refuses the cluster as another one, or where changes are lost if
/// [that is to end it](super::CacheBuilder::fail_on_gap).
#[must_use = "the cache is filled while the driver is polled"]
pub struct CacheDriver(pub(super) BoxFuture<'static, ()>);

driver!(CacheDriver);

/// What is published.
#[derive(Debug)]
pub(super) struct State<V> {
    /// How many updates there were.
    pub(super) number: u64,
    pub(super) snapshot: Snapshot<V>,
    /// How many keys the range has, those with invalid values included.
    pub(super) keys: usize,
    /// Why the range cannot be read at present.
    pub(super) failure: Option<Error>,
}

/// The range was the same at two revisions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unchanged {
    pub(super) since: i64,
    pub(super) until: i64,
}

/// What the driver works with.
pub(super) struct Work<T, V> {
    pub(super) namespace: Namespace<T>,
    pub(super) mirror: Mirror<T>,
    pub(super) fails_on_gap: bool,
    pub(super) decode: Decode<V>,
    pub(super) publisher: Publisher<State<V>>,
    pub(super) subscriptions: Arc<Subscriptions<V>>,
    /// Ends with the last handle.
    pub(super) unchanged: UnboundedReceiver<Unchanged>,
}

impl<T: Transport, V> Work<T, V> {
    pub(super) async fn execute(mut self) {
        let mut pauses = Pauses::default();
        loop {
            let next = match select(pin!(self.mirror.next()), self.unchanged.next()).await {
                Either::Left((next, _)) => Ok(next),
                Either::Right((unchanged, _)) => Err(unchanged),
            };
            let next = match next {
                Ok(next) => next,
                Err(Some(unchanged)) => {
                    self.advance(unchanged);
                    continue;
                }
                Err(None) => return,
            };
            let before = self.publisher.read();
            let State {
                number, snapshot, ..
            } = &before.value;
            match next {
                Ok(update) => {
                    let update = apply(snapshot.content(), update, &self.decode);
                    let number = number + 1;
                    let state = State {
                        number,
                        snapshot: update.snapshot.clone(),
                        keys: self.mirror.len(),
                        failure: None,
                    };
                    let pass_on = || self.subscriptions.send(number, &update);
                    self.publisher.publish(state, pass_on);
                    pauses = Pauses::default();
                }
                Err(error) => {
                    let is_gap = error.is_compacted() || error.is_cluster_changed();
                    let is_refused = error.is_closed()
                        || *number == 0 && pauses.is_final(&error)
                        // One endpoint of another cluster would be left for the others.
                        || error.is_cluster_changed() && pauses.is_exhausted()
                        || self.fails_on_gap && is_gap;
                    let state = State {
                        snapshot: snapshot.clone(),
                        failure: Some(error),
                        ..before.value
                    };
                    self.publisher.publish(state, || {});
                    if is_refused {
                        return;
                    }
                    pauses.pause(self.namespace.client().transport()).await;
                }
            }
        }
    }

    fn advance(&mut self, unchanged: Unchanged) {
        let before = self.publisher.read();
        let Unchanged { since, until } = unchanged;
        let mut content = before.value.snapshot.content().clone();
        if content.revision == since && until > since {
            content.revision = until;
            let state = State {
                snapshot: Snapshot::of(content),
                failure: before.value.failure.clone(),
                ..before.value
            };
            self.publisher.publish(state, || {});
        }
    }
}
