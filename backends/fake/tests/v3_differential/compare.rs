//! Compares two responses.

use fake_harness::{
    Request, Response, Subject,
    pair::{Comparison, Span},
};
use serde_json::Value;

use crate::{leases::Leases, users::Users};

/// Headers that differ: a translated id may be longer, and the fake has no connections.
const IGNORED: [&str; 3] = ["date", "content-length", "connection"];

/// The ids of the real server, and those of the fake that stand for them.
pub(crate) struct Translation {
    pairs: Vec<(String, String)>,
    pub(crate) leases: Leases,
    pub(crate) users: Users,
}

impl Comparison for Translation {
    /// From the headers of a response of each.
    fn new(real: &mut dyn Subject, fake: &mut dyn Subject) -> Self {
        let anything = Request::new("POST", "/v3/kv/range").json("{\"key\":\"eA==\"}");
        let reads_behind_its_buffer = !real.is_3_4();
        let (real, fake) = (real.ask(&anything).json(), fake.ask(&anything).json());
        let pairs = ["cluster_id", "member_id"].map(|name| {
            let id = |json: &Value| json["header"][name].as_str().unwrap().to_owned();
            (id(&real), id(&fake))
        });
        Self {
            pairs: pairs.into(),
            leases: Leases::default(),
            users: Users::new(reads_behind_its_buffer),
        }
    }

    fn is_same(&self, request: &Request, real: &Response, fake: &Response, time: Span) -> bool {
        let is_unordered =
            request.target.ends_with("/timetolive") || request.target.ends_with("/leases");
        let headers = |reply: &Response| {
            let kept = reply.headers.iter();
            let kept = kept.filter(|(name, _)| !IGNORED.contains(&&**name));
            kept.cloned().collect::<Vec<_>>()
        };
        if self.users.is_found_deleted(request, real, fake) {
            return true;
        }
        let (real_body, fake_body) = (self.translate(&real.body), fake.text());
        let is_same_body = if is_unordered && real.status == 200 && fake.status == 200 {
            self.is_same_lease(real_body, &fake_body, time)
        } else {
            real_body == fake_body
        };
        real.status == fake.status && headers(real) == headers(fake) && is_same_body
    }

    fn is_same_line(&self, real: &str, fake: &str) -> bool {
        self.translate(real.as_bytes()) == fake
    }
}

impl Translation {
    fn translate(&self, text: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(text).into_owned();
        for (real, fake) in &self.pairs {
            text = text.replace(real, fake);
        }
        text
    }

    /// Compares leases: what has no order is sorted, and each server reports one of the remaining times that are possible.
    fn is_same_lease(&self, real: String, fake: &str, time: Span) -> bool {
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let remaining = |json: &Value| -> i64 {
            let remaining = json["TTL"].as_str().unwrap_or("0");
            remaining.parse().unwrap()
        };
        let (from_real, from_fake) = (remaining(&parse(&real)), remaining(&parse(fake)));
        if from_real != from_fake {
            let id = parse(fake)["ID"].as_str().unwrap_or("0").parse().unwrap();
            let is_possible = |remaining| self.leases.may_have(id, remaining, time);
            if !is_possible(from_real) || !is_possible(from_fake) {
                return false;
            }
        }
        let [from_real, from_fake] = [from_real, from_fake].map(|ttl| format!("\"TTL\":\"{ttl}\""));
        let real = real.replace(&from_real, &from_fake);
        let sorted = |text: &str| {
            let mut json = parse(text);
            for name in ["keys", "leases"] {
                if let Some(list) = json.get_mut(name).and_then(Value::as_array_mut) {
                    list.sort_by_key(Value::to_string);
                }
            }
            json
        };
        // The spelling is compared as well.
        sorted(&real) == sorted(fake) && real.len() == fake.len()
    }
}
