use std::ops::Range;

use fake_harness::{
    Request, Response, Subject,
    pair::{Comparison, Span},
};

/// Names that differ on the real server.
pub(crate) struct Translation {
    real_ids: Vec<String>,
    fake_ids: Vec<String>,
}

impl Comparison for Translation {
    /// From the responses to `GET /v2/members`.
    fn new(real: &mut dyn Subject, fake: &mut dyn Subject) -> Self {
        let members = Request::new("GET", "/v2/members");
        let ids = |reply: Response| {
            let member = &reply.json()["members"][0];
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            vec![
                reply.header("x-etcd-cluster-id").unwrap().to_owned(),
                text(&member["id"]),
                text(&member["peerURLs"][0]),
            ]
        };
        Self {
            real_ids: ids(real.ask(&members)),
            fake_ids: ids(fake.ask(&members)),
        }
    }

    fn is_same(&self, request: &Request, real: &Response, fake: &Response, _time: Span) -> bool {
        let has_members =
            request.target.starts_with("/v2/members") || request.target == "/v2/machines";
        let real_body = if has_members {
            self.apply(&real.text()).into_bytes()
        } else {
            real.body.clone()
        };
        let is_unsorted = request.method == "GET" && !request.target.contains("sorted");
        let is_store_stats = request.target.starts_with("/v2/stats/store");
        let bodies = if is_store_stats {
            without_watchers(&real_body) == without_watchers(&fake.body)
        } else {
            same_body(&real_body, &fake.body, is_unsorted)
        };
        // A fraction of a second has from none to nine digits, so that the length may differ.
        let length_differs =
            has_members || contains(&fake.body, b"\"expiration\"") || is_store_stats;
        // HEAD shows a length without a body to look at.
        let length_differs = length_differs || request.method == "HEAD";
        let headers = |reply: &Response| -> Vec<(String, String)> {
            let headers = reply.headers.iter().filter(|(name, _)| {
                let is_framing = name == "content-length" || name == "transfer-encoding";
                !(is_framing && length_differs)
            });
            let headers = headers.map(|(name, value)| {
                let value = match name.as_str() {
                    "date" | "x-raft-index" => String::new(),
                    _ => self.apply(value),
                };
                (name.clone(), value)
            });
            headers.collect()
        };
        real.status == fake.status && bodies && headers(real) == headers(fake)
    }

    fn is_same_line(&self, real: &str, fake: &str) -> bool {
        same_body(real.as_bytes(), fake.as_bytes(), false)
    }
}

impl Translation {
    fn apply(&self, text: &str) -> String {
        let pairs = self.real_ids.iter().zip(&self.fake_ids);
        pairs.fold(text.to_owned(), |text, (real, fake)| {
            text.replace(real, fake)
        })
    }
}

fn same_body(real: &[u8], fake: &[u8], is_unsorted: bool) -> bool {
    if real == fake {
        return true;
    }
    let (real, real_times) = without_times(real);
    let (fake, fake_times) = without_times(fake);
    if is_unsorted {
        // The same bytes in another order; the lengths are equal to the last one.
        let sorted = |mut bytes: Vec<u8>| {
            bytes.sort_unstable();
            bytes
        };
        return sorted(real) == sorted(fake) && real_times.len() == fake_times.len();
    }
    real == fake
        && real_times.len() == fake_times.len()
        && real_times
            .iter()
            .zip(&fake_times)
            .all(|(a, b)| a.is_near(b))
}

/// A point of time or a time to live, cut out of a body.
#[derive(Debug)]
enum Time {
    Expiration(String),
    Ttl(i64),
}

impl Time {
    fn is_near(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Expiration(a), Self::Expiration(b)) => (seconds(a) - seconds(b)).abs() < 1.0,
            (Self::Ttl(a), Self::Ttl(b)) => (a - b).abs() <= 1,
            _ => false,
        }
    }
}

/// The body with every point of time cut out, and these.
fn without_times(body: &[u8]) -> (Vec<u8>, Vec<Time>) {
    let (mut out, mut times) = (Vec::new(), Vec::new());
    let mut rest = body;
    loop {
        let expiration = value_range(rest, b"\"expiration\":\"", b'"');
        let ttl = ttl_range(rest);
        let (range, is_ttl) = match (expiration, ttl) {
            (Some(a), Some(b)) if b.start < a.start => (b, true),
            (Some(a), _) => (a, false),
            (None, Some(b)) => (b, true),
            (None, None) => break,
        };
        let text = String::from_utf8_lossy(&rest[range.clone()]).into_owned();
        times.push(if is_ttl {
            Time::Ttl(text.parse().unwrap_or(i64::MIN))
        } else {
            Time::Expiration(text)
        });
        out.extend_from_slice(&rest[..range.start]);
        rest = &rest[range.end..];
    }
    out.extend_from_slice(rest);
    (out, times)
}

fn value_range(text: &[u8], name: &[u8], end: u8) -> Option<Range<usize>> {
    let start = find(text, name)? + name.len();
    let length = text[start..].iter().position(|&byte| byte == end)?;
    Some(start..start + length)
}

fn ttl_range(text: &[u8]) -> Option<Range<usize>> {
    let name = b",\"ttl\":";
    let start = find(text, name)? + name.len();
    let length = text[start..]
        .iter()
        .take_while(|byte| b"-0123456789".contains(byte))
        .count();
    Some(start..start + length)
}

fn without_watchers(body: &[u8]) -> Vec<u8> {
    let end = find(body, b",\"watchers\"").unwrap_or(body.len());
    body[..end].to_vec()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    find(text, part).is_some()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Seconds of a point of time, near enough for differences within a month.
fn seconds(rfc3339: &str) -> f64 {
    let number = |range: Range<usize>| rfc3339.get(range).and_then(|n| n.parse::<f64>().ok());
    let day = civil_day(
        number(0..4).unwrap_or(0.0) as i64,
        number(5..7).unwrap_or(0.0) as i64,
        number(8..10).unwrap_or(0.0) as i64,
    );
    let second = rfc3339.get(17..).unwrap_or("0").trim_end_matches('Z');
    let (hour, minute) = (number(11..13).unwrap_or(0.0), number(14..16).unwrap_or(0.0));
    day as f64 * 86_400.0 + hour * 3600.0 + minute * 60.0 + second.parse().unwrap_or(0.0)
}

fn civil_day(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day
}
