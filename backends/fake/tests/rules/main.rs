//! Every rule of the v2 API, by its number, run on the fake (as 3.4 and as 3.5) and on real servers.
//!
//! The servers are those of `ETCD_BIN_3_4`, `ETCD_BIN_3_5` and `ETCD_BIN`. What requires a cluster or a fault runs only
//! on the fake, in `faults.rs`: V2-41 (stale reads) and V2-91 (no quorum). The fake has no host whitelist (V2-14), and
//! its watches break off at a restart instead of ending or reporting a recovery (V2-147, V2-148).

mod auth;
mod expiry;
mod parameters;
mod paths;
mod reads;
mod server;
mod watches;
mod writes;

use fake_harness::{Request, Response, Subject, rules};

/// What the rules require of a real server.
const SERVER_FLAGS: [&str; 1] = ["--enable-v2"];

/// Reads a key.
fn get(s: &mut dyn Subject, target: &str) -> Response {
    s.ask(&Request::new("GET", &format!("/v2/keys{target}")))
}

/// Sends a form to a key.
fn put(s: &mut dyn Subject, target: &str, form: &str) -> Response {
    s.ask(&Request::new("PUT", &format!("/v2/keys{target}")).form(form))
}

fn post(s: &mut dyn Subject, target: &str, form: &str) -> Response {
    s.ask(&Request::new("POST", &format!("/v2/keys{target}")).form(form))
}

fn delete(s: &mut dyn Subject, target: &str) -> Response {
    s.ask(&Request::new("DELETE", &format!("/v2/keys{target}")))
}

/// A counter of `/v2/stats/store`.
fn stat(s: &mut dyn Subject, name: &str) -> u64 {
    let reply = s.ask(&Request::new("GET", "/v2/stats/store"));
    reply.json()[name].as_u64().unwrap()
}

#[track_caller]
fn assert_body(reply: &Response, status: u16, body: &str) {
    assert_eq!((reply.status, reply.text().as_str()), (status, body));
}

/// Asserts an error of the keys endpoint: status, code, cause, and the index.
#[track_caller]
fn assert_error(reply: &Response, status: u16, code: u64, cause: Option<&str>, index: u64) {
    let json = reply.json();
    let seen = (
        reply.status,
        json["errorCode"].as_u64(),
        json["cause"].as_str(),
        reply.index(),
    );
    assert_eq!(seen, (status, Some(code), cause, index), "{}", reply.text());
    assert_eq!(json["index"], index);
    assert!(reply.text().ends_with("}\n"));
}
