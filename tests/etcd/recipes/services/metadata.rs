//! A store of metadata: anyone reads and follows it, only the elected leader writes.

use std::{collections::HashSet, time::Duration};

use etcd_http::{
    Error, Outcome,
    recipes::{Election, Leadership, RecipeError, Session},
    transport::Transport,
    v3::{Compare, DeleteRange, KeyRange, KeyValue, Mirror, Namespace, Put, Range, Txn},
};
use futures::TryStreamExt;

/// A write of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) key: String,
    /// `None` deletes the key.
    pub(crate) value: Option<Vec<u8>>,
    /// The revision that has last changed the key, 0 if it must not exist; `None` writes in any case.
    pub(crate) expected: Option<i64>,
}

/// Why a write of the leader failed. All writes before the batch's `applied` ones are in the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("this process does not lead any more; {applied} writes of the batch are applied")]
    Deposed { applied: usize },
    #[error("a condition does not hold; {applied} writes of the batch are applied")]
    Conflict { applied: usize },
    #[error("{applied} writes of the batch are applied, and the next ones may be: {error}")]
    Client { applied: usize, error: Error },
}

/// Keys and values, and the election of the process that writes them.
pub(crate) struct MetadataStore<T> {
    keys: Namespace<T>,
    ttl: Duration,
}

impl<T: Transport> MetadataStore<T> {
    /// The store in this namespace. A leader that dies is replaced after `ttl`.
    pub(crate) fn new(keys: &Namespace<T>, ttl: Duration) -> Self {
        let keys = keys.clone();
        Self { keys, ttl }
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<KeyValue>, Error> {
        let read = self.keys.send(Range::new(data(key))).await?;
        Ok(read.into_first())
    }

    /// Returns the keys that begin with this: read in pages, all of one revision.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<KeyValue>, Error> {
        let range = KeyRange::prefix(data(prefix));
        self.keys.kv().range_stream(range).try_collect().await
    }

    /// Lists the keys that begin with this, and follows them, over outages and compaction.
    pub(crate) fn watch(&self, prefix: &str) -> Mirror<T> {
        self.keys.mirror(KeyRange::prefix(data(prefix)))
    }

    /// Waits until this process leads, and does work while it does: again if it was deposed before the work was done.
    pub(crate) async fn lead<O>(
        &self,
        name: &str,
        mut work: impl AsyncFnMut(&mut Leader<'_, T>) -> O,
    ) -> Result<O, RecipeError> {
        let (session, driver) = Session::open(&self.keys, self.ttl).await?;
        let election = Election::new(&session, "leader");
        let campaigns = async {
            loop {
                let led = election.run_while_leader(name, async |leadership| {
                    work(&mut Leader::new(&self.keys, leadership)).await
                });
                match led.await {
                    Err(RecipeError::SessionLost(_)) => session.reestablish().await?,
                    Err(RecipeError::KeyDeleted { .. }) => {}
                    done => return done,
                }
            }
        };
        session.run(driver, campaigns).await
    }
}

/// The leader of a store. Its writes are refused by etcd as soon as another process leads, whatever this one believes.
pub(crate) struct Leader<'a, T> {
    keys: &'a Namespace<T>,
    leadership: &'a Leadership<T>,
    /// A key that each transaction of this leadership writes: its version is how many are applied, its value the last one's
    /// number.
    sequence: String,
    applied: i64,
    number: u64,
}

impl<'a, T: Transport> Leader<'a, T> {
    fn new(keys: &'a Namespace<T>, leadership: &'a Leadership<T>) -> Self {
        Self {
            keys,
            leadership,
            sequence: format!("sequence/{}", leadership.fencing_token()),
            applied: 0,
            number: 0,
        }
    }

    pub(crate) async fn put(
        &mut self,
        key: &str,
        value: impl Into<Vec<u8>>,
    ) -> Result<(), WriteError> {
        self.commit(&[Write {
            key: key.to_owned(),
            value: Some(value.into()),
            expected: None,
        }])
        .await
    }

