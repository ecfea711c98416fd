mod budget;
mod second;
mod wires;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use etcd_transport::Transport;
use futures::FutureExt;

use crate::{
    auth::token::Granted,
    base::endpoint::Endpoint,
    endpoints::{set::EndpointSet, state::EndpointState, wire::Wire},
    error::{Error, ErrorContext, Result},
    pipeline::{
        Pipeline,
        answer::Answer,
        attempt::{Attempted, checked},
        call::{Call, Login, Repeat},
        deadline::Deadline,
        exchange::{Exchange, Prepared, call_of},
        failure::Failure,
        hedge::Hedged,
        observe::Report,
        retry::Failed,
    },
};

/// The only place that decides where a call goes, whether it is retried, how long it may take, and whether its outcome
/// is in doubt.
impl<T: Transport> Pipeline<T> {
    /// Executes an exchange: chooses an endpoint and its wire, sends the request, waits, classifies the response, and
    /// retries as the [`RetryPolicy`](crate::RetryPolicy) allows. A token that etcd no longer accepts is renewed once.
    ///
    /// Returns any response except that of a server that cannot serve, and that one too if no attempt is left. The
    /// deadline covers all attempts, tokens and pauses together. Once an attempt may have been applied, the call is in
    /// doubt, whatever the next attempts bring: see [`ErrorContext::in_doubt`].
    pub(crate) async fn execute(&self, exchange: &dyn Exchange) -> Result<Box<Answer>> {
        let call = call_of(exchange, self.apis);
        self.execute_call(exchange, &call).await
    }

    /// Like [`execute`](Self::execute), for an exchange of which the call is known.
    pub(crate) async fn execute_call(
        &self,
        exchange: &dyn Exchange,
        call: &Call,
    ) -> Result<Box<Answer>> {
        let mut run = Execution::begin(self, exchange, call)?;
        let mut prepared = None;
        loop {
            let (endpoint, is_leader) = run.choose();
            let attempted = match run.attempt_at(&endpoint, &mut prepared).await {
                Ok(Some(attempted)) => attempted,
                Ok(None) => continue,
                Err(error) => return Err(error.after_doubt(run.in_doubt)),
            };
            if run.changes_wire(&attempted) {
                continue;
            }
            let Attempted {
                endpoint,
                began,
                result,
                ..
            } = attempted;
            let failure = match result {
                Ok(mut answer) => {
                    run.answered(&answer, is_leader, began);
                    let renewed = match run.may_renew_token(&answer) {
                        true => run.renew_token().await,
                        false => Ok(false),
                    };
                    if !renewed.map_err(|error| error.after_doubt(run.in_doubt))? {
                        run.complete(&mut answer.context);
                        return match exchange.confirmation(&answer) {
                            Some(confirmation) => {
                                run.now = self.transport.now();
                                let confirmed = self.confirm(confirmation, answer, run.left());
                                // Boxed, since only few calls need it.
                                confirmed.boxed().await
                            }
                            None => Ok(answer),
                        };
                    }
                    continue;
                }
                Err(failure) => failure,
            };
            run.failed(&failure, &endpoint, began);
            match run.pause_after(&failure) {
                Some(pause) => run.pause(pause).await,
                None => return run.give_up(failure, &endpoint),
            }
            if self.lifecycle.is_closed() {
                return run.give_up(failure, &endpoint);
            }
            run.go_on(failure, endpoint);
        }
    }
}

/// A call that is being executed.
struct Execution<'a, T> {
    pipeline: &'a Pipeline<T>,
    exchange: &'a dyn Exchange,
    call: &'a Call,
    set: Arc<EndpointSet>,
    started: Instant,
    now: Instant,
    /// The time limit of all attempts together.
    overall: Duration,
    token: Option<Granted>,
    is_renewed: bool,
    /// The endpoints that are not tried again in this round.
    tried: Vec<EndpointState>,
    /// Those that have shown that they do not serve the call.
    not_served: Vec<EndpointState>,
    /// What earlier attempts failed with, for the error of the last one.
    failures: Vec<Error>,
    /// It is asked of this endpoint since another one does not serve it.
    is_passed_on: bool,
    attempts: u32,
    /// How often in a row it was sent again only because of the wire.
    rewired: u32,
    /// The endpoint's wire is examined before it is sent again.
    must_examine: bool,
    /// How many attempts with a token timed out.
    timeouts: u32,
    /// An earlier attempt may have been applied.
    in_doubt: bool,
}

