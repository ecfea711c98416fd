use std::{fmt, ops::Deref, time::Duration};

use bytes::Bytes;
use etcd_transport::Transport;
use futures::stream::BoxStream;

use crate::{
    error::Result as ClientResult,
    recipes::{
        error::RecipeError,
        held::{Held, Placed, first_of, until},
        proclamations::{self, Proclamation},
        session::{Session, join, name},
        traits::clone_and_debug,
        wait::{settle, while_held, within},
    },
    v3::{Compare, Key, KeyRange, KeyValue, Observe, Put, Range, Txn, Value},
};

/// An election, in which one session at a time leads and tells the others a value.
///
/// ```
/// # use etcd_http::{Client, transport::Transport, recipes::RecipeError};
/// use etcd_http::recipes::{Election, Session};
/// use std::time::Duration;
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), RecipeError> {
/// let (session, driver) = Session::open(client.v3(), Duration::from_secs(10)).await?;
/// let work = async {
///     let election = Election::new(&session, "scheduler");
///     election.run_while_leader("10.0.0.7:8080", async |leadership| {
///         println!("leads, with token {}", leadership.fencing_token());
///         // Ends at once when leadership is lost.
///     }).await
/// };
/// session.run(driver, work).await
/// # }
/// ```
///
/// # What is promised
///
/// - **One leader at a time**, as etcd sees it: the candidate whose key was created first. Candidates of Go's
///   `concurrency.Election` and of etcd's own [`Campaign`](crate::v3::Campaign) with the same name take part.
/// - A candidate waits for the one before it, survives what a [`Mutex`](super::Mutex) survives, and ends like one.
/// - [`proclaim`](Leadership::proclaim) is applied once, and only while its caller leads.
///
/// # Limits
///
/// Those of a [`Mutex`](super::Mutex): a halted leader may believe that it leads. Guard what only a leader may do with
/// [`is_held_compare`](Held::is_held_compare) or a [`fencing_token`](Held::fencing_token). There may be no leader for as long
/// as the time to live of the last one's session.
///
/// # Layout
///
/// A key `NAME/LEASE` for each candidate, with the lease in hexadecimal; the value is what it proclaims.
#[doc(alias = "leader election")]
pub struct Election<T> {
    session: Session<T>,
    name: Bytes,
}

impl<T: Transport> Election<T> {
    /// The election with this name. Nothing is sent.
    pub fn new(session: &Session<T>, name: impl Into<Key>) -> Self {
        Self {
            session: session.clone(),
            name: self::name(name),
        }
    }

    /// Waits to be elected, for as long as the session lives. The value is what the candidate will proclaim.
    ///
    /// Dropping the future withdraws the candidate, by the session's driver.
    ///
    /// # Errors
    /// As for [`Mutex::lock`](super::Mutex::lock).
    pub async fn campaign(&self, value: impl Into<Value>) -> Result<Leadership<T>, RecipeError> {
        let value = value.into();
        let lease = self.session.held().await?;
        let key = join(&self.name, format!("/{}", lease.id()));
        let local = Some(self.session.lock_locally(&lease, &key).await?);
        let queue = self.queue();
        let bytes = value.clone().into_bytes();
        let placed = Held::put(&self.session, lease, key, value, local, first_of(&queue)).await?;
        let Placed { own, .. } = &placed;
        let (version, other) = match own {
            Some(own) => (own.version, own.value != bytes),
            None => (1, false),
        };
        let mut leadership = Leadership {
            version,
            held: placed.wait_turn(&queue).await?,
        };
        if other {
            // A candidate of this session was there before.
            leadership.proclaim(bytes).await?;
        }
        Ok(leadership)
    }

    /// Waits to be elected, at most for this long.
    ///
    /// # Errors
    /// As for [`campaign`](Self::campaign); [`RecipeError::TimedOut`] when the limit has passed: the candidate has withdrawn, or
    /// is about to.
    pub async fn campaign_within(
        &self,
        limit: Duration,
        value: impl Into<Value>,
    ) -> Result<Leadership<T>, RecipeError> {
        let campaign = self.campaign(value);
        within(self.session.transport(), limit, campaign).await
    }

    /// Waits to be elected, does work while it leads, and resigns. Returns what the work returns.
    ///
    /// # Errors
    /// As for [`campaign`](Self::campaign), and as for [`Held::run`]: leadership was lost, and the work was dropped.
    pub async fn run_while_leader<O>(
        &self,
        value: impl Into<Value>,
        work: impl AsyncFnOnce(&mut Leadership<T>) -> O,
    ) -> Result<O, RecipeError> {
        let mut leadership = self.campaign(value).await?;
        let lost = leadership.lost();
        let output = until(lost, work(&mut leadership)).await?;
        // The work is done. The driver tries again, and the key ends with the lease.
        let _ = leadership.resign().await;
        Ok(output)
    }

    /// Returns the key of the present leader, whose value is what it proclaims, or `None`.
    ///
    /// # Errors
    /// [`RecipeError::Client`].
    pub async fn leader(&self) -> Result<Option<KeyValue>, RecipeError> {
        let first = first_of(&self.queue());
        Ok(self.session.namespace().send(first).await?.into_first())
    }

    /// Delivers the present leader, and each one after it: [`Observe`]. It goes on over outages and compaction; what a leader
    /// proclaimed meanwhile is skipped, except for the last. See [`proclamations`](Self::proclamations) for all of it.
    ///
    /// It does not need the session, nor its driver.
    pub fn observe(&self) -> BoxStream<'static, ClientResult<KeyValue>> {
        self.session.namespace().open(Observe::new(&self.name))
    }

    /// Delivers what the present leader proclaims, and every proclamation after it, once and in order: of each leader, also of one
    /// that came and went during an outage. Unless history was compacted before it could be read: then it goes on with the
    /// present leader, and [says so](Proclamation::is_resync).
    ///
    /// It reads the candidates once, and watches them: a candidate that does not lead costs an event. The stream ends after an
    /// error, such as an outage of five minutes. It does not need the session, nor its driver.
    pub fn proclamations(&self) -> BoxStream<'static, Result<Proclamation, RecipeError>> {
        proclamations::follow(self.session.namespace(), self.queue())
    }

    /// Returns the session of the candidate.
    pub fn session(&self) -> &Session<T> {
        &self.session
    }

    fn queue(&self) -> KeyRange {
        KeyRange::prefix(join(&self.name, "/"))
    }
}