    pub(crate) async fn delete(&mut self, key: &str) -> Result<(), WriteError> {
        self.commit(&[Write {
            key: key.to_owned(),
            value: None,
            expected: None,
        }])
        .await
    }

    /// Writes a batch, in as many transactions as etcd's limits need. Each is applied once or not at all; the batch as a whole
    /// is not atomic.
    pub(crate) async fn commit(&mut self, batch: &[Write]) -> Result<(), WriteError> {
        let mut applied = 0;
        while applied < batch.len() {
            let chunk = first_chunk(&batch[applied..]);
            self.apply(chunk, applied).await?;
            applied += chunk.len();
        }
        Ok(())
    }

    /// Applies one transaction. A failure that leaves its outcome open is settled by sending it again: it is applied only
    /// as the next of this leadership.
    async fn apply(&mut self, writes: &[Write], applied: usize) -> Result<(), WriteError> {
        self.number += 1;
        loop {
            let done = match self.keys.send(self.transaction(writes)).await {
                Ok(done) => done,
                Err(error) if error.is_lease_not_found() => {
                    return Err(WriteError::Deposed { applied });
                }
                Err(error) if self.leadership.is_held() && is_open(&error) => {
                    let transport = self.keys.client().transport();
                    transport.sleep(Duration::from_millis(100)).await;
                    continue;
                }
                Err(error) => return Err(WriteError::Client { applied, error }),
            };
            let read = |index| done.range(index).and_then(|read| read.first());
            let last = read(0).filter(|last| last.version > self.applied);
            if done.succeeded {
                self.applied += 1;
                return Ok(());
            } else if let Some(last) = last {
                // An attempt was applied whose response was lost: of this transaction, or of one that was given up.
                self.applied = last.version;
                if last.value == self.number.to_string() {
                    return Ok(());
                }
            } else {
                let token = self.leadership.fencing_token();
                let leads = read(1).is_some_and(|own| own.create_revision == token);
                return Err(match leads {
                    true => WriteError::Conflict { applied },
                    false => WriteError::Deposed { applied },
                });
            }
        }
    }

    fn transaction(&self, writes: &[Write]) -> Txn {
        let sequence = Put::new(&self.sequence, self.number.to_string());
        let guarded = Txn::new()
            .when(self.leadership.is_held_compare())
            .when(Compare::version(&self.sequence).equal(self.applied))
            .then(sequence.lease(self.leadership.lease()))
            .otherwise(Range::new(&self.sequence))
            .otherwise(Range::new(self.leadership.key()));
        writes.iter().fold(guarded, add)
    }
}

/// The key of an entry, apart from those of the election.
fn data(key: &str) -> String {
    format!("data/{key}")
}

fn add(txn: Txn, write: &Write) -> Txn {
    let key = data(&write.key);
    let txn = match write.expected {
        Some(revision) => txn.when(Compare::mod_revision(&key).equal(revision)),
        None => txn,
    };
    match &write.value {
        Some(value) => txn.then(Put::new(&key, value)),
        None => txn.then(DeleteRange::new(&key)),
    }
}

/// The writes that fit into one transaction: at most so many, and bytes, and none of a key that is written before.
fn first_chunk(batch: &[Write]) -> &[Write] {
    let (mut keys, mut bytes, mut count) = (HashSet::new(), 0, 0);
    for write in batch.iter().take(MAX_WRITES) {
        bytes += 2 * write.key.len() + write.value.as_ref().map_or(0, Vec::len) + OVERHEAD;
        let is_new = keys.insert(&write.key);
        if !is_new || (count > 0 && bytes > MAX_BYTES) {
            break;
        }
        count += 1;
    }
    &batch[..count]
}

/// Whether the same transaction may succeed later, or may have been applied.
fn is_open(error: &Error) -> bool {
    error.is_retryable() || error.outcome() == Outcome::Unknown
}

/// etcd's default for `--max-txn-ops` is 128 comparisons and as many operations, of which two and one are the leader's.
const MAX_WRITES: usize = 126;

/// etcd's default for `--max-request-bytes` is 1.5 MiB.
const MAX_BYTES: usize = 1 << 20;
const OVERHEAD: usize = 100;
