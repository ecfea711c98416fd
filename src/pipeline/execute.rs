use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use etcd_transport::Transport;
use http::StatusCode;

use crate::{
    auth::token::Granted,
    endpoints::{set::EndpointSet, state::EndpointState},
    error::{Error, ErrorContext, Result, Unsupported},
    pipeline::{
        Pipeline,
        answer::Answer,
        call::{Call, Repeat},
        exchange::{Exchange, Prepared},
        failure::Failure,
        observe::{Attempt, AttemptOutcome},
        retry::Failed,
    },
};

/// The one place that decides where a call goes, whether it goes again, how long it may take, and whether it is in doubt.
impl<T: Transport> Pipeline<T> {
    /// Carries an exchange out: chooses an endpoint and its wire, sends the request, waits, classifies the answer, and
    /// tries again as [`RetryPolicy`](crate::RetryPolicy) allows. A token that etcd no longer accepts is renewed once.
    ///
    /// Returns any answer but that of a server that cannot serve, and this too if no attempt is left. The deadline is
    /// one for all attempts, tokens and pauses together. Once an attempt may have been carried out, the call is in
    /// doubt, whatever comes of the next ones: see [`ErrorContext::in_doubt`].
    pub(crate) async fn execute(&self, exchange: &dyn Exchange) -> Result<Answer> {
        let mut run = Execution::begin(self, exchange)?;
        loop {
            let (endpoint, is_leader) = run.choose();
            let prepared = match run.prepare(&endpoint).await {
                Ok(prepared) => prepared,
                Err(error) => return Err(error.after_doubt(run.in_doubt)),
            };
            let began = run.now;
            let failure = match run.attempt(prepared, &endpoint).await {
                Ok(answer) => {
                    run.answered(&answer, is_leader, began);
                    if !run.may_renew_token(&answer) {
                        return Ok(run.finish(answer));
                    }
                    if let Err(error) = run.renew_token().await {
                        return Err(error.after_doubt(run.in_doubt));
                    }
                    continue;
                }
                Err(failure) => failure,
            };
            run.failed(&failure, &endpoint, began);
            match run.pause_after(&failure) {
                Some(pause) => run.go_on(&failure, endpoint, pause).await,
                None => return run.give_up(failure, &endpoint),
            }
        }
    }

    /// Prepares an exchange for one attempt at this endpoint.
    pub(crate) async fn prepare(
        &self,
        exchange: &dyn Exchange,
        endpoint: &EndpointState,
    ) -> Result<Prepared> {
        let call = exchange.call();
        let mut prepared = Prepared::new(exchange, call, endpoint.wire_of(&call))?;
        if self.needs_token(&call) {
            let limit = call.deadline.overall(&self.retry);
            prepared.token = self.token(&call, None, limit).await?;
        }
        Ok(prepared)
    }

    /// Chooses where to send a call that does not go on to another endpoint by itself.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if no endpoint has it, as far as is known.
    pub(crate) fn place_for(&self, call: &Call) -> Result<EndpointState> {
        let now = self.transport.now();
        let set = self.endpoints.current();
        let unsupporting = self.endpoints.unsupporting(&set, call.feature, now);
        if unsupporting.len() == set.len() {
            return Err(self.unsupported(call));
        }
        Ok(set.pick(&unsupporting, now))
    }

    /// The error for a call that is not sent: every endpoint has said that it does not have it.
    fn unsupported(&self, call: &Call) -> Error {
        Error::Unsupported(Unsupported::known(self.next_context(call.operation)))
    }
}

