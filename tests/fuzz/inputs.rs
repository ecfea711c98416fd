//! What the decoders are fed: noise, JSON of etcd's words in the wrong order, and what etcd sends, mutated.

use etcd_http::transport::http::{HeaderName, HeaderValue};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Value, json};

use crate::canned::{Answer, Ending};

/// What real servers send, one of each kind.
const SAMPLES: &[&str] = &[
    r#"{"action":"get","node":{"key":"/foo","value":"bar","modifiedIndex":7,"createdIndex":7}}"#,
    r#"{"action":"set","node":{"key":"/x","value":"two","expiration":"2013-12-04T12:01:21.874888581-08:00","ttl":5,"modifiedIndex":9,"createdIndex":9},"prevNode":{"key":"/x","value":"one","modifiedIndex":8,"createdIndex":8}}"#,
    r#"{"action":"get","node":{"key":"/","dir":true,"nodes":[{"key":"/a","dir":true,"nodes":[{"key":"/a/b","value":"","modifiedIndex":3,"createdIndex":3}],"modifiedIndex":3,"createdIndex":3}]}}"#,
    r#"{"action":"expire","node":{"key":"/x","modifiedIndex":13,"createdIndex":12},"prevNode":{"key":"/x","value":"v","expiration":"2026-01-01T00:00:00Z","modifiedIndex":12,"createdIndex":12}}"#,
    r#"{"action":"compareAndSwap"}"#,
    r#"{"errorCode":105,"message":"Key already exists","cause":"/x","index":9}"#,
    r#"{"errorCode":401,"message":"The event in requested index is outdated and cleared","cause":"the requested history has been cleared [1007/5]","index":2006}"#,
    r#"{"errorCode":300,"message":"Raft Internal Error","cause":"nodePath /1/x : Not a file ()","index":0}"#,
    r#"{"message":"Insufficient credentials"}"#,
    r#"{"members":[{"id":"8e9e05c52164694d","name":"etcd-0","peerURLs":["http://127.0.0.1:2380"],"clientURLs":["http://127.0.0.1:2379"]}]}"#,
    r#"{"id":"8e9e05c52164694d","name":"","peerURLs":["http://127.0.0.1:2380"],"clientURLs":[]}"#,
    "http://127.0.0.1:2379, http://127.0.0.1:22379",
    r#"{"name":"etcd","id":"8e9e05c52164694d","state":"StateLeader","startTime":"2026-01-01T00:00:00.5Z","leaderInfo":{"leader":"8e9e05c52164694d","uptime":"1h2m3.5s","startTime":"2026-01-01T00:00:00Z"},"recvAppendRequestCnt":0,"recvPkgRate":0.5,"sendAppendRequestCnt":3}"#,
    r#"{"getsSuccess":1,"getsFail":2,"setsSuccess":3,"setsFail":4,"deleteSuccess":5,"deleteFail":6,"updateSuccess":7,"updateFail":8,"createSuccess":9,"createFail":10,"compareAndSwapSuccess":11,"compareAndSwapFail":12,"compareAndDeleteSuccess":13,"compareAndDeleteFail":14,"expireCount":15,"watchers":16}"#,
    r#"{"leader":"8e9e05c52164694d","followers":{"6e3bd23ae5f1eae0":{"latency":{"current":0.001,"average":0.002,"standardDeviation":0.003,"minimum":0.0001,"maximum":0.1},"counts":{"fail":1,"success":745}}}}"#,
    r#"{"enabled":true}"#,
    r#"{"users":[{"user":"bob","roles":[{"role":"guest","permissions":{"kv":{"read":["/*"],"write":["/*"]}}}]}]}"#,
    r#"{"user":"bob","roles":["guest"]}"#,
    r#"{"users":null}"#,
    r#"{"role":"r","permissions":{"kv":{"read":["/*"],"write":null}}}"#,
    r#"{"roles":[{"role":"r","permissions":{"kv":{"read":null,"write":[]}}}]}"#,
    r#"{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}"#,
    r#"{"health":"true","reason":""}"#,
    "404 page not found\n",
    "",
    "\n",
];

const WORDS: &[&str] = &[
    "action",
    "node",
    "prevNode",
    "key",
    "value",
    "dir",
    "ttl",
    "expiration",
    "nodes",
    "modifiedIndex",
    "createdIndex",
    "errorCode",
    "message",
    "cause",
    "index",
    "members",
    "id",
    "name",
    "peerURLs",
    "clientURLs",
    "users",
    "user",
    "roles",
    "role",
    "permissions",
    "kv",
    "read",
    "write",
    "enabled",
    "leader",
    "followers",
    "latency",
    "counts",
    "health",
    "reason",
    "etcdserver",
    "etcdcluster",
    "leaderInfo",
    "uptime",
    "startTime",
    "state",
    "watchers",
    "/x",
    "/",
    "get",
    "set",
    "expire",
    "compareAndSwap",
    "2026-01-01T00:00:00Z",
    "9999-99-99T99:99:99Z",
    "0001-01-01T00:00:00Z",
    "true",
];

const LOCATIONS: &[&str] = &[
    "/v2/keys/x",
    "http://a/v2/keys/x",
    "http://b/v2/keys/x",
    "http://A:80/v2/keys/x",
    "https://a/v2/keys/x",
    "http://evil/v2/keys/x",
    "//evil/v2/keys",
    "/v2/keys/%2e%2e/members",
    "/v2/../v3/kv",
    "http://[::1",
    "http://a:99999/",
    "http://a@evil/v2/keys/x",
    "v2/keys/x",
    "?x",
    "#",
    "",
    "/",
    "http://",
    "http://a/v2/keys/\u{fc}",
    "javascript:x",
];

