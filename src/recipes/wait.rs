//! Repeating what is safe to repeat, and waiting for changes.

use std::{collections::HashSet, pin::pin, time::Duration};

use bytes::Bytes;
use etcd_transport::Transport;
use futures::{
    FutureExt, StreamExt,
    future::{Either, select},
};

use crate::{
    error::{Error, Outcome, Result},
    recipes::error::RecipeError,
    v3::{HeldLease, KeyRange, Namespace, Namespaced, Range, Txn, TxnResponse, Watch},
};

/// The pauses between attempts double from the first to the longest one. Half of each is random.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How often a response that is not etcd's is taken as an outage, as of a proxy, and not as final: for some five minutes, as in
/// a watch.
const FOREIGN_ATTEMPTS: u32 = 150;

/// How often an operation without a limit of its own is tried.
const ATTEMPTS: u32 = 10;

/// The output of an operation that was repeated until it was definite.
pub(super) struct Settled<O> {
    pub(super) output: O,
    /// An attempt before the last one may have been applied, or may still be.
    pub(super) in_doubt: bool,
}

/// Sends an operation that is safe to repeat, until a response tells its outcome or a failure is final. The caller limits
/// the time.
pub(super) async fn settle<T, O>(
    namespace: &Namespace<T>,
    operation: &O,
) -> Result<Settled<O::Output>>
where
    T: Transport,
    O: Namespaced + Clone,
{
    let mut pauses = Pauses::default();
    let mut in_doubt = false;
    loop {
        // On the heap and without its type, as all that is large here: futures of recipes are nested deeply.
        match namespace.send(operation.clone()).boxed().await {
            Ok(output) => return Ok(Settled { output, in_doubt }),
            Err(error) if pauses.is_final(&error) => return Err(error.after_doubt(in_doubt)),
            Err(error) => in_doubt |= error.outcome() == Outcome::Unknown,
        }
        pauses.pause(namespace.client().transport()).await;
    }
}

/// The pauses between attempts.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    count: u32,
}

impl Pauses {
    /// Whether the operation cannot succeed later.
    pub(super) fn is_final(&self, error: &Error) -> bool {
        is_refused(error) || !error.is_retryable() && self.count >= FOREIGN_ATTEMPTS
    }

    /// Whether an operation without a limit of its own has been tried often enough.
    pub(super) fn is_exhausted(&self) -> bool {
        self.count >= ATTEMPTS
    }

    pub(super) async fn pause<T: Transport>(&mut self, transport: &T) {
        let factor = 1 << self.count.min(10);
        self.count += 1;
        let longest = FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
        let pause = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        transport.sleep(pause).await;
    }
}

/// Whether the operation cannot succeed later, however often a proxy has responded with a page of its own: for attempts that
/// have a limit in time.
pub(super) fn is_refused(error: &Error) -> bool {
    let is_foreign = error.is_foreign() || matches!(error, Error::Unexpected(_));
    !error.is_retryable() && (!is_foreign || error.is_cluster_changed())
}

/// Ends a wait with an error when the limit has passed.
pub(super) async fn within<T: Transport, O>(
    transport: &T,
    limit: Duration,
    work: impl Future<Output = Result<O, RecipeError>>,
) -> Result<O, RecipeError> {
    let sleep = transport.sleep(limit);
    match select(Box::pin(work), pin!(sleep)).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(RecipeError::TimedOut(limit)),
    }
}

/// Polls a driver beside work, until the work is done.
pub(super) async fn beside<O>(
    driver: impl Future<Output = ()>,
    work: impl Future<Output = O>,
) -> O {
    match select(Box::pin(work), pin!(driver)).await {
        Either::Left((output, _)) => output,
        Either::Right(((), work)) => work.await,
    }
}

