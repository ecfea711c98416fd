//! Rules of the v3 API over the JSON gateway, by their numbers, run on the fake (as 3.4 and as 3.5) and on real
//! servers.
//!
//! The servers are those of `ETCD_BIN_3_4`, `ETCD_BIN_3_5` and `ETCD_BIN`. Rules that require two concurrent requests
//! run only on the fake, in `v3_streams.rs` and `v3_in_process`.

mod auth;
mod cluster;
mod election;
mod gateway;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod txn;
mod watch;

use serde_json::Value;

use fake_harness::{Request, Response, Subject, Watching, rules};

/// The default times: the shortest time to live depends on them.
const SERVER_FLAGS: [&str; 4] = ["--heartbeat-interval", "100", "--election-timeout", "1000"];

/// Makes a call.
fn post(s: &mut dyn Subject, path: &str, body: &str) -> Response {
    s.ask(&Request::new("POST", &format!("/v3/{path}")).json(body))
}

/// Makes a call that succeeds; returns the response without what tells clusters apart.
#[track_caller]
fn call(s: &mut dyn Subject, path: &str, body: &str) -> Value {
    let reply = post(s, path, body);
    assert_eq!(reply.status, 200, "{path} {body}: {}", reply.text());
    without_ids(reply.json())
}

fn put(s: &mut dyn Subject, key: &str, value: &str) -> Value {
    call(
        s,
        "kv/put",
        &format!("{{\"key\":\"{key}\",\"value\":\"{value}\"}}"),
    )
}

/// The keys and the count of a range.
#[track_caller]
fn keys(s: &mut dyn Subject, body: &str) -> (Vec<String>, String) {
    let answer = call(s, "kv/range", body);
    let kvs = answer["kvs"].as_array().into_iter().flatten();
    let keys = kvs.map(|kv| kv["key"].as_str().unwrap().to_owned());
    let count = answer["count"].as_str().unwrap_or("0").to_owned();
    (keys.collect(), count)
}

#[track_caller]
fn assert_refused(reply: &Response, code: u64, message: &str) {
    let json = reply.json();
    let seen = (json["code"].as_u64(), json["message"].as_str());
    assert_eq!(seen, (Some(code), Some(message)));
}

fn without_ids(mut json: Value) -> Value {
    if let Some(header) = json.get_mut("header").and_then(Value::as_object_mut) {
        for name in ["cluster_id", "member_id", "raft_term"] {
            assert!(header.remove(name).is_some(), "{name}");
        }
    }
    json
}

/// Opens a stream of watches with these requests.
fn open(s: &mut dyn Subject, body: &str) -> Box<dyn Watching> {
    let (reply, watching) = s.watch(&Request::new("POST", "/v3/watch").json(body));
    assert_eq!(reply.status, 200);
    watching
}

/// The next message of a stream.
#[track_caller]
fn message(watching: &mut dyn Watching) -> Value {
    let line = watching.line().expect("the stream is open");
    let mut json: Value = serde_json::from_str(&line).unwrap();
    without_ids(json["result"].take())
}
