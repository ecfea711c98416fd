//! What a client can know of the leases that it has granted and renewed.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use fake_harness::{Request, Response, pair::Span};
use serde_json::Value;

/// The leases of both servers, and when they were granted or renewed.
#[derive(Default)]
pub(crate) struct Leases(HashMap<i64, Lease>);

struct Lease {
    ttl: u64,
    /// The last time that it was certainly renewed, and later times at which it may have been.
    renewals: Vec<Span>,
}

impl Leases {
    /// Learns from a response that both servers have given within this time.
    pub(crate) fn record(&mut self, request: &Request, reply: &Response, time: Span) {
        match request.target.rsplit('/').next() {
            Some("grant") if reply.status == 200 => {
                let granted = reply.json();
                if let (Some(id), Some(ttl)) = (number(&granted["ID"]), number(&granted["TTL"])) {
                    let renewals = vec![time];
                    let ttl = ttl.unsigned_abs();
                    self.0.insert(id, Lease { ttl, renewals });
                }
            }
            Some("revoke") if reply.status == 200 => {
                for id in ids(&request.body) {
                    self.forget(id);
                }
            }
            Some("keepalive") => self.renew(request, reply, time),
            _ => {}
        }
    }

    /// Whether a lease that both have can have this remaining time, in seconds, at some moment of `time`.
    pub(crate) fn may_have(&self, id: i64, remaining: i64, time: Span) -> bool {
        self.0.get(&id).is_some_and(|lease| {
            let granted = Duration::from_secs(lease.ttl);
            lease.renewals.iter().any(|renewal| {
                let (least, most) = renewal.until(time);
                let seconds = |elapsed| granted.saturating_sub(elapsed).as_secs().cast_signed();
                (seconds(most)..=seconds(least)).contains(&remaining)
            })
        })
    }

    /// Whether a server may have ended one of them by now.
    pub(crate) fn may_have_ended(&self, now: Instant) -> bool {
        self.0.values().any(|lease| {
            let first = lease.renewals.first().map(|renewal| renewal.from);
            first.is_some_and(|first| (now - first).as_secs() >= lease.ttl)
        })
    }

    /// Forgets a lease that has ended on both.
    pub(crate) fn forget(&mut self, id: i64) {
        self.0.remove(&id);
    }

    /// A lease that is not among the responses may have been renewed: etcd may stop at the next message, which it cannot read.
    fn renew(&mut self, request: &Request, reply: &Response, time: Span) {
        for id in ids(&request.body) {
            if let Some(lease) = self.0.get_mut(&id) {
                lease.renewals.push(time);
            }
        }
        let responses = serde_json::Deserializer::from_slice(&reply.body).into_iter::<Value>();
        for response in responses.map_while(Result::ok) {
            let result = response.get("result").unwrap_or(&response);
            let id = number(&result["ID"]);
            if let Some(lease) = id.and_then(|id| self.0.get_mut(&id))
                && result["TTL"].is_string()
            {
                lease.renewals = vec![time];
            }
        }
    }
}

/// The ids in a request, in every spelling that etcd reads.
fn ids(body: &[u8]) -> Vec<i64> {
    let messages = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    let messages = messages.map_while(Result::ok);
    messages.filter_map(|it| number(&it["ID"])).collect()
}

fn number(value: &Value) -> Option<i64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    Some(number as i64)
}
