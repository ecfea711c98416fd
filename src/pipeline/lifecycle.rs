//! The end of a client: what is under way, and whether more may begin.

use std::{
    collections::HashMap,
    fmt,
    future::poll_fn,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker, ready},
};

use futures::{Stream, StreamExt, stream::BoxStream, task::AtomicWaker};

use crate::error::{Error, Result};

/// Whether a client is open, and what is under way: shared by all its clones.
#[derive(Default)]
pub(crate) struct Lifecycle {
    /// One of the states below.
    state: AtomicU8,
    /// How many calls are under way.
    calls: AtomicUsize,
    /// How many sessions have not ended.
    sessions: AtomicUsize,
    waiting: Mutex<Waiting>,
}

/// Calls are sent.
const OPEN: u8 = 0;
/// Only what ends sessions is sent.
const CLOSING: u8 = 1;
/// Nothing is sent.
const CLOSED: u8 = 2;

/// Who has to know of a change of state.
#[derive(Default)]
struct Waiting {
    next: u64,
    ending: HashMap<u64, Arc<dyn End>>,
    /// The calls of `close` that wait until nothing is under way, each once.
    closing: HashMap<u64, Waker>,
}

impl Waiting {
    fn next_id(&mut self) -> u64 {
        let id = self.next;
        self.next += 1;
        id
    }
}

/// What ends with the client.
trait End: Send + Sync {
    /// The state has changed.
    fn end(&self, lifecycle: &Lifecycle);
}

impl Lifecycle {
    /// Returns whether a call is not sent any more. Those that end sessions are `privileged`: they are sent while the client is
    /// closed.
    pub(crate) fn refuses(&self, privileged: bool) -> bool {
        match self.state.load(SeqCst) {
            OPEN => false,
            CLOSING => !privileged,
            _ => true,
        }
    }

    /// Returns whether nothing is sent any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.refuses(true)
    }

    /// Counts a call, which is under way until the result is dropped.
    ///
    /// # Errors
    /// [`Error::is_closed`].
    pub(crate) fn begin_call(
        &self,
        operation: &'static str,
        privileged: bool,
    ) -> Result<UnderWay<'_>> {
        self.calls.fetch_add(1, SeqCst);
        let call = UnderWay(self);
        // Who closes the client changes the state first, and reads the count then.
        if self.refuses(privileged) {
            return Err(Error::closed(operation));
        }
        Ok(call)
    }

    /// Counts a session, which lasts until the result is dropped.
    pub(crate) fn begin_session(self: &Arc<Self>) -> OpenSession {
        self.sessions.fetch_add(1, SeqCst);
        OpenSession(Arc::clone(self))
    }

    /// Resolves when such calls are not sent any more.
    pub(crate) fn ended(
        self: &Arc<Self>,
        privileged: bool,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        let waker = Arc::new(AtomicWaker::new());
        let registration = self.register(Arc::clone(&waker) as Arc<dyn End>);
        poll_fn(move |cx| {
            waker.register(cx.waker());
            if registration.lifecycle.refuses(privileged) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    }

    /// Ends a stream with the client: its last item is an error then.
    pub(crate) fn guard<I: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        privileged: bool,
        stream: BoxStream<'static, Result<I>>,
    ) -> BoxStream<'static, Result<I>> {
        let entry = Arc::new(Entry {
            privileged,
            stream: Mutex::new(Some(stream)),
            waker: AtomicWaker::new(),
        });
        let registration = self.register(Arc::clone(&entry) as Arc<dyn End>);
        Guarded {
            operation,
            entry,
            registration,
            is_over: false,
        }
        .boxed()
    }

    /// Ends the streams, and lets only what ends sessions begin.
    pub(crate) fn begin_closing(&self) {
        let changed = self.state.compare_exchange(OPEN, CLOSING, SeqCst, SeqCst);
        if changed.is_ok() {
            self.end_all();
        }
    }

    /// Resolves when nothing is under way.
    pub(crate) async fn settled(&self) {
        let waiter = Waiter::new(self);
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let before = self.waiting().closing.insert(waiter.id, waker);
            drop(before);
            if self.under_way() == (0, 0) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Lets nothing begin any more. Returns how many calls and sessions are still under way.
    pub(crate) fn close(&self) -> (usize, usize) {
        let under_way = self.under_way();
        if self.state.swap(CLOSED, SeqCst) != CLOSED {
            self.end_all();
        }
        under_way
    }

    fn ended_one(&self, count: &AtomicUsize) {
        if count.fetch_sub(1, SeqCst) == 1 && self.state.load(SeqCst) != OPEN {
            let closing = mem::take(&mut self.waiting().closing);
            closing.into_values().for_each(Waker::wake);
        }
    }

    fn under_way(&self) -> (usize, usize) {
        (self.calls.load(SeqCst), self.sessions.load(SeqCst))
    }

    fn register(self: &Arc<Self>, ending: Arc<dyn End>) -> Registration {
        let mut waiting = self.waiting();
        let id = waiting.next_id();
        waiting.ending.insert(id, ending);
        Registration {
            lifecycle: Arc::clone(self),
            id,
        }
    }

    fn end_all(&self) {
        // Not under the lock: a stream that is dropped may have registered others.
        let ending: Vec<_> = self.waiting().ending.values().cloned().collect();
        for ending in ending {
            ending.end(self);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is under way.
pub(crate) struct UnderWay<'a>(&'a Lifecycle);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.ended_one(&self.0.calls);
    }
}