/// Does work for as long as the lease is not lost. A response that says so is the loss, even if the lease's keeper does not know
/// it yet.
pub(super) async fn while_held<T: Transport, O>(
    lease: &HeldLease<T>,
    work: impl Future<Output = Result<O, RecipeError>>,
) -> Result<O, RecipeError> {
    match select(Box::pin(work), Box::pin(lease.lost())).await {
        Either::Left((Err(RecipeError::Client(error)), lost)) if error.is_lease_not_found() => {
            Err(RecipeError::session_over(lost.await))
        }
        Either::Left((Err(RecipeError::Client(error)), _)) if error.is_closed() => {
            Err(RecipeError::SessionClosed)
        }
        Either::Left((result, _)) => result,
        Either::Right((loss, _)) => Err(RecipeError::session_over(loss)),
    }
}

/// Resolves when the key that this revision created does not exist, which it did at `revision`. Returns the revision that
/// deleted it, if a watch has delivered that.
pub(super) async fn gone<T: Transport>(
    namespace: &Namespace<T>,
    key: &Bytes,
    created: i64,
    mut revision: i64,
) -> Result<Option<i64>> {
    let mut pauses = Pauses::default();
    loop {
        let deletes = Watch::new(key).without_puts();
        if let Some(deleted) = next_change(namespace, deletes, revision, &pauses).await? {
            return Ok(Some(deleted));
        }
        let read = settle(namespace, &Range::new(key)).await?.output;
        match read.first() {
            Some(kv) if kv.create_revision == created => revision = read.header.revision,
            _ => return Ok(None),
        }
        pauses.pause(namespace.client().transport()).await;
    }
}

/// Waits for a change after this revision, and returns its revision; `None` if there may have been one: the state has to be read.
pub(super) async fn next_change<T: Transport>(
    namespace: &Namespace<T>,
    watch: Watch,
    revision: i64,
    pauses: &Pauses,
) -> Result<Option<i64>> {
    let watch = watch.from_revision(revision.saturating_add(1));
    match namespace.open(watch).next().await {
        Some(Ok(changes)) => Ok(Some(changes.revision)),
        Some(Err(error)) if !is_history_lost(&error) && pauses.is_final(&error) => Err(error),
        Some(Err(_)) | None => Ok(None),
    }
}

/// Whether a watch cannot go on from where it was. A read shows what there is now, or that the cluster is refused.
fn is_history_lost(error: &Error) -> bool {
    error.is_compacted() || error.is_cluster_changed()
}

/// Resolves when fewer than `limit` of these keys are left, or may be. They existed at `revision`. Returns the revision of the last
/// change, if a watch has delivered that.
pub(super) async fn fewer<T: Transport>(
    namespace: &Namespace<T>,
    range: &KeyRange,
    keys: impl IntoIterator<Item = Bytes>,
    limit: usize,
    revision: i64,
    pauses: &Pauses,
) -> Result<Option<i64>> {
    let mut left: HashSet<_> = keys.into_iter().collect();
    let watch = Watch::new(range).without_puts();
    let mut changes = namespace.open(watch.from_revision(revision.saturating_add(1)));
    let mut changed = None;
    while left.len() >= limit {
        match changes.next().await {
            Some(Ok(changes)) => {
                changed = Some(changes.revision);
                for event in &changes.events {
                    left.remove(event.key());
                }
            }
            Some(Err(error)) if !is_history_lost(&error) && pauses.is_final(&error) => {
                return Err(error);
            }
            Some(Err(_)) | None => return Ok(None),
        }
    }
    Ok(changed)
}

/// Reads what only grows more true: of the keys that were there at `since`, some may go, and none comes back. So a member's own
/// data do, if they are not older than that, and the other members need not be asked.
pub(super) async fn read_since<T: Transport>(
    namespace: &Namespace<T>,
    read: impl Fn(bool) -> Txn,
    since: Option<i64>,
) -> Result<TxnResponse> {
    if let Some(since) = since
        && let Ok(output) = namespace.send(read(true)).boxed().await
        && output.header.revision >= since
    {
        return Ok(output);
    }
    Ok(settle(namespace, &read(false)).await?.output)
}