impl<'a, T: Transport> Execution<'a, T> {
    fn begin(
        pipeline: &'a Pipeline<T>,
        exchange: &'a dyn Exchange,
        call: &'a Call,
    ) -> Result<Self> {
        let set = pipeline.endpoints.current();
        let now = pipeline.transport.now();
        let tried = pipeline.endpoints.avoided(&set, call.feature, now);
        if tried.len() == set.len() {
            return Err(pipeline.unsupported(call));
        }
        Ok(Self {
            not_served: Vec::new(),
            failures: Vec::new(),
            overall: call.deadline.overall(&pipeline.retry),
            started: now,
            now,
            token: None,
            is_renewed: false,
            is_passed_on: !tried.is_empty(),
            tried,
            attempts: 0,
            rewired: 0,
            must_examine: false,
            timeouts: 0,
            in_doubt: false,
            pipeline,
            exchange,
            call,
            set,
        })
    }

    /// Returns the endpoint for the next attempt, and whether it was chosen because it is the leader.
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

    /// Makes an attempt at this endpoint: gets the token that the call needs, finds out the endpoint's wire, and sends.
    /// `prepared` has the request, encoded for the wire of the last attempt. Returns `None` if an endpoint is to be chosen
    /// again.
    async fn attempt_at(
        &mut self,
        endpoint: &EndpointState,
        prepared: &mut Option<Prepared>,
    ) -> Result<Option<Attempted>> {
        if self.token.is_none() && self.pipeline.needs_token(self.call) {
            let token = self.pipeline.token(self.call, None, self.left()).await?;
            self.has_token(token);
        }
        let wire = match self.call.settled_wire_to(endpoint, self.now) {
            Some(wire) => wire,
            None => match self.find_wire(endpoint).await {
                Ok(Some(wire)) => wire,
                Ok(None) => return Ok(None),
                Err(attempted) => return Ok(Some(attempted)),
            },
        };
        let prepared = self.prepare(wire, prepared)?;
        Ok(Some(self.attempt(prepared, endpoint).await))
    }

