use std::{error::Error as StdError, sync::Arc, time::Duration};

use bytes::Bytes;

use super::request::Reconciled;
use crate::recipes::{cache::InvalidEntry, error::RecipeError};

/// What a [`Controller`](super::Controller) does, for logs: see [`on_event`](super::ControllerBuilder::on_event).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ControllerEvent {
    /// A key is being reconciled.
    Started {
        /// The key.
        key: Bytes,
        /// How often it has failed since it last succeeded.
        failures: u32,
    },
    /// A key has been reconciled.
    Succeeded {
        /// The key.
        key: Bytes,
        /// What is next for it.
        reconciled: Reconciled,
    },
    /// A key could not be reconciled.
    Failed {
        /// The key.
        key: Bytes,
        /// The error of the caller's code.
        error: Arc<dyn StdError + Send + Sync>,
        /// How often it has failed since it last succeeded, this time included.
        failures: u32,
        /// How long it waits, unless it changes.
        pause: Duration,
    },
    /// What was under way was dropped, because leadership was lost, or because the time to stop was up.
    Dropped {
        /// The key.
        key: Bytes,
    },
    /// The present value of a key cannot be decoded: it is not reconciled before it is valid or deleted.
    Invalid(Arc<InvalidEntry>),
    /// The controller leads.
    Elected {
        /// See [`Held::fencing_token`](crate::recipes::Held::fencing_token).
        fencing_token: i64,
    },
    /// The controller does not lead any more, and is a candidate again, in another lease if the former one is lost.
    LeadershipLost(RecipeError),
    /// The controller cannot become a candidate at present, and tries again.
    CampaignFailed(RecipeError),
}

/// What a [`Controller`](super::Controller) has done, and has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ControllerStats {
    /// How many keys are due, and wait for a place.
    pub queued: usize,
    /// How many keys wait after a failure, or for the time that they asked for.
    pub delayed: usize,
    /// How many keys are being reconciled.
    pub running: usize,
    /// How many times a key was begun to be reconciled.
    pub started: u64,
    /// How many times that succeeded.
    pub succeeded: u64,
    /// How many times that failed.
    pub failed: u64,
    /// How many of the starts came after a failure of the same key.
    pub retried: u64,
    /// How many times it was dropped: leadership was lost, or the time to stop was up.
    pub dropped: u64,
    /// How many keys were deleted while another controller led, and are not known any more: see
    /// [`elected`](super::ControllerBuilder::elected).
    pub forgotten: u64,
    /// The fencing token while the controller leads, where an election decides.
    pub fencing_token: Option<i64>,
}
