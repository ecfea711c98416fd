//! Compares two responses.

use std::borrow::Cow;

use serde_json::Value;

use fake_harness::{Request, Response, Subject, pair::Comparison};

/// Headers that differ: a translated id may be longer, and the fake has no connections.
const IGNORED: [&str; 3] = ["date", "content-length", "connection"];

/// The ids of the real server, and those of the fake that stand for them.
pub(crate) struct Translation {
    pairs: Vec<(String, String)>,
}

impl Comparison for Translation {
    /// From the headers of a response of each.
    fn new(real: &mut dyn Subject, fake: &mut dyn Subject) -> Self {
        let anything = Request::new("POST", "/v3/kv/range").json("{\"key\":\"eA==\"}");
        let (real, fake) = (real.ask(&anything).json(), fake.ask(&anything).json());
        let pairs = ["cluster_id", "member_id"].map(|name| {
            let id = |json: &Value| json["header"][name].as_str().unwrap().to_owned();
            (id(&real), id(&fake))
        });
        Self {
            pairs: pairs.into(),
        }
    }

    fn is_same(&self, request: &Request, real: &Response, fake: &Response) -> bool {
        let is_unordered =
            request.target.ends_with("/timetolive") || request.target.ends_with("/leases");
        let headers = |reply: &Response| {
            let kept = reply.headers.iter();
            let kept = kept.filter(|(name, _)| !IGNORED.contains(&&**name));
            kept.cloned().collect::<Vec<_>>()
        };
        let (real_body, fake_body) = (self.translate(&real.body), fake.text());
        let is_same_body = if is_unordered && real.status == 200 && fake.status == 200 {
            same_lease_answer(&real_body, &fake_body)
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
}

fn same_lease_answer(real: &str, fake: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let (mut real_json, mut fake_json) = (parse(real), parse(fake));
    let ttl = |json: &Value| -> i64 {
        let ttl = json["TTL"].as_str().map_or(Cow::from("0"), Cow::from);
        ttl.parse().unwrap()
    };
    // On a busy machine the real server may grant a lease, or look at it, later than the fake.
    if ttl(&fake_json).abs_diff(ttl(&real_json)) > 1 {
        return false;
    }
    for json in [&mut real_json, &mut fake_json] {
        json.as_object_mut().unwrap().remove("TTL");
        for name in ["keys", "leases"] {
            if let Some(list) = json.get_mut(name).and_then(Value::as_array_mut) {
                list.sort_by_key(Value::to_string);
            }
        }
    }
    // The spelling is compared as well: both have the same length, but for the remaining time.
    real_json == fake_json && real.len().abs_diff(fake.len()) <= 1
}