/// The leadership of an [`Election`]. Dropping it resigns, by the session's driver. It is [`Held`], and has its methods.
pub struct Leadership<T> {
    held: Held<T>,
    /// The version of its key.
    version: i64,
}

impl<T: Transport> Leadership<T> {
    /// Changes the value that the leader proclaims. Applied once, whatever responses are lost. Returns its revision.
    ///
    /// # Errors
    /// [`KeyDeleted`](RecipeError::KeyDeleted) and [`SessionLost`](RecipeError::SessionLost): it does not lead any more.
    pub async fn proclaim(&mut self, value: impl Into<Value>) -> Result<i64, RecipeError> {
        let value = value.into();
        let key = self.held.key().clone();
        loop {
            let put = Put::new(&key, value.clone()).lease(self.held.lease());
            let txn = Txn::new()
                .when(self.held.is_held_compare())
                .when(Compare::version(&key).equal(self.version))
                .then(put)
                .otherwise(Range::new(&key));
            let lease = self.held.held_lease().clone();
            let namespace = self.held.session().namespace();
            let txn = async { Ok(settle(namespace, &txn).await?) };
            let settled = while_held(&lease, txn).await?;
            if settled.output.succeeded {
                self.version = self.version.saturating_add(1);
                return Ok(settled.output.header.revision);
            }
            let found = settled.output.range(0).and_then(|own| own.first());
            let own = found.filter(|own| {
                own.create_revision == self.held.fencing_token() && own.version > self.version
            });
            let Some(own) = own else {
                return Err(self.held.session().key_deleted(key));
            };
            let is_this = own.version == self.version.saturating_add(1)
                && own.value == value.clone().into_bytes();
            self.version = own.version;
            if is_this {
                return Ok(own.mod_revision);
            }
            // An earlier proclamation that was dropped has been applied after all.
        }
    }

    /// Gives up leadership: [`Held::release`].
    ///
    /// # Errors
    /// As for [`Held::release`].
    pub async fn resign(self) -> Result<(), RecipeError> {
        self.held.release().await
    }
}

impl<T> Deref for Leadership<T> {
    type Target = Held<T>;

    fn deref(&self) -> &Held<T> {
        &self.held
    }
}

clone_and_debug!(Election { name, session });

impl<T> fmt::Debug for Leadership<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Leadership").field(&self.held).finish()
    }
}
