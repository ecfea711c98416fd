use std::{error::Error as StdError, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{error::Error, recipes::config::invalid::InvalidConfig, v3::LeaseLoss};

/// Why a recipe failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The lease of the session is lost, and what it held with it. [`Session::reestablish`](super::Session::reestablish)
    /// gets another lease.
    #[error("the session is lost: {0}")]
    SessionLost(LeaseLoss),
    /// [`Session::close`](super::Session::close) was called, or the client was [closed](crate::Client::close), before or
    /// meanwhile.
    #[error("the session is closed")]
    SessionClosed,
    /// Not done within the caller's limit.
    #[error("not done within {0:?}")]
    TimedOut(Duration),
    /// The key with which this session held or waited for something was deleted: by another client, or by etcd, which may end a
    /// lease before its holder has noticed.
    #[error("the key {key:?} was deleted, though its lease is not known to be lost")]
    KeyDeleted {
        /// The key.
        key: Bytes,
    },
    /// The key with which a client held or waited for something over the v2 API was deleted, or its time to live has passed
    /// without a refresh.
    #[error("the key {key:?} was deleted, or has expired without a refresh")]
    KeyExpired {
        /// The key.
        key: String,
    },
    /// A barrier is held already.
    #[error("the barrier is held already")]
    AlreadyHeld,
    /// A double barrier has as many participants as it takes.
    #[error("the barrier is for {count} participants, and has as many")]
    TooManyParticipants {
        /// How many it is for.
        count: usize,
    },
    /// Other clients changed what a transaction had read or was to write, at each of its tries.
    #[error("{tries} tries were in conflict with other clients, the last one over {}", keys_text(.keys))]
    Conflict {
        /// How many tries were made.
        tries: u32,
        /// The keys that others changed during the last try, in order.
        keys: Vec<Bytes>,
    },
    /// The stored value is not what the recipe stores.
    #[error("the value of the key {key:?} is not {expected}")]
    UnexpectedValue {
        /// The key.
        key: Bytes,
        /// What its value should be.
        expected: &'static str,
    },
    /// The keys of a [`Config`](super::Config) are not valid settings.
    #[error(transparent)]
    InvalidConfig(Arc<InvalidConfig>),
    /// The driver of a [`Cache`](super::Cache) or a [`Config`](super::Config) was dropped.
    #[error("the driver has ended")]
    DriverEnded,
    /// The caller's own code ended a transaction, with this error: see [`abort`](Self::abort).
    #[error("aborted: {0}")]
    Aborted(Arc<dyn StdError + Send + Sync>),
    /// A request failed. Its [outcome](Error::outcome) tells whether it may have been applied.
    #[error(transparent)]
    Client(#[from] Error),
}

impl RecipeError {
    /// Ends a transaction with an error of the caller's own, or a text.
    pub fn abort(reason: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Aborted(reason.into().into())
    }

    /// The session ended with this lease. Nobody but the session itself revokes the lease.
    pub(super) fn session_over(loss: LeaseLoss) -> Self {
        if loss.is_revoked() {
            Self::SessionClosed
        } else {
            Self::SessionLost(loss)
        }
    }

    /// Returns whether the session is lost or closed.
    pub fn is_session_over(&self) -> bool {
        matches!(self, Self::SessionLost(_) | Self::SessionClosed)
    }

    /// Returns whether what was held or waited for is lost, and may be had again: after [`Session::reestablish`](super::Session::reestablish),
    /// which does nothing if the session is alive.
    pub fn is_lost(&self) -> bool {
        matches!(
            self,
            Self::SessionLost(_) | Self::KeyDeleted { .. } | Self::KeyExpired { .. }
        )
    }

    /// Returns whether the limit of a wait has passed.
    pub fn is_timed_out(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }

    /// Returns whether a transaction was given up because others changed the same keys.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

fn keys_text(keys: &[Bytes]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| format!("{key:?}")).collect();
    keys.join(", ")
}
