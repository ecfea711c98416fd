mod transaction;

use std::{fmt, time::Duration};

use bytes::Bytes;
use etcd_transport::Transport;

use crate::{
    error::Outcome,
    recipes::{error::RecipeError, session::Session, wait::Pauses},
    v3::{Namespace, Txn, TxnResponse},
};

pub use transaction::Transaction;

/// Transactions that read and write any keys, and are repeated when other clients change what they have read: software
/// transactional memory.
///
/// ```
/// # use etcd_http::{Client, transport::Transport, recipes::{RecipeError, Stm}};
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), RecipeError> {
/// let moved = Stm::new(client.v3())
///     .run(async |txn| {
///         let from: i64 = txn.get_parsed("accounts/ada").await?.unwrap_or(0);
///         let to: i64 = txn.get_parsed("accounts/brian").await?.unwrap_or(0);
///         if from < 10 {
///             return Err(RecipeError::abort("not enough"));
///         }
///         txn.put("accounts/ada", (from - 10).to_string());
///         txn.put("accounts/brian", (to + 10).to_string());
///         Ok(from - 10)
///     })
///     .await?;
/// println!("{} left, at revision {}", moved.output, moved.revision);
/// # Ok(())
/// # }
/// ```
///
/// # What is promised
///
/// - The writes of a transaction that returns `Ok` are applied together, and only if its [`Isolation`] held. What the work
///   reads is of one revision, at the two serializable levels.
/// - The work is repeated after a conflict: at most [`tries`](Self::tries) times, with random pauses between. Then the
///   error names the keys that others had changed.
/// - With [`exactly_once`](Self::exactly_once) it is applied once, whatever responses are lost. Without, a lost response is an
///   error whose [outcome](crate::Error::outcome) is unknown, and the transaction is not sent again.
///
/// # Limits
///
/// The work runs several times: it should do nothing but read and write the transaction, and borrow what else it needs. `async
/// |txn|` does, also in a task that is spawned; `async move |txn|` could run only once. All keys that it reads are compared,
/// and all that it writes are written, in one request: at most 128 each, by etcd's default. Keys are read one by one, not by
/// ranges.
///
/// The levels are those of Go's `concurrency.STM`.
#[doc(alias = "transaction")]
pub struct Stm<T> {
    namespace: Namespace<T>,
    isolation: Isolation,
    tries: u32,
    session: Option<Session<T>>,
}

/// What a transaction may see and miss of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isolation {
    /// All reads are of one revision. Neither what was read nor what is written was changed by others since.
    #[default]
    SerializableSnapshot,
    /// All reads are of one revision. What was read was not changed by others since.
    Serializable,
    /// A key that is read twice has the same value, but two keys may be of different revisions, and of a member's own
    /// data. What was read was not changed by others when the writes are applied.
    RepeatableReads,
    /// Reads are of a member's own data, which was committed once. Nothing is compared: there are no conflicts.
    ReadCommitted,
}

/// A transaction that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed<O> {
    /// What the work returned.
    pub output: O,
    /// The revision of its writes; if it had none, that of its last check.
    pub revision: i64,
    /// How many tries it took.
    pub tries: u32,
}

/// The pause after the first conflict. Each is twice the one before, up to the longest; half of each is random.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl<T: Transport> Stm<T> {
    /// Transactions on the keys of `client.v3()`, or of a [`Namespace`].
    pub fn new(within: impl Into<Namespace<T>>) -> Self {
        Self {
            namespace: within.into(),
            isolation: Isolation::default(),
            tries: 50,
            session: None,
        }
    }

    /// Sets what a transaction may see of others. Defaults to [`Isolation::SerializableSnapshot`].
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Sets how often the work is tried. Defaults to 50. At least once.
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = tries.max(1);
        self
    }

    /// Applies each transaction exactly once, whatever responses are lost, with a key of this session that tells whether it
    /// was. The keys are those of the session's namespace.
    #[must_use]
    pub fn exactly_once(mut self, session: &Session<T>) -> Self {
        self.namespace = session.namespace().clone();
        self.session = Some(session.clone());
        self
    }

    /// Does the work in a transaction, and again after each conflict.
    ///
    /// # Errors
    /// [`RecipeError::Conflict`] after the last try; [`RecipeError::SessionLost`] (it may have been applied);
    /// [`RecipeError::Client`], whose [outcome](crate::Error::outcome) tells; what the work returns.
    pub async fn run<O, F>(
        &self,
        mut work: impl FnMut(Transaction<T>) -> F,
    ) -> Result<Committed<O>, RecipeError>
    where
        F: Future<Output = Result<O, RecipeError>>,
    {
        let mut transaction = Transaction::new(self.namespace.clone(), self.isolation);
        let mut tries = 0;
        loop {
            tries += 1;
            let output = work(transaction.clone()).await;
            let read = transaction.end();
            let conflict = match (output, read.is_outdated) {
                // What was to be read is no longer there.
                (_, Some(key)) => {
                    transaction = Transaction::new(self.namespace.clone(), self.isolation);
                    vec![key]
                }
                (Err(error), None) => return Err(error),
                (Ok(output), None) => {
                    let commit = self.commit(read.txn).await?;
                    if let Some(revision) = commit.revision {
                        return Ok(Committed {
                            output,
                            revision,
                            tries,
                        });
                    }
                    transaction.conflict(commit.response.as_ref())
                }
            };
            if tries >= self.tries {
                return Err(RecipeError::Conflict {
                    tries,
                    keys: conflict,
                });
            }
            self.pause(tries).await;
        }
    }

    async fn commit(&self, txn: Txn) -> Result<Commit, RecipeError> {
        if let Some(session) = &self.session {
            let applied = session.once(txn).await?;
            return Ok(Commit {
                revision: applied.revision,
                response: applied.response,
            });
        }
        let mut pauses = Pauses::default();
        loop {
            match Box::pin(self.namespace.send(txn.clone())).await {
                Ok(response) => {
                    let revision = response.succeeded.then_some(response.header.revision);
                    return Ok(Commit {
                        revision,
                        response: Some(response),
                    });
                }
                Err(error) if error.outcome() == Outcome::Unknown || pauses.is_final(&error) => {
                    return Err(error.into());
                }
                Err(error) if pauses.is_exhausted() => return Err(error.into()),
                Err(_) => pauses.pause(self.namespace.client().transport()).await,
            }
        }
    }

    async fn pause(&self, tries: u32) {
        let longest = FIRST_PAUSE.saturating_mul(1 << tries.min(10));
        let pause = longest
            .min(LONGEST_PAUSE)
            .mul_f64(0.5 + fastrand::f64() / 2.0);
        self.namespace.client().transport().sleep(pause).await;
    }
}

/// What a commit has done.
struct Commit {
    /// The revision, if the comparisons held.
    revision: Option<i64>,
    response: Option<TxnResponse>,
}

/// What a try has read and is to write.
struct Attempt {
    txn: Txn,
    /// A key that cannot be read at the revision of the others any more.
    is_outdated: Option<Bytes>,
}

impl<T> Clone for Stm<T> {
    fn clone(&self) -> Self {
        Self {
            namespace: self.namespace.clone(),
            isolation: self.isolation,
            tries: self.tries,
            session: self.session.clone(),
        }
    }
}

impl<T> fmt::Debug for Stm<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stm")
            .field("isolation", &self.isolation)
            .field("tries", &self.tries)
            .finish_non_exhaustive()
    }
}