/// A call on its way.
struct Execution<'a, T> {
    pipeline: &'a Pipeline<T>,
    exchange: &'a dyn Exchange,
    call: Call,
    set: Arc<EndpointSet>,
    started: Instant,
    now: Instant,
    /// For all attempts together.
    overall: Duration,
    /// Encoded for the wire of the last attempt.
    prepared: Option<Prepared>,
    token: Option<Granted>,
    is_renewed: bool,
    /// Those that are not asked again in this round.
    tried: Vec<EndpointState>,
    /// It is asked of this endpoint since another one does not have it.
    is_passed_on: bool,
    attempts: u32,
    /// An attempt before this one may have been carried out.
    in_doubt: bool,
}

impl<'a, T: Transport> Execution<'a, T> {
    fn begin(pipeline: &'a Pipeline<T>, exchange: &'a dyn Exchange) -> Result<Self> {
        let call = exchange.call();
        let set = pipeline.endpoints.current();
        let now = pipeline.transport.now();
        let tried = pipeline.endpoints.unsupporting(&set, call.feature, now);
        if tried.len() == set.len() {
            return Err(pipeline.unsupported(&call));
        }
        Ok(Self {
            overall: call.deadline.overall(&pipeline.retry),
            started: now,
            now,
            prepared: None,
            token: None,
            is_renewed: false,
            is_passed_on: !tried.is_empty(),
            tried,
            attempts: 0,
            in_doubt: false,
            pipeline,
            exchange,
            call,
            set,
        })
    }

    /// The endpoint for the next attempt, and whether it was chosen for being the leader.
    fn choose(&self) -> (EndpointState, bool) {
        let Self {
            set, tried, now, ..
        } = self;
        if self.pipeline.prefer_leader
            && self.call.repeat != Repeat::Always
            && let Some(leader) = set.pick_leader(tried, *now)
        {
            return (leader, true);
        }
        (set.pick(tried, *now), false)
    }

    /// Encodes the request for the endpoint's wire, and gets the token that it needs.
    async fn prepare(&mut self, endpoint: &EndpointState) -> Result<Prepared> {
        let wire = endpoint.wire_of(&self.call);
        let mut prepared = match self.prepared.take().filter(|it| it.wire == wire) {
            Some(prepared) => prepared,
            None => Prepared::new(self.exchange, self.call, wire)?,
        };
        if self.token.is_none() && self.pipeline.needs_token(&self.call) {
            let token = self.pipeline.token(&self.call, None, self.left()).await?;
            self.has_token(token);
        }
        if let Some(token) = &self.token {
            prepared.token.clone_from(token);
        }
        Ok(prepared)
    }

    async fn attempt(
        &mut self,
        prepared: Prepared,
        endpoint: &EndpointState,
    ) -> Result<Answer, Failure> {
        self.attempts += 1;
        let limit = self.call.deadline.timeout(self.pipeline.timeout);
        let limit = limit.min(self.left());
        let (pipeline, set) = (self.pipeline, &self.set);
        let result = match self.exchange.probe() {
            Some(probe) => {
                let attempt = pipeline.attempt_probed(&prepared, endpoint, set, limit, &probe);
                attempt.await
            }
            None => pipeline.attempt(&prepared, endpoint, set, limit).await,
        };
        self.prepared = Some(prepared);
        let answer = result?;
        if answer.is_unavailable() || answer.is_unsupported(&self.call) {
            return Err(Failure::Answer(Box::new(answer)));
        }
        Ok(answer)
    }

    /// An answer came, whatever it says.
    fn answered(&self, answer: &Answer, is_leader: bool, began: Instant) {
        self.tell(&answer.endpoint, began, || {
            (AttemptOutcome::Answered, Some(answer.reply.status))
        });
        if is_leader || self.is_passed_on {
            // It was asked for being the leader, or for what others lack, and draws no other calls.
            answer.endpoint.answered();
        } else {
            self.pipeline.endpoints.answered(&answer.endpoint);
        }
    }

    /// Whether this answer says that another token is needed, and there may be one.
    fn may_renew_token(&self, answer: &Answer) -> bool {
        self.token.is_some() && !self.is_renewed && answer.is_token_error()
    }

