//! Executes a call: chooses an endpoint and its wire, sends, waits, classifies the response, and retries where that is
//! safe. It does not depend on an API: the differences are behind [`protocol::Protocol`] and [`exchange::Exchange`].

pub(crate) mod answer;
pub(crate) mod api;
pub(crate) mod attempt;
pub(crate) mod call;
mod choose;
pub(crate) mod confirm;
pub(crate) mod deadline;
pub(crate) mod exchange;
mod execute;
pub(crate) mod expiry;
pub(crate) mod failure;
mod hedge;
pub(crate) mod lifetime;
pub(crate) mod observe;
pub(crate) mod probe;
pub(crate) mod protocol;
pub(crate) mod reconnect;
mod redirect;
pub(crate) mod response_check;
pub(crate) mod retry;
mod retry_after;
pub(crate) mod series;
pub(crate) mod terms;
pub(crate) mod token;
pub(crate) mod wire;

use std::{sync::Arc, time::Duration};

use crate::{
    auth::basic::Credentials,
    endpoints::{set::Endpoints, sync_policy::SyncPolicy},
    pipeline::{
        api::Apis, observe::Observer, response_check::ResponseCheck, retry::RetryPolicy,
        token::TokenSource,
    },
};

/// The pipeline that every call of a client passes through.
///
/// A clone shares everything except the limits. It has no locks: mutable state is atomic or replaced atomically.
#[derive(Debug)]
pub(crate) struct Pipeline<T> {
    pub(crate) transport: Arc<T>,
    pub(crate) apis: Apis,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) credentials: Option<Arc<Credentials>>,
    pub(crate) token_source: Option<Arc<TokenSource>>,
    pub(crate) response_check: Arc<ResponseCheck>,
    pub(crate) sync: SyncPolicy,
    pub(crate) observer: Observer,
    /// Writes go to the leader first, if it is known.
    pub(crate) prefer_leader: bool,
    pub(crate) retry: RetryPolicy,
    /// A read that is silent for so long is sent to another endpoint as well.
    pub(crate) hedge: Option<Duration>,
    /// The time limit of one attempt, from the first byte sent to the last byte received.
    pub(crate) timeout: Duration,
    /// The maximum size of a response, in bytes.
    pub(crate) max_response_size: usize,
}

impl<T> Clone for Pipeline<T> {
    fn clone(&self) -> Self {
        Self {
            transport: Arc::clone(&self.transport),
            apis: self.apis,
            endpoints: Arc::clone(&self.endpoints),
            credentials: self.credentials.clone(),
            token_source: self.token_source.clone(),
            response_check: Arc::clone(&self.response_check),
            sync: self.sync.clone(),
            observer: self.observer.clone(),
            prefer_leader: self.prefer_leader,
            retry: self.retry.clone(),
            hedge: self.hedge,
            timeout: self.timeout,
            max_response_size: self.max_response_size,
        }
    }
}
