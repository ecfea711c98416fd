use std::{
    collections::VecDeque,
    iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use futures::{StreamExt, stream, stream::BoxStream};

use super::{
    Cache,
    driver::State,
    snapshot::Snapshot,
    update::{CacheUpdate, differences},
};

/// The streams of changes of a cache.
#[derive(Debug)]
pub(super) struct Subscriptions<V> {
    queues: Mutex<Vec<Weak<Queue<V>>>>,
    /// How many updates wait for a stream that is not polled.
    limit: usize,
}

/// The updates that wait for a stream.
#[derive(Debug)]
struct Queue<V>(Mutex<Waiting<V>>);

#[derive(Debug)]
struct Waiting<V> {
    /// Each with its number.
    updates: VecDeque<(u64, CacheUpdate<V>)>,
    /// The next update is the differences to the present state.
    is_behind: bool,
}

/// A stream under way.
struct Subscriber<V> {
    cache: Cache<V>,
    queue: Arc<Queue<V>>,
    seen: Snapshot<V>,
    number: u64,
}

impl<V> Subscriptions<V> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            queues: Mutex::default(),
            limit,
        }
    }

    /// Passes on an update that has been published.
    pub(super) fn send(&self, number: u64, update: &CacheUpdate<V>) {
        lock(&self.queues).retain(|queue| {
            let Some(queue) = queue.upgrade() else {
                return false;
            };
            let mut waiting = lock(&queue.0);
            if !waiting.is_behind {
                waiting.updates.push_back((number, update.clone()));
            }
            if waiting.updates.len() > self.limit {
                waiting.updates.clear();
                waiting.is_behind = true;
            }
            true
        });
    }

    fn subscribe(&self, cache: &Cache<V>) -> Arc<Queue<V>>
    where
        V: Send + Sync + 'static,
    {
        // Under the lock: what is published from now on is sent to this queue as well.
        let mut queues = lock(&self.queues);
        let stage = cache.stage();
        let State {
            number, snapshot, ..
        } = &stage.value;
        let present = differences(Snapshot::new(0, []).content(), snapshot);
        let waiting = Waiting {
            updates: (*number > 0)
                .then_some((*number, present))
                .into_iter()
                .collect(),
            is_behind: *number == 0,
        };
        let queue = Arc::new(Queue(Mutex::new(waiting)));
        queues.push(Arc::downgrade(&queue));
        queue
    }
}

/// Delivers the state, and what changes.
pub(super) fn subscribe<V: Send + Sync + 'static>(
    cache: Cache<V>,
) -> BoxStream<'static, CacheUpdate<V>> {
    let subscriber = Subscriber {
        queue: cache.subscriptions().subscribe(&cache),
        seen: Snapshot::new(0, []),
        number: 0,
        cache,
    };
    stream::unfold(subscriber, |mut subscriber| async {
        let update = subscriber.next().await?;
        Some((update, subscriber))
    })
    .boxed()
}

impl<V> Subscriber<V> {
    async fn next(&mut self) -> Option<CacheUpdate<V>> {
        loop {
            let stage = self.cache.stage();
            if let Some(update) = self.take() {
                return Some(update);
            }
            if stage.next().await.is_err() {
                // The last update may have come meanwhile.
                return self.take();
            }
        }
    }

    /// Takes the next update, if it has come.
    fn take(&mut self) -> Option<CacheUpdate<V>> {
        let mut waiting = lock(&self.queue.0);
        let (number, update) = if waiting.is_behind {
            // Read under the lock: an update that is left out of the queue has been published before.
            let stage = self.cache.stage();
            let state = &stage.value;
            if state.number == 0 {
                return None;
            }
            waiting.is_behind = false;
            let update = differences(self.seen.content(), &state.snapshot);
            (state.number, update)
        } else {
            let mut updates = iter::from_fn(|| waiting.updates.pop_front());
            // A stream that began after the cache was ahead of its watch has seen what such an update leads to.
            let is_new = |(number, update): &(u64, CacheUpdate<V>)| {
                let is_later = update.snapshot.revision() > self.seen.revision();
                *number > self.number && (update.is_resync || is_later)
            };
            updates.find(is_new)?
        };
        self.number = number;
        self.seen = update.snapshot.clone();
        Some(update)
    }
}

fn lock<S>(mutex: &Mutex<S>) -> MutexGuard<'_, S> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