    /// Encodes the request for a wire, unless the last one was encoded for it.
    fn prepare<'p>(&self, wire: Wire, last: &'p mut Option<Prepared>) -> Result<&'p mut Prepared> {
        if last.as_ref().is_some_and(|last| last.wire != wire) {
            *last = None;
        }
        let prepared = match last {
            Some(prepared) => prepared,
            None => last.insert(Prepared::new(self.exchange, *self.call, wire)?),
        };
        if let Some(token) = &self.token {
            prepared.token.clone_from(token);
        }
        Ok(prepared)
    }

    async fn attempt(&mut self, prepared: &mut Prepared, endpoint: &EndpointState) -> Attempted {
        self.attempts += 1;
        let limit = self.call.server_limit;
        prepared.call.server_limit = limit.map(|limit| limit.saturating_sub(self.elapsed()));
        let usual = self.call.deadline.timeout(self.pipeline.timeout);
        let limit = usual.min(self.left());
        let (pipeline, set, began) = (self.pipeline, &*self.set, self.now);
        let hedged = match (self.exchange.probe(), self.hedge(usual, limit)) {
            (Some(probe), _) => {
                // Boxed, so that an attempt that needs no probe does not pay for the larger future; and without its type, as all
                // that is boxed here: the compiler limits how deeply types are nested.
                let attempt = pipeline.attempt_probed(prepared, endpoint, set, limit, &probe);
                let attempt = attempt.boxed();
                Hedged::alone(Attempted {
                    endpoint: endpoint.clone(),
                    wire: prepared.wire,
                    began,
                    result: attempt.await.and_then(checked),
                })
            }
            (None, Some(hedge)) => {
                let second = self.second(prepared, endpoint);
                // Boxed, likewise: it consists of two attempts.
                let attempt = pipeline.attempt_hedged(prepared, endpoint, set, hedge, second);
                attempt.boxed().await
            }
            (None, None) => {
                let attempt = pipeline.attempt_checked(prepared, endpoint, set, limit, began);
                Hedged::alone(attempt.await)
            }
        };
        self.attempts += u32::from(hedged.is_hedged);
        if let Some(Attempted {
            endpoint,
            wire,
            began,
            result,
        }) = hedged.earlier
        {
            self.pipeline.learn(self.call, wire, &endpoint, &result);
            if let Err(failure) = result {
                self.failed(&failure, &endpoint, began);
                self.take_token(&failure, Some(Duration::ZERO));
                self.leave(failure, endpoint);
            }
        }
        hedged.last
    }

    /// Records a response, whatever it says.
    fn answered(&self, answer: &Answer, is_leader: bool, began: Instant) {
        self.report(&answer.endpoint, began, || Report::of_answer(answer));
        if let Some(tokens) = &self.pipeline.retry_tokens {
            tokens.succeeded();
        }
        if is_leader || self.is_passed_on {
            // The endpoint was chosen because it is the leader or supports the call, so other calls do not move to it.
            answer.endpoint.answered();
        } else {
            self.pipeline.endpoints.answered(&answer.endpoint);
        }
    }

    /// Returns whether the response says that another token is required, and whether there may be one.
    fn may_renew_token(&self, answer: &Answer) -> bool {
        let is_refused = match self.call.login {
            Login::Basic => answer.is_unauthorized(),
            Login::Token | Login::None => answer.is_token_error(),
        };
        self.token.is_some() && !self.is_renewed && is_refused
    }

    /// Gets another token than the one that was refused, and returns whether there is one: credentials that are provided may be the
    /// same again. The attempts start over, as none was applied with that token.
    async fn renew_token(&mut self) -> Result<bool> {
        self.now = self.pipeline.transport.now();
        let refused = self.token.take();
        let token = self
            .pipeline
            .token(self.call, refused.as_ref(), self.left())
            .await?;
        let is_same = refused.as_ref() == Some(&token);
        self.has_token(token);
        self.is_renewed = true;
        if is_same {
            return Ok(false);
        }
        self.attempts = 0;
        self.begin_round();
        Ok(true)
    }

    fn has_token(&mut self, token: Granted) {
        self.token = Some(token);
        self.now = self.pipeline.transport.now();
    }

    /// Records that an attempt failed.
    fn failed(&mut self, failure: &Failure, endpoint: &EndpointState, began: Instant) {
        self.now = self.pipeline.transport.now();
        self.report(endpoint, began, || Report::of_failure(failure));
        if !self.is_call_deadline(failure) {
            self.pipeline.note(failure, endpoint, self.now);
        }
        if self.call.login == Login::Token
            && let (Failure::TimedOut(_), Some(token)) = (failure, &self.token)
        {
            self.pipeline.token_timed_out(token);
            self.timeouts += 1;
            // One may have any reason.
            if self.timeouts == 2 {
                self.token = None;
            }
        }
        if failure.is_passed_over() {
            let (state, is_certain) = match failure {
                Failure::Answer(answer) => (&answer.endpoint, answer.is_unsupported_by_etcd()),
                _ => (endpoint, false),
            };
            self.pipeline.pass_over(self.call, state, is_certain);
            self.not_served.push(endpoint.clone());
            self.is_passed_on = true;
        }
    }

    /// Whether an attempt reached the caller's deadline, not its own time limit: this says nothing about the endpoint.
    fn is_call_deadline(&self, failure: &Failure) -> bool {
        match failure {
            Failure::TimedOut(limit) => {
                self.call.deadline != Deadline::Usual || *limit < self.pipeline.timeout
            }
            _ => false,
        }
    }

    /// Returns how long to wait before the next attempt, if any.
    fn pause_after(&self, failure: &Failure) -> Option<Duration> {
        let is_left = |state| !is_among(state, &self.not_served);
        if failure.is_final()
            || self.unsupporting().len() == self.set.len()
            || !self.set.iter().any(is_left)
        {
            return None;
        }
        let retry = self.call.deadline.retry(&self.pipeline.retry);
        let pause = retry.decide(&Failed {
            attempt: self.attempts,
            endpoints: u32::try_from(self.set.len()).unwrap_or(u32::MAX),
            unsent: failure.is_unsent(),
            repeat: self.call.repeat,
            retry_after: failure.retry_after().unwrap_or_default(),
            elapsed: self.elapsed(),
            jitter: fastrand::f64(),
        });
        let is_within_budget = self.take_token(failure, pause);
        pause.filter(|_| is_within_budget)
    }

    async fn pause(&mut self, pause: Duration) {
        if !pause.is_zero() {
            self.pipeline.transport.sleep(pause).await;
            self.now = self.pipeline.transport.now();
        }
    }

    fn go_on(&mut self, failure: Failure, endpoint: EndpointState) {
        self.leave(failure, endpoint);
        if self.set.iter().all(|state| is_among(state, &self.tried)) {
            self.begin_round();
        }
    }

    /// An attempt has failed, and others follow.
    fn leave(&mut self, failure: Failure, endpoint: EndpointState) {
        self.in_doubt |= !failure.is_unsent();
        let context = self.pipeline.context(self.call, &endpoint);
        self.failures.push(failure.into_error(context));
        self.tried.push(endpoint);
    }

    /// Every endpoint may be asked again, but for those that do not serve the call.
    fn begin_round(&mut self) {
        let endpoints = &self.pipeline.endpoints;
        self.tried = endpoints.unsupporting(&self.set, self.call.feature, self.now);
        self.tried.extend_from_slice(&self.not_served);
    }

    fn give_up(&self, failure: Failure, endpoint: &EndpointState) -> Result<Box<Answer>> {
        let earlier = |mut context: ErrorContext| {
            self.complete(&mut context);
            let others = self.others(&context.endpoint);
            context.with_others(others)
        };
        match failure {
            Failure::Answer(mut answer) => {
                answer.context = earlier(answer.context);
                Ok(answer)
            }
            failure => {
                let context = self.pipeline.context(self.call, endpoint);
                Err(failure.into_error(earlier(context)))
            }
        }
    }

    /// Returns the results of the last attempt at each endpoint except this one.
    fn others(&self, last: &Endpoint) -> Vec<(Endpoint, String)> {
        let mut others: Vec<(Endpoint, String)> = Vec::new();
        for error in self.failures.iter().rev() {
            let Some(endpoint) = error.endpoint().filter(|endpoint| *endpoint != last) else {
                continue;
            };
            if others.iter().all(|(known, _)| known != endpoint) {
                others.push((endpoint.clone(), error.reason()));
            }
        }
        others.reverse();
        others
    }

    fn complete(&self, context: &mut ErrorContext) {
        context.attempts = self.attempts;
        context.in_doubt = self.in_doubt;
    }

    fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(self.started)
    }

    fn left(&self) -> Duration {
        self.overall.saturating_sub(self.elapsed())
    }

    fn unsupporting(&self) -> Vec<EndpointState> {
        let endpoints = &self.pipeline.endpoints;
        endpoints.unsupporting(&self.set, self.call.feature, self.now)
    }

    fn report(&self, endpoint: &EndpointState, began: Instant, report: impl FnOnce() -> Report) {
        self.pipeline.observer.report(|| {
            let elapsed = self.pipeline.since(began);
            report().attempt(self.call.operation, endpoint, self.attempts, elapsed)
        });
    }
}

fn is_among(state: &EndpointState, others: &[EndpointState]) -> bool {
    others.iter().any(|other| other.is(state))
}
