//! Moving keys from the v2 API to the v3 API.
//!
//! A [`Migration`] copies a v2 tree into v3 under a prefix, tells what could not be carried over, and goes on where it was
//! interrupted.

mod attempts;
mod copy;
mod item;
mod journal;
mod leases;
mod report;
mod source;
mod target;
mod verify;

use std::{fmt, time::Duration};

use etcd_transport::Transport;

use crate::{
    client::Client,
    recipes::error::RecipeError,
    v3::{DeleteRange, Namespace, NonAtomicBatch},
};

pub use report::{Note, NoteKind, Progress, Report};
pub use verify::{Difference, DifferenceKind, Verification};

use attempts::Attempts;
use copy::Copy;
use journal::Journal;
use source::Tree;

/// etcd's default for `--max-txn-ops`.
const MAX_OPERATIONS: usize = 128;

/// The fewest with which a transaction can write a key and its record.
const LEAST_OPERATIONS: usize = 2;

/// Two thirds of etcd's default for `--max-request-bytes`.
const MAX_BYTES: usize = 1 << 20;

const OUTAGE_LIMIT: Duration = Duration::from_secs(300);

/// Copies a tree of the v2 API into the v3 API, under a prefix: `/app/db/host` becomes `db/host` in the target's namespace.
///
/// The two clients may be of the same cluster, or of two, and over different transports.
///
/// ```
/// # use etcd_http::{Client, transport::Transport};
/// use etcd_http::recipes::{RecipeError, migration::Migration};
///
/// # async fn example<T: Transport>(old: &Client<T>, new: &Client<T>) -> Result<(), RecipeError> {
/// let migration = Migration::new(old, "/app", new.v3().namespace("app/"));
/// let report = migration
///     .run_with(|now| println!("{} of {} keys", now.done, now.total))
///     .await?;
/// println!("{report}");
/// println!("{}", migration.verify().await?);
/// # Ok(())
/// # }
/// ```
///
/// # What is copied, and as what
///
/// | v2 | v3 |
/// |---|---|
/// | a file | a key with the same value |
/// | a directory | a prefix of keys; an empty one has no equivalent, and is in the [report](Report::notes) |
/// | a time to live | a lease, shared by the keys that expire in the same second. A key lives as long as in v2, give or take a few seconds |
/// | a time to live of a directory | that of each key below, where it is the earlier one. Keys that are added later do not have it, so it is in the report |
/// | the indexes of a key | none: a key of v3 has revisions of its own. [`Report::source_index`] is where a watch of v2 goes on |
/// | a hidden key: `_` begins its name | none, as v2 does not list it. Name it with [`hidden`](Self::hidden) |
/// | a name that is not UTF-8 | none: v2 does not show it. It is in the report |
/// | a value that is not UTF-8 | what v2 shows of it, with U+FFFD in place of such bytes. It is in the report |
/// | a value that v3 does not take: 1.5 MiB by default | none. It is in the report |
///
/// # What is promised
///
/// - **It can be run again**, after a failure, or to take over what has changed in v2 since. Keys that are as they should be are
///   not written.
/// - **Nothing of others is overwritten**: a v3 key that has another value, and was not written by a migration of this tree, or
///   has been changed or deleted since, stays as it is, and is in the report (but for a deleted copy with a lease, which may have
///   expired: it is written again). This is compared in the transaction that writes,
///   so it holds for changes during the copy as well. [`overwrite`](Self::overwrite) has it otherwise.
/// - **Nothing is deleted**, unless [`delete_removed`](Self::delete_removed) says so; then it is copies that no other client has changed.
/// - **A lost response does no harm**: each transaction leaves a record of what it has written, and is not applied twice.
///
/// The records are keys `__migration/…` in the namespace, one for a hundred keys or so. Delete them with
/// [`forget`](Self::forget) when the migration is over.
///
/// # Limits
///
/// v2 has no transactions with v3: what is written to v2 after it was read is not in the copy until the next run. Stop
/// writers, run it again, and [`verify`](Self::verify) the result before you switch. During a run, the tree is in memory.
/// Revisions and leases of the target do not survive a restore of etcd from a backup, so that its keys may then count as
/// changed by others.
#[must_use = "a migration does nothing before `run`"]
pub struct Migration<S, T> {
    source: Client<S>,
    target: Namespace<T>,
    root: String,
    settings: Settings,
}

#[derive(Clone, Debug)]
struct Settings {
    hidden: Vec<String>,
    overwrite: bool,
    delete_removed: bool,
    max_operations: usize,
    max_bytes: usize,
    outage_limit: Duration,
}