/// A few answers, as one server would give them one after the other.
pub(crate) fn answers() -> impl Strategy<Value = Vec<Answer>> {
    vec(answer(), 1..4)
}

fn answer() -> impl Strategy<Value = Answer> {
    let frames = vec(prop_oneof![3 => 0..8_usize, 1 => 0..70_000_usize], 0..6);
    let ending = prop_oneof![
        6 => Just(Ending::Clean),
        1 => Just(Ending::Trailers),
        1 => Just(Ending::Break),
        1 => Just(Ending::Open),
    ];
    (status(), headers(), body(), frames, ending).prop_map(
        |(status, headers, body, frames, ending)| Answer {
            status,
            headers,
            body,
            frames,
            ending,
        },
    )
}

fn status() -> impl Strategy<Value = u16> {
    let usual = select(vec![
        200, 201, 204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 409, 412, 500, 503,
    ]);
    prop_oneof![6 => Just(200), 6 => usual, 1 => 100..=999_u16]
}

fn headers() -> impl Strategy<Value = Vec<(HeaderName, HeaderValue)>> {
    let number = prop_oneof![
        any::<u64>().prop_map(|number| number.to_string()),
        (0..20_u64).prop_map(|number| number.to_string()),
        "[-+0-9a-f ]{0,25}",
    ];
    let known = prop_oneof![
        (Just("x-etcd-index"), number.clone()),
        (Just("x-raft-index"), number.clone()),
        (Just("x-raft-term"), number),
        (Just("x-etcd-cluster-id"), "[0-9a-fA-F]{0,17}"),
        (
            Just("content-type"),
            prop_oneof![Just("application/json".to_owned()), "[ -~]{0,20}"]
        ),
        (
            Just("location"),
            prop_oneof![select(LOCATIONS).prop_map(str::to_owned), "[ -~]{0,40}"]
        ),
        (
            Just("content-encoding"),
            prop_oneof![Just("gzip".to_owned()), Just("identity".to_owned())]
        ),
        (Just("retry-after"), "[ -~]{0,20}"),
    ];
    let known = known.prop_map(|(name, value)| (name, value.into_bytes()));
    let noise = (
        select(vec!["x-etcd-index", "location", "content-type", "x-noise"]),
        vec(any::<u8>(), 0..40),
    );
    let json = Just(("content-type", b"application/json".to_vec()));
    vec(prop_oneof![6 => known, 1 => noise, 3 => json], 0..6).prop_map(|headers| {
        let valid = |(name, value): (&'static str, Vec<u8>)| {
            // What no HTTP stack would hand on is left out.
            let value = HeaderValue::from_bytes(&value).ok()?;
            Some((HeaderName::from_static(name), value))
        };
        headers.into_iter().filter_map(valid).collect()
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => vec(any::<u8>(), 0..200),
        4 => value().prop_map(|value| value.to_string().into_bytes()),
        6 => (select(SAMPLES), vec(mutation(), 0..4)).prop_map(|(sample, mutations)| {
            mutations.iter().fold(sample.as_bytes().to_vec(), mutate)
        }),
        1 => nested(),
    ]
}

/// JSON of etcd's words.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(WORDS).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        let object = vec((select(WORDS), inner.clone()), 0..6).prop_map(|fields| {
            fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()
        });
        prop_oneof![
            3 => object,
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            1 => inner.prop_map(|node| json!({"action": "get", "node": node})),
        ]
    })
}

/// Deeper than any store, whole or cut off.
fn nested() -> impl Strategy<Value = Vec<u8>> {
    let opening = select(vec![
        "[",
        "{\"a\":",
        "{\"node\":",
        "{\"nodes\":[",
        "{\"action\":\"get\",\"node\":{\"nodes\":[",
    ]);
    (opening, 0..4000_usize).prop_map(|(opening, depth)| opening.repeat(depth).into_bytes())
}

#[derive(Clone, Debug)]
enum Mutation {
    Cut(Index),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    /// A part, again, elsewhere.
    Copy(Index, Index, Index),
    Remove(Index, Index),
    /// Every number becomes this one.
    Numbers(&'static str),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    let numbers = select(vec![
        "0",
        "-1",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "1e309",
        "1.5",
        "1e-9",
        "00",
    ]);
    prop_oneof![
        index().prop_map(Mutation::Cut),
        (index(), 1..=255_u8).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        (index(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (index(), index(), index()).prop_map(|(from, to, at)| Mutation::Copy(from, to, at)),
        (index(), index()).prop_map(|(from, to)| Mutation::Remove(from, to)),
        numbers.prop_map(Mutation::Numbers),
    ]
}

fn mutate(mut bytes: Vec<u8>, mutation: &Mutation) -> Vec<u8> {
    let length = bytes.len() + 1;
    let range = |from: &Index, to: &Index| {
        let (from, to) = (from.index(length), to.index(length));
        from.min(to)..from.max(to)
    };
    match mutation {
        Mutation::Cut(at) => bytes.truncate(at.index(length)),
        Mutation::Flip(at, bits) => {
            let at = at.index(length);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        }
        Mutation::Insert(at, new) => {
            let at = at.index(length);
            bytes.splice(at..at, new.iter().copied());
        }
        Mutation::Copy(from, to, at) => {
            let part = bytes[range(from, to)].to_vec();
            let at = at.index(length);
            bytes.splice(at..at, part);
        }
        Mutation::Remove(from, to) => drop(bytes.drain(range(from, to))),
        Mutation::Numbers(number) => {
            let mut out = Vec::new();
            let mut within = false;
            for byte in bytes {
                if !byte.is_ascii_digit() {
                    out.push(byte);
                } else if !within {
                    out.extend(number.bytes());
                }
                within = byte.is_ascii_digit();
            }
            bytes = out;
        }
    }
    bytes
}
