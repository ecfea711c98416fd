//! One call's way from a value to its answer: choose an endpoint and its wire, send, wait, classify, and try again where that
//! is safe. It knows no API: what differs between them is behind [`protocol::Protocol`] and [`exchange::Exchange`].

pub(crate) mod answer;
mod attempt;
pub(crate) mod call;
pub(crate) mod deadline;
pub(crate) mod exchange;
mod execute;
pub(crate) mod failure;
pub(crate) mod observe;
pub(crate) mod probe;
pub(crate) mod protocol;
pub(crate) mod reconnect;
mod redirect;
pub(crate) mod response_check;
pub(crate) mod retry;

use std::{sync::Arc, time::Duration};

use crate::{
    auth::{basic::Credentials, token::Tokens},
    endpoints::{set::Endpoints, sync::SyncPolicy},
    pipeline::{observe::Observer, response_check::ResponseCheck, retry::RetryPolicy},
};

/// What every call of a client passes through.
///
/// A clone shares everything but the limits. Nothing in it is locked: what changes is atomic, or replaced as a whole.
#[derive(Debug)]
pub(crate) struct Pipeline<T> {
    pub(crate) transport: Arc<T>,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) credentials: Option<Arc<Credentials>>,
    pub(crate) tokens: Option<Arc<Tokens>>,
    pub(crate) response_check: Arc<ResponseCheck>,
    pub(crate) sync: SyncPolicy,
    pub(crate) observer: Observer,
    /// Writes go to the leader first, where it is known.
    pub(crate) prefer_leader: bool,
    pub(crate) retry: RetryPolicy,
    /// For one attempt, from the first byte sent to the last byte received.
    pub(crate) timeout: Duration,
    /// In bytes.
    pub(crate) max_response_size: usize,
}

impl<T> Clone for Pipeline<T> {
    fn clone(&self) -> Self {
        Self {
            transport: Arc::clone(&self.transport),
            endpoints: Arc::clone(&self.endpoints),
            credentials: self.credentials.clone(),
            tokens: self.tokens.clone(),
            response_check: Arc::clone(&self.response_check),
            sync: self.sync.clone(),
            observer: self.observer.clone(),
            prefer_leader: self.prefer_leader,
            retry: self.retry.clone(),
            timeout: self.timeout,
            max_response_size: self.max_response_size,
        }
    }
}
