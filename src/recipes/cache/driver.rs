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
    /// What the mirror has come to. What is published may be ahead: see [`advance`].
    pub(super) mirrored: Snapshot<V>,
    pub(super) subscriptions: Arc<Subscriptions<V>>,
    /// Ends with the last handle.
    pub(super) unchanged: UnboundedReceiver<Unchanged>,
}

impl<T: Transport, V> Work<T, V> {
    pub(super) async fn execute(mut self) {
        let mut pauses = Pauses::default();
        let reader = self.mirror.reader();
        loop {
            let next = {
                // It is not dropped by an advance: each request of a listing would begin again.
                let mut next = pin!(self.mirror.next());
                loop {
                    match select(next.as_mut(), self.unchanged.next()).await {
                        Either::Left((next, _)) => break next,
                        // A listing may be of a revision before that of the read.
                        Either::Right((Some(_), _)) if !reader.is_followed() => {}
                        Either::Right((Some(unchanged), _)) => {
                            advance(&mut self.publisher, unchanged);
                        }
                        Either::Right((None, _)) => return,
                    }
                }
            };
            let before = self.publisher.read();
            let State {
                number,
                snapshot,
                keys,
                ..
            } = &before.value;
            match next {
                Ok(update) => {
                    let update = apply(self.mirrored.content(), update, &self.decode);
                    self.mirrored = update.snapshot.clone();
                    // All of this is undone by the revision that was published.
                    let is_overtaken =
                        !update.is_resync && update.snapshot.revision() <= snapshot.revision();
                    let (snapshot, keys) = if is_overtaken {
                        (snapshot.clone(), *keys)
                    } else {
                        (update.snapshot.clone(), self.mirror.len())
                    };
                    let number = number + 1;
                    let state = State {
                        number,
                        snapshot,
                        keys,
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
}

/// Publishes that the range is at a later revision what it was. Keys may have come and gone between, and the watch may yet deliver
/// that: no snapshot shows it any more.
fn advance<V>(publisher: &mut Publisher<State<V>>, unchanged: Unchanged) {
    let before = publisher.read();
    let Unchanged { since, until } = unchanged;
    let mut content = before.value.snapshot.content().clone();
    if content.revision == since && until > since {
        content.revision = until;
        let state = State {
            snapshot: Snapshot::of(content),
            failure: before.value.failure.clone(),
            ..before.value
        };
        publisher.publish(state, || {});
    }
}
