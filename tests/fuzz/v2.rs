//! The v2 API.

use std::time::Duration;

use etcd_http::{RawRequest, transport::http::Method, v2::*};
use futures::executor::block_on;

use crate::api::{Api, Decoder, items, reported, send};

macro_rules! decoders {
    ($($operation:expr),+ $(,)?) => {
        &[$(|client| send(client, $operation)),+]
    };
}

pub(crate) fn api() -> Api {
    Api {
        samples: SAMPLES.iter().map(|sample| (*sample).to_owned()).collect(),
        words: WORDS,
        openings: &[
            r#"{"node":"#,
            r#"{"nodes":["#,
            r#"{"action":"get","node":{"nodes":["#,
        ],
        whole: [OPERATIONS, OTHERS, RAW].concat(),
        streams: vec![],
    }
}

pub(crate) const OPERATIONS: &[Decoder] = decoders![
    Get::new("x"),
    Get::new("x").recursive(true).sorted(true).quorum(true),
    Exists::new("x"),
    Set::new("x", "y"),
    Set::new("x", "y").without_value(),
    SetDir::new("x"),
    Create::new("x", "y"),
    CreateInOrder::new("x", "y"),
    Update::new("x", "y"),
    UpdateDir::new("x"),
    Refresh::new("x", Duration::from_secs(5)),
    Delete::new("x"),
    DeleteDir::new("x"),
    CompareAndSwap::new("x", "y", Condition::index_is(5)),
    CompareAndDelete::new("x", Condition::value_is("y")),
    ListMembers::new(),
    GetLeader::new(),
    AddMember::new(["http://a"]),
    UpdateMember::new("1", ["http://a"]),
    RemoveMember::new("1"),
    ListMachines::new(),
    GetSelfStats::new(),
    GetStoreStats::new(),
    GetLeaderStats::new(),
    GetAuthStatus::new(),
    EnableAuth::new(),
    DisableAuth::new(),
    ListUsers::new(),
    GetUser::new("u"),
    AddUser::new("u", "p"),
    ChangePassword::new("u", "p"),
    GrantRoles::new("u", ["r"]),
    DeleteUser::new("u"),
    ListRoles::new(),
    GetRole::new("r"),
    AddRole::new("r", Permissions::none()),
    GrantPermissions::new("r", Permissions::none()),
    DeleteRole::new("r"),
];

pub(crate) const OTHERS: &[Decoder] = &[
    |client| reported(block_on(client.version())),
    |client| reported(block_on(client.health())),
    |client| reported(block_on(client.v2().once(Create::new("x", "y")))),
    |client| reported(block_on(client.v2().once(CreateInOrder::new("x", "y")))),
    |client| {
        let swap = CompareAndSwap::new("x", "y", Condition::index_is(5));
        reported(block_on(client.v2().once(swap)))
    },
    |client| reported(block_on(client.v2().wait("x"))),
    |client| items(client, watch("x").from_index(5)),
    |client| items(client, watch("/").recursive(true).from_index(1)),
    |client| items(client, watch("x").from_index(5).resyncing()),
];

/// They decode to any JSON, which takes more memory.
pub(crate) const RAW: &[Decoder] = decoders![raw(Method::GET), raw(Method::POST)];

fn raw(method: Method) -> RawRequest {
    RawRequest::new(method, "/v2/keys/x")
}

fn watch(key: &str) -> Watch {
    Watch::new(key).outage_limit(Duration::from_secs(30))
}

/// Responses of about `limit` bytes that take the most memory.
pub(crate) fn hostile(limit: usize) -> Vec<String> {
    let listing = |node: &str| {
        let head = r#"{"action":"get","node":{"dir":true,"nodes":["#;
        let nodes = vec![node; (limit - head.len() - 4) / (node.len() + 1)].join(",");
        format!("{head}{nodes}]}}}}")
    };
    vec![
        listing("{}"),
        listing(r#"{"key":"/"}"#),
        listing(r#"{"key":"/","nodes":[]}"#),
        listing(r#"{"key":"/","nodes":[{"key":"/"}]}"#),
        format!(
            r#"{{"users":[{}]}}"#,
            vec![r#"{"user":""}"#; limit / 12].join(",")
        ),
        format!(
            r#"{{"members":[{}]}}"#,
            vec!["{}"; limit / 3 - 10].join(",")
        ),
        format!("[{}]", vec![r#"{"":0}"#; limit / 8].join(",")),
        format!("[{}]", vec!["0"; limit / 2 - 10].join(",")),
        vec!["a"; limit / 2].join(","),
        "[".repeat(limit),
        "{\"a\":".repeat(limit / 5),
    ]
}

/// Responses of real servers, one of each kind.
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
