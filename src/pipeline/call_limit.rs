use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
};

use etcd_transport::Transport;
use futures::{
    FutureExt,
    future::{Either, select},
    task::AtomicWaker,
};

use crate::{
    error::{Error, Result},
    pipeline::{Pipeline, call::Call, deadline::Deadline, lifecycle::UnderWay},
};

/// Limits how many calls are under way at a time. Others wait in a queue, in the order in which they came, and no more than fit
/// into it.
#[derive(Debug)]
pub(crate) struct CallLimit {
    max_waiting: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How many more calls may be sent at once.
    free: usize,
    waiting: VecDeque<Arc<Waiting>>,
}

/// A call that has begun.
pub(crate) struct Begun<'a> {
    _under_way: UnderWay<'a>,
    _admitted: Option<Admitted<'a>>,
}

impl<T: Transport> Pipeline<T> {
    /// Begins a call: waits for its turn if the number of calls is limited. It is under way until the result is dropped.
    ///
    /// Calls that wait at the server for something to happen are not limited: others would wait for the same.
    ///
    /// # Errors
    /// [`Error::is_closed`], [`Error::is_overloaded`].
    pub(crate) async fn begin(&self, call: &Call) -> Result<Begun<'_>> {
        let under_way = self
            .lifecycle
            .begin_call(call.operation, self.is_privileged)?;
        let admitted = match &self.call_limit {
            Some(limit) if call.deadline == Deadline::Usual && !self.ends_with_client() => {
                // Boxed, so that calls without a limit do not pay for it.
                let admitted = self.admit(limit, call.operation).boxed().await?;
                if self.lifecycle.is_closed() {
                    return Err(Error::closed(call.operation));
                }
                Some(admitted)
            }
            _ => None,
        };
        Ok(Begun {
            _under_way: under_way,
            _admitted: admitted,
        })
    }

    /// Whether calls of this pipeline end what is open while the client is being closed: they need no place among the others.
    fn ends_with_client(&self) -> bool {
        self.is_privileged && self.lifecycle.refuses(false)
    }

    async fn admit<'a>(
        &self,
        limit: &'a CallLimit,
        operation: &'static str,
    ) -> Result<Admitted<'a>> {
        let longest = self.retry.overall;
        let sleep = self.transport.sleep(longest);
        match select(pin!(limit.admit()), sleep).await {
            Either::Left((Ok(admitted), _)) => Ok(admitted),
            Either::Left((Err(waiting), _)) => {
                let reason = format!(
                    "the most calls are under way, and {waiting} wait in the queue, which is full: nothing was sent"
                );
                Err(Error::overloaded(operation, reason))
            }
            Either::Right(_) => {
                let reason = format!(
                    "the most calls are under way, and none has ended within {longest:?}: nothing was sent"
                );
                Err(Error::overloaded(operation, reason))
            }
        }
    }
}

/// A call in the queue.
#[derive(Debug, Default)]
struct Waiting {
    /// It has got the place of one that has ended.
    is_admitted: AtomicBool,
    waker: AtomicWaker,
}

impl CallLimit {
    /// At most `calls` at a time, and `waiting` in the queue.
    pub(crate) fn new(calls: usize, waiting: usize) -> Self {
        Self {
            max_waiting: waiting,
            state: Mutex::new(State {
                free: calls,
                waiting: VecDeque::new(),
            }),
        }
    }

    /// Waits until the call may be sent. It is under way until the result is dropped.
    ///
    /// # Errors
    /// How many wait, where the queue is full.
    pub(crate) async fn admit(&self) -> Result<Admitted<'_>, usize> {
        let waiting = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Admitted(self));
            }
            if state.waiting.len() >= self.max_waiting {
                return Err(state.waiting.len());
            }
            let waiting = Arc::<Waiting>::default();
            state.waiting.push_back(Arc::clone(&waiting));
            waiting
        };
        let mut leave = Leave {
            limit: self,
            waiting,
            is_over: false,
        };
        poll_fn(|cx| {
            leave.waiting.waker.register(cx.waker());
            if leave.waiting.is_admitted.load(SeqCst) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        // From here on, what is returned hands the place on.
        leave.is_over = true;
        Ok(Admitted(self))
    }

    /// A call has ended: the next one in the queue gets its place.
    fn release(&self) {
        let mut state = self.state();
        match state.waiting.pop_front() {
            Some(next) => {
                next.is_admitted.store(true, SeqCst);
                drop(state);
                next.waker.wake();
            }
            None => state.free += 1,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that may be sent.
#[derive(Debug)]
pub(crate) struct Admitted<'a>(&'a CallLimit);

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// Leaves the queue when the call is dropped in it.
struct Leave<'a> {
    limit: &'a CallLimit,
    waiting: Arc<Waiting>,
    is_over: bool,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut state = self.limit.state();
        if self.waiting.is_admitted.load(SeqCst) {
            // It is dropped before it was polled again.
            drop(state);
            self.limit.release();
        } else {
            state.waiting.retain(|it| !Arc::ptr_eq(it, &self.waiting));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, executor::block_on, poll};

    use super::*;

    #[test]
    fn calls_are_admitted_in_the_order_in_which_they_came() {
        let limit = CallLimit::new(1, 2);
        block_on(async {
            let first = limit.admit().await.unwrap();
            let (mut second, mut third) = (pin!(limit.admit()), pin!(limit.admit()));
            assert!(poll!(&mut second).is_pending());
            assert!(poll!(&mut third).is_pending());
            let refused = limit.admit().now_or_never().unwrap();
            assert_eq!(refused.unwrap_err(), 2);
            drop(first);
            assert!(poll!(&mut third).is_pending());
            let second = second.await.unwrap();
            assert!(poll!(&mut third).is_pending());
            drop(second);
            drop(third.await.unwrap());
            assert_eq!(limit.state().free, 1);
        });
    }

    #[test]
    fn a_call_that_is_dropped_in_the_queue_takes_no_place() {
        let limit = CallLimit::new(1, 2);
        block_on(async {
            let first = limit.admit().await.unwrap();
            {
                let mut waiting = pin!(limit.admit());
                assert!(poll!(&mut waiting).is_pending());
            }
            assert!(limit.state().waiting.is_empty());
            let mut other = pin!(limit.admit());
            {
                // It is given the place, and dropped before it takes it.
                let mut waiting = pin!(limit.admit());
                assert!(poll!(&mut waiting).is_pending());
                assert!(poll!(&mut other).is_pending());
                drop(first);
            }
            drop(other.await.unwrap());
            assert_eq!(limit.state().free, 1);
        });
    }
}