/// A session that has not ended.
pub(crate) struct OpenSession(Arc<Lifecycle>);

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.0.ended_one(&self.0.sessions);
    }
}

/// A call of `close`. Its waker is removed when it is dropped.
struct Waiter<'a> {
    lifecycle: &'a Lifecycle,
    id: u64,
}

impl<'a> Waiter<'a> {
    fn new(lifecycle: &'a Lifecycle) -> Self {
        let id = lifecycle.waiting().next_id();
        Self { lifecycle, id }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let waker = self.lifecycle.waiting().closing.remove(&self.id);
        // Outside of the lock: it may own what has registrations.
        drop(waker);
    }
}

/// Removes an entry when it is dropped.
struct Registration {
    lifecycle: Arc<Lifecycle>,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let ending = self.lifecycle.waiting().ending.remove(&self.id);
        // Outside of the lock: it may own other registrations.
        drop(ending);
    }
}

impl End for AtomicWaker {
    fn end(&self, _: &Lifecycle) {
        self.wake();
    }
}

/// A stream that ends with the client.
struct Guarded<I> {
    operation: &'static str,
    entry: Arc<Entry<I>>,
    registration: Registration,
    is_over: bool,
}

struct Entry<I> {
    privileged: bool,
    /// `None` once it is over.
    stream: Mutex<Option<BoxStream<'static, Result<I>>>>,
    waker: AtomicWaker,
}

impl<I: Send> End for Entry<I> {
    fn end(&self, lifecycle: &Lifecycle) {
        if !lifecycle.refuses(self.privileged) {
            return;
        }
        // Who polls it at this moment is woken, and drops it.
        let stream = self.stream.try_lock().ok().and_then(|mut it| it.take());
        drop(stream);
        self.waker.wake();
    }
}

impl<I: Send> Stream for Guarded<I> {
    type Item = Result<I>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<I>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let entry = Arc::clone(&self.entry);
        entry.waker.register(cx.waker());
        let mut stream = entry.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if self.registration.lifecycle.refuses(entry.privileged) {
            self.is_over = true;
            drop(stream.take());
            return Poll::Ready(Some(Err(Error::closed(self.operation))));
        }
        let next = match &mut *stream {
            Some(stream) => ready!(stream.poll_next_unpin(cx)),
            None => None,
        };
        if next.is_none() {
            self.is_over = true;
            drop(stream.take());
        }
        Poll::Ready(next)
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (calls, sessions) = self.under_way();
        f.debug_struct("Lifecycle")
            .field("is_open", &!self.refuses(false))
            .field("calls", &calls)
            .field("sessions", &sessions)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::{FutureExt, poll};

    use super::*;

    #[test]
    fn a_close_that_waits_is_remembered_once_however_often_it_is_polled() {
        let lifecycle = Lifecycle::default();
        let call = lifecycle.begin_call("test", false).unwrap();
        lifecycle.begin_closing();
        futures::executor::block_on(async {
            {
                let mut one = pin!(lifecycle.settled());
                let mut other = pin!(lifecycle.settled());
                for _ in 0..100 {
                    assert!(poll!(&mut one).is_pending());
                    assert!(poll!(&mut other).is_pending());
                }
                assert_eq!(lifecycle.waiting().closing.len(), 2);
            }
            assert!(lifecycle.waiting().closing.is_empty());
            let waiting = lifecycle.settled();
            drop(call);
            assert_eq!(waiting.now_or_never(), Some(()));
            assert!(lifecycle.waiting().closing.is_empty());
        });
    }
}
