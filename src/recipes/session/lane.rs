use bytes::Bytes;
use etcd_transport::Transport;
use futures::FutureExt;

use super::{Session, lock};
use crate::{
    recipes::{
        error::RecipeError,
        wait::{Pauses, settle, while_held},
    },
    v3::{Compare, GetTimeToLive, KeyValue, LeaseId, Put, Range, Txn, TxnResponse},
};

/// Where the lanes of sessions are.
const PREFIX: &str = "__receipts/";

/// The values of a lane's key: a transaction was applied, or will not be.
const APPLIED: &str = "applied";
const GIVEN_UP: &str = "given up";

/// A key of the session that counts the transactions that were applied through it.
///
/// Each transaction compares the version of the key with the number of transactions before it, and puts the key. So it is
/// applied at most once however often it is sent, and its key tells whether it was, even if a request arrives long after it
/// was given up. The key has the session's lease: it ends with the session, and no transaction is applied after that.
#[derive(Debug)]
struct Lane {
    key: Bytes,
    applied: i64,
}

/// The lanes of a lease that are free. One whose transaction was given up does not return.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lease: LeaseId,
    free: Vec<Lane>,
}

/// What a transaction has done.
#[derive(Debug)]
pub(in crate::recipes) struct Applied {
    /// The revision of its writes, if its comparisons held.
    pub(in crate::recipes) revision: Option<i64>,
    /// The response, unless it was lost.
    pub(in crate::recipes) response: Option<TxnResponse>,
}

impl<T: Transport> Session<T> {
    /// Executes a transaction exactly once if its comparisons hold, whatever responses are lost. It must not be nested.
    ///
    /// If this fails because the session is lost, the transaction may have been applied.
    pub(in crate::recipes) async fn once(&self, txn: Txn) -> Result<Applied, RecipeError> {
        let lease = self.held().await?;
        let mut lane = self.lane(lease.id());
        let work = async {
            let applied = lane.execute(self, lease.id(), txn).await?;
            let is_alive = match &applied {
                Some(_) => true,
                None => is_alive(self, lease.id()).await?,
            };
            Ok::<_, RecipeError>((applied, lane, is_alive))
        };
        let (applied, lane, is_alive) = while_held(&lease, work).await?;
        let Some(applied) = applied else {
            return Err(if is_alive {
                self.key_deleted(lane.key)
            } else {
                RecipeError::session_over(lease.lost().await)
            });
        };
        let mut lanes = lock(&self.inner.lanes);
        if lanes.lease == lease.id() {
            lanes.free.push(lane);
        }
        Ok(applied)
    }

    fn lane(&self, lease: LeaseId) -> Lane {
        let mut lanes = lock(&self.inner.lanes);
        if lanes.lease != lease {
            *lanes = Lanes {
                lease,
                free: Vec::new(),
            };
        }
        lanes.free.pop().unwrap_or_else(|| Lane {
            key: format!("{PREFIX}{}", self.unique(lease)).into(),
            applied: 0,
        })
    }
}

/// Returns whether etcd still has a lease.
async fn is_alive<T: Transport>(session: &Session<T>, lease: LeaseId) -> Result<bool, RecipeError> {
    let question = GetTimeToLive::new(lease);
    let client = session.namespace().client();
    let mut pauses = Pauses::default();
    loop {
        match client.send(question.clone()).boxed().await {
            Ok(found) => return Ok(found.is_some()),
            Err(error) if pauses.is_final(&error) => return Err(error.after_doubt(true).into()),
            Err(_) => pauses.pause(client.transport()).await,
        }
    }
}

impl Lane {
    /// Returns `None` if the lane's key is not there, though it was: it has ended with its lease, or somebody has deleted it. The
    /// transaction may have been applied before.
    async fn execute<T: Transport>(
        &mut self,
        session: &Session<T>,
        lease: LeaseId,
        txn: Txn,
    ) -> Result<Option<Applied>, RecipeError> {
        let guarded = |txn: Txn, value| {
            txn.when(Compare::version(&self.key).equal(self.applied))
                .then(Put::new(&self.key, value).lease(lease))
                .otherwise(Range::new(&self.key))
        };
        let settled = settle(session.namespace(), &guarded(txn, APPLIED)).await?;
        let mut response = settled.output;
        if response.succeeded {
            self.applied = self.applied.saturating_add(1);
            return Ok(Some(Applied {
                revision: Some(response.header.revision),
                response: Some(response),
            }));
        }
        if self.is_gone(&response) {
            return Ok(None);
        }
        let mut receipt = self.receipt(&response);
        if receipt.is_none() && settled.in_doubt {
            // An earlier request may still arrive, and find that its comparisons hold after all. It may not from now on.
            let given_up = guarded(Txn::new(), GIVEN_UP);
            let given_up = settle(session.namespace(), &given_up).await;
            let given_up = given_up.map_err(|error| error.after_doubt(true))?.output;
            if !given_up.succeeded && self.is_gone(&given_up) {
                return Ok(None);
            }
            receipt = self.receipt(&given_up);
            self.applied = self.applied.saturating_add(i64::from(receipt.is_none()));
        }
        if let Some(receipt) = receipt {
            self.applied = receipt.version;
            if receipt.value == APPLIED {
                return Ok(Some(Applied {
                    revision: Some(receipt.mod_revision),
                    response: None,
                }));
            }
        }
        // The last one is of the lane's own key.
        response.responses.pop();
        Ok(Some(Applied {
            revision: None,
            response: Some(response),
        }))
    }

    /// Whether a transaction that was refused found no key, though there was one.
    fn is_gone(&self, response: &TxnResponse) -> bool {
        let last = response.responses.len().checked_sub(1);
        let found = last.and_then(|last| response.range(last)?.first());
        self.applied > 0 && found.is_none()
    }

    /// The key, if a transaction was applied since.
    fn receipt(&self, response: &TxnResponse) -> Option<KeyValue> {
        let last = response.responses.len().checked_sub(1)?;
        let found = response.range(last)?.first()?;
        (found.version > self.applied).then(|| found.clone())
    }
}
