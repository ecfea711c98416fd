use std::{fmt, sync::Arc};

use super::{fault::Kind, request_log::Exchange};
use crate::rng::Rng;

/// Which requests a fault affects. All conditions must hold.
#[derive(Clone)]
pub struct When {
    method: Option<String>,
    path: Option<String>,
    /// The path of the same call in gRPC.
    grpc_path: Option<String>,
    endpoint: Option<usize>,
    predicate: Option<Predicate>,
    times: Times,
}

#[derive(Clone, Copy, Debug)]
enum Times {
    Always,
    /// The n-th match, counted from 1, and none after it.
    Nth(u64),
    Every(u64),
    First(u64),
    /// With this probability.
    Chance(f64),
}

impl When {
    /// Every request.
    pub fn any() -> Self {
        Self {
            method: None,
            path: None,
            grpc_path: None,
            endpoint: None,
            predicate: None,
            times: Times::Always,
        }
    }

    /// Requests with this method.
    pub fn method(method: &str) -> Self {
        Self {
            method: Some(method.to_owned()),
            ..Self::any()
        }
    }

    /// Only requests with this path, percent-decoded. A path that ends in `*` matches every path with that prefix. A path of
    /// the v3 API, such as `/v3/kv/put`, matches the same call by gRPC, too.
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Only requests sent to this endpoint.
    pub fn endpoint(mut self, endpoint: usize) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Only requests for which this returns true. It is called while the fake is locked and must not use it.
    pub fn matching(mut self, holds: impl Fn(&Exchange) -> bool + Send + Sync + 'static) -> Self {
        self.predicate = Some(Arc::new(holds));
        self
    }

    /// Only the next match.
    pub fn once(self) -> Self {
        self.nth(1)
    }

    /// Only the `n`-th match from now on, counted from 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.times = Times::Nth(n);
        self
    }

    /// Only the first `n` matches from now on.
    pub fn first(mut self, n: u64) -> Self {
        self.times = Times::First(n);
        self
    }

    /// Every `n`-th match from now on.
    pub fn every(mut self, n: u64) -> Self {
        self.times = Times::Every(n.max(1));
        self
    }

    /// Each match with this probability. The fake's seed decides.
    pub fn with_chance(mut self, probability: f64) -> Self {
        self.times = Times::Chance(probability);
        self
    }

    /// Matches the same call by gRPC as well, whose path `find` returns for one of the gateway.
    pub(crate) fn on_any_wire(mut self, find: impl FnOnce(&str) -> Option<String>) -> Self {
        self.grpc_path = self.path.as_deref().and_then(find);
        self
    }

    pub(crate) fn matches(&self, exchange: &Exchange) -> bool {
        let method = self.method.as_deref();
        let path_matches = self.path.as_deref().is_none_or(|path| {
            let actual = exchange.path();
            match path.strip_suffix('*') {
                Some(prefix) => actual.starts_with(prefix),
                None => actual == path || Some(actual) == self.grpc_path,
            }
        });
        method.is_none_or(|method| method.eq_ignore_ascii_case(exchange.method()))
            && path_matches
            && (self.endpoint).is_none_or(|endpoint| endpoint == exchange.endpoint())
            && (self.predicate.as_ref()).is_none_or(|holds| holds(exchange))
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("endpoint", &self.endpoint)
            .field("predicate", &self.predicate.is_some())
            .field("times", &self.times)
            .finish()
    }
}

/// The faults that were injected.
#[derive(Debug)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    rng: Rng,
}

#[derive(Debug)]
struct Rule {
    when: When,
    fault: Kind,
    /// What the log calls it.
    name: Option<Arc<str>>,
    seen: u64,
}

impl Rules {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            rules: Vec::new(),
            rng,
        }
    }

    pub(crate) fn add(&mut self, when: When, fault: Kind, name: Option<Arc<str>>) {
        let seen = 0;
        self.rules.push(Rule {
            when,
            fault,
            name,
            seen,
        });
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The fault for this request, which notes its name: that of the first rule whose turn it is.
    pub(crate) fn next_fault(&mut self, exchange: &mut Exchange) -> Option<Kind> {
        let mut chosen = None;
        for rule in &mut self.rules {
            if !rule.when.matches(exchange) {
                continue;
            }
            rule.seen += 1;
            let is_turn = match rule.when.times {
                Times::Always => true,
                Times::Nth(n) => rule.seen == n,
                Times::First(n) => rule.seen <= n,
                Times::Every(n) => rule.seen.is_multiple_of(n),
                Times::Chance(p) => (self.rng.next() >> 11) as f64 / ((1u64 << 53) as f64) < p,
            };
            if is_turn && chosen.is_none() {
                chosen = Some(rule.fault.clone());
                exchange.set_fault(rule.name.clone());
            }
        }
        self.rules.retain(|rule| match rule.when.times {
            Times::Nth(n) | Times::First(n) => rule.seen < n,
            _ => true,
        });
        chosen
    }
}

type Predicate = Arc<dyn Fn(&Exchange) -> bool + Send + Sync>;
