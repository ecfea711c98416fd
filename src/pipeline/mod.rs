//! Executes a call: chooses an endpoint and its wire, sends, waits, classifies the response, and retries where that is
//! safe. It does not depend on an API: the differences are behind [`protocol::Protocol`] and [`exchange::Exchange`].

pub(crate) mod answer;
pub(crate) mod api;
pub(crate) mod attempt;
pub(crate) mod attempt_span;
pub(crate) mod basic_auth;
pub(crate) mod call;
pub(crate) mod call_limit;
mod choose;
pub(crate) mod confirm;
pub(crate) mod deadline;
pub(crate) mod exchange;
mod execute;
pub(crate) mod expiry;
pub(crate) mod failure;
mod hedge;
pub(crate) mod lifecycle;
pub(crate) mod lifetime;
pub(crate) mod observe;
pub(crate) mod probe;
pub(crate) mod protocol;
pub(crate) mod reconnect;
mod redirect;
pub(crate) mod response_check;
pub(crate) mod retry;
mod retry_after;
pub(crate) mod retry_budget;
pub(crate) mod series;
pub(crate) mod stats;
pub(crate) mod terms;
pub(crate) mod token;
pub(crate) mod trace_context;
pub(crate) mod wire;

use std::{sync::Arc, time::Duration};

use crate::{
    endpoints::{set::Endpoints, sync_policy::SyncPolicy},
    pipeline::{
        api::Apis, basic_auth::BasicAuth, call_limit::CallLimit, lifecycle::Lifecycle,
        observe::Observer, response_check::ResponseCheck, retry::RetryPolicy, retry_budget::Tokens,
        stats::Collector, token::TokenSource, trace_context::TraceContext,
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
    pub(crate) credentials: Option<BasicAuth>,
    pub(crate) token_source: Option<Arc<TokenSource>>,
    pub(crate) response_check: Arc<ResponseCheck>,
    /// Reads must not be older than what was seen.
    pub(crate) rejects_stale_reads: bool,
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
    pub(crate) lifecycle: Arc<Lifecycle>,
    /// Counts what is done, if that was asked for.
    pub(crate) stats: Option<Arc<Collector>>,
    pub(crate) trace_context: TraceContext,
    /// Limits retries to a share of successes.
    pub(crate) retry_tokens: Option<Arc<Tokens>>,
    /// Limits how many calls are under way.
    pub(crate) call_limit: Option<Arc<CallLimit>>,
    /// Its calls are sent while the client is being closed: they end sessions.
    pub(crate) is_privileged: bool,
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
            rejects_stale_reads: self.rejects_stale_reads,
            sync: self.sync.clone(),
            observer: self.observer.clone(),
            prefer_leader: self.prefer_leader,
            retry: self.retry.clone(),
            hedge: self.hedge,
            timeout: self.timeout,
            max_response_size: self.max_response_size,
            lifecycle: Arc::clone(&self.lifecycle),
            stats: self.stats.clone(),
            trace_context: self.trace_context.clone(),
            retry_tokens: self.retry_tokens.clone(),
            call_limit: self.call_limit.clone(),
            is_privileged: self.is_privileged,
        }
    }
}