impl<S: Transport, T: Transport> Migration<S, T> {
    /// Copies the directory `root` of v2 into `client.v3()`, or a [`Namespace`], of v3. Nothing is sent before
    /// [`run`](Self::run).
    pub fn new(source: &Client<S>, root: impl AsRef<str>, target: impl Into<Namespace<T>>) -> Self {
        Self {
            source: source.clone(),
            target: target.into(),
            root: source::path(root.as_ref()),
            settings: Settings {
                hidden: Vec::new(),
                overwrite: false,
                delete_removed: false,
                max_operations: MAX_OPERATIONS,
                max_bytes: MAX_BYTES,
                outage_limit: OUTAGE_LIMIT,
            },
        }
    }

    /// Also copies this hidden key, or the directory with what it lists. It must be below the root.
    pub fn hidden(mut self, key: impl AsRef<str>) -> Self {
        self.settings.hidden.push(source::path(key.as_ref()));
        self
    }

    /// Also writes keys whose v3 value is another client's, or which another client has deleted. Defaults to `false`: they
    /// are reported.
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.settings.overwrite = overwrite;
        self
    }

    /// Also deletes copies whose v2 key is gone, if no other client has changed them. Defaults to `false`: they are reported.
    pub fn delete_removed(mut self, delete_removed: bool) -> Self {
        self.settings.delete_removed = delete_removed;
        self
    }

    /// Sets how many operations a transaction has at most. Defaults to 128, as etcd's `--max-txn-ops`. A server that takes
    /// fewer gets fewer.
    pub fn max_operations(mut self, operations: usize) -> Self {
        self.settings.max_operations = operations.max(LEAST_OPERATIONS);
        self
    }

    /// Sets how large a transaction is at most, in bytes. Defaults to 1 MiB, below etcd's `--max-request-bytes` of 1.5 MiB. A
    /// larger value has a transaction of its own, and a server that takes less gets less.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_bytes = bytes;
        self
    }

    /// Sets for how long a request is repeated while it fails. Defaults to 5 minutes.
    pub fn outage_limit(mut self, limit: Duration) -> Self {
        self.settings.outage_limit = limit;
        self
    }

    /// Copies what is not copied yet.
    ///
    /// # Errors
    /// [`RecipeError::Client`]: a request failed, and did so for the [limit](Self::outage_limit) if another attempt might have
    /// succeeded. What was copied before stays, and the next run goes on from there; if the
    /// [outcome](crate::Error::outcome) is unknown, this includes the last transaction or not.
    /// [`is_key_not_found`](crate::Error::is_key_not_found) if the root or a hidden key does not exist.
    /// [`RecipeError::Conflict`] if other clients keep changing keys that are to be [overwritten](Self::overwrite).
    pub async fn run(&self) -> Result<Report, RecipeError> {
        self.run_with(|_| ()).await
    }

    /// The same as [`run`](Self::run), with a function that is called at the beginning and after each transaction.
    ///
    /// # Errors
    /// The same as for [`run`](Self::run).
    pub async fn run_with(
        &self,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<Report, RecipeError> {
        let start = self.source.transport().now();
        let tree = self.tree().await?;
        let journal = self.journal().await?;
        Box::pin(Copy::new(self, start, journal, tree).run(progress)).await
    }

    /// Compares v2 and v3 as they are, and returns the differences. Nothing is written.
    ///
    /// # Errors
    /// [`RecipeError::Client`]: a request failed, as for [`run`](Self::run).
    pub async fn verify(&self) -> Result<Verification, RecipeError> {
        let tree = self.tree().await?;
        Box::pin(verify::verify(self, tree)).await
    }

    /// Deletes the records of the migration. Afterwards copies count as keys of others.
    ///
    /// # Errors
    /// [`RecipeError::Client`]: a request failed. Call it again.
    pub async fn forget(&self) -> Result<(), RecipeError> {
        let records = self.journal().await?.records().to_vec();
        let deletes = records.into_iter().map(DeleteRange::new);
        let deletes = NonAtomicBatch::new(deletes).max_operations(self.settings.max_operations);
        for txn in deletes.into_txns() {
            self.attempts()
                .repeat(self.target.client().transport(), || {
                    self.target.send(txn.clone())
                })
                .await?;
        }
        Ok(())
    }

    async fn tree(&self) -> Result<Tree, RecipeError> {
        let (root, hidden) = (&self.root, &self.settings.hidden);
        let read = source::read(&self.source, root, hidden, self.attempts());
        Ok(Box::pin(read).await?)
    }

    async fn journal(&self) -> Result<Journal, RecipeError> {
        let load = Journal::load(&self.target, &self.root, self.attempts());
        Box::pin(load).await
    }

    fn attempts(&self) -> Attempts {
        Attempts::new(self.settings.outage_limit)
    }
}

impl<S, T> Clone for Migration<S, T> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            target: self.target.clone(),
            root: self.root.clone(),
            settings: self.settings.clone(),
        }
    }
}

impl<S, T> fmt::Debug for Migration<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration")
            .field("root", &self.root)
            .field("target", &self.target)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