    /// Gets another token than the one that was refused. The attempts begin again: none was carried out for its token.
    async fn renew_token(&mut self) -> Result<()> {
        self.now = self.pipeline.transport.now();
        let refused = self.token.take();
        let token = self
            .pipeline
            .token(&self.call, refused.as_ref(), self.left())
            .await?;
        self.has_token(token);
        self.is_renewed = true;
        self.attempts = 0;
        let endpoints = &self.pipeline.endpoints;
        self.tried = endpoints.unsupporting(&self.set, self.call.feature, self.now);
        Ok(())
    }

    fn has_token(&mut self, token: Granted) {
        self.token = Some(token);
        self.now = self.pipeline.transport.now();
    }

    /// An attempt failed: the endpoint is remembered for it.
    fn failed(&mut self, failure: &Failure, endpoint: &EndpointState, began: Instant) {
        self.now = self.pipeline.transport.now();
        self.tell(endpoint, began, || AttemptOutcome::of_failure(failure));
        self.pipeline.note(failure, endpoint, self.now);
        if let Failure::Answer(answer) = failure
            && answer.is_unsupported(&self.call)
        {
            let endpoints = &self.pipeline.endpoints;
            endpoints.lacks(&answer.endpoint, self.call.feature, self.now);
            self.is_passed_on = true;
        }
    }

    /// How long to wait before the next attempt, if there is to be one.
    fn pause_after(&self, failure: &Failure) -> Option<Duration> {
        if failure.is_final() || self.unsupporting().len() == self.set.len() {
            return None;
        }
        let retry = self.call.deadline.retry(&self.pipeline.retry);
        retry.decide(&Failed {
            attempt: self.attempts,
            endpoints: u32::try_from(self.set.len()).unwrap_or(u32::MAX),
            unsent: failure.is_unsent(),
            repeat: self.call.repeat,
            elapsed: self.now.saturating_duration_since(self.started),
            jitter: fastrand::f64(),
        })
    }

    async fn go_on(&mut self, failure: &Failure, endpoint: EndpointState, pause: Duration) {
        self.in_doubt |= !failure.is_unsent();
        self.tried.push(endpoint);
        if self.tried.len() == self.set.len() {
            self.tried = self.unsupporting();
        }
        if !pause.is_zero() {
            self.pipeline.transport.sleep(pause).await;
            self.now = self.pipeline.transport.now();
        }
    }

    fn give_up(&self, failure: Failure, endpoint: &EndpointState) -> Result<Answer> {
        match failure {
            Failure::Answer(answer) => Ok(self.finish(*answer)),
            failure => {
                let context = self.pipeline.context(&self.call, endpoint);
                Err(failure.into_error(self.complete(context)))
            }
        }
    }

    fn finish(&self, answer: Answer) -> Answer {
        Answer {
            context: self.complete(answer.context),
            ..answer
        }
    }

    fn complete(&self, context: ErrorContext) -> ErrorContext {
        ErrorContext {
            attempts: self.attempts,
            in_doubt: self.in_doubt,
            ..context
        }
    }

    fn left(&self) -> Duration {
        let elapsed = self.now.saturating_duration_since(self.started);
        self.overall.saturating_sub(elapsed)
    }

    fn unsupporting(&self) -> Vec<EndpointState> {
        let endpoints = &self.pipeline.endpoints;
        endpoints.unsupporting(&self.set, self.call.feature, self.now)
    }

    fn tell(
        &self,
        endpoint: &EndpointState,
        began: Instant,
        outcome: impl FnOnce() -> (AttemptOutcome, Option<StatusCode>),
    ) {
        self.pipeline.observer.tell(|| {
            let (outcome, status) = outcome();
            Attempt {
                operation: self.call.operation,
                endpoint: endpoint.endpoint().clone(),
                number: self.attempts,
                status,
                elapsed: self.pipeline.since(began),
                outcome,
            }
        });
    }
}
