//! The v3 API.

use std::time::Duration;

use etcd_http::v3::*;
use futures::{StreamExt, executor::block_on};

use crate::api::{Api, Decoder, items, one, reported, send};

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn api() -> Api {
    let cases = WHOLE.iter().chain(STREAMS);
    let compact = cases.flat_map(|case| case.samples).chain(OTHER_SAMPLES);
    Api {
        samples: compact
            .flat_map(|sample| [(*sample).to_owned(), spaced(sample)])
            .collect(),
        words: WORDS,
        openings: &[
            r#"{"result":"#,
            r#"{"kvs":["#,
            r#"{"responses":[{"response_txn":"#,
            r#"{"result":{"events":["#,
        ],
        whole: WHOLE.iter().map(|case| case.decode).collect(),
        streams: STREAMS
            .iter()
            .map(|case| case.decode)
            .chain(OTHER_STREAMS.iter().copied())
            .collect(),
    }
}

/// An operation, and the responses of real servers, compact as etcd 3.4 writes them.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) decode: Decoder,
    pub(crate) samples: &'static [&'static str],
}

/// With a space where newer gateways have one.
pub(crate) fn spaced(compact: &str) -> String {
    compact.replace(",\"", ", \"").replace(",{", ", {")
}

macro_rules! cases {
    ($do:ident; $($operation:expr => [$($sample:expr),+ $(,)?],)+) => {
        &[$(Case {
            name: stringify!($operation),
            decode: |client| $do(client, $operation),
            samples: &[$($sample),+],
        }),+]
    };
}

pub(crate) const WHOLE: &[Case] = cases! {
    send;
    Range::new("a") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yw=="},{"key":"//4AYQ==","create_revision":"4","mod_revision":"4","version":"1","value":"//4AYQ==","lease":"7"}],"more":true,"count":"7"}"#,
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    Put::new("a", "b") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"prev_kv":{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yw=="}}"#,
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    DeleteRange::new("a") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"deleted":"2","prev_kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yw=="}]}"#,
    ],
    Txn::new() => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"succeeded":true,"responses":[{"response_range":{"header":{"cluster_id":"7","revision":"4"},"kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yw=="}],"count":"1"}},{"response_put":{"header":{"cluster_id":"7","revision":"5"}}},{"response_delete_range":{"header":{"cluster_id":"7","revision":"5"},"deleted":"1"}},{"response_txn":{"header":{},"succeeded":true,"responses":[{"response_range":{"header":{"cluster_id":"7","revision":"5"}}}]}}]}"#,
    ],
    ExactlyOnce::new("m", Txn::new()) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"succeeded":true,"responses":[{"response_put":{"header":{"cluster_id":"7","revision":"9"}}}]}"#,
    ],
    ExactlyOnce::new("m", Txn::new().when(Compare::exists("a"))) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"succeeded":true,"responses":[{"response_txn":{"header":{},"succeeded":true,"responses":[{"response_put":{"header":{"cluster_id":"7","revision":"9"}}}]}}]}"#,
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"responses":[{"response_range":{"header":{"cluster_id":"7","revision":"9"},"kvs":[{"key":"bQ==","create_revision":"4","mod_revision":"4","version":"1","value":"c3VjY2VlZGVk"}],"count":"1"}}]}"#,
    ],
    Compact::new(4) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    GrantLease::new(MINUTE).id(7) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"ID":"7","TTL":"60"}"#,
    ],
    RevokeLease::new(7) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    KeepAliveOnce::all([7, 8].map(LeaseId::from)) => [
        concat!(r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"ID":"7","TTL":"60"}}"#, "\n", r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"ID":"8"}}"#, "\n"),
    ],
    GetTimeToLive::new(7).keys(true) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"ID":"7","TTL":"59","grantedTTL":"60","keys":["YQ==","//4AYQ=="]}"#,
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"ID":"8","TTL":"-1"}"#,
    ],
    ListLeases::new() => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"leases":[{"ID":"7"},{"ID":"-8"}]}"#,
    ],
    // With the response to the read of the key that follows.
    Lock::new("l", 7) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"key":"bC83","kvs":[{"key":"bC83","create_revision":"9"}]}"#,
    ],
    Unlock::new("l/7") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    Campaign::new("e", 7, "v") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"leader":{"name":"ZQ==","key":"ZS83","rev":"9","lease":"7"},"kvs":[{"key":"ZS83","create_revision":"9"}]}"#,
    ],
    Proclaim::new(leader(), "w") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    GetLeader::new("e") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"kv":{"key":"ZS83","create_revision":"9","mod_revision":"9","version":"1","value":"dg==","lease":"7"}}"#,
    ],
    Resign::new(leader()) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    AddMember::new(["http://127.0.0.1:1"]) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"member":{"ID":"9","peerURLs":["http://127.0.0.1:1"],"isLearner":true},"members":[{"ID":"9","peerURLs":["http://127.0.0.1:1"],"isLearner":true},{"ID":"7","name":"m","peerURLs":["http://127.0.0.1:2"],"clientURLs":["http://127.0.0.1:3"]}]}"#,
    ],
    RemoveMember::new(9) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"members":[{"ID":"9","peerURLs":["http://127.0.0.1:1"],"isLearner":true},{"ID":"7","name":"m","peerURLs":["http://127.0.0.1:2"],"clientURLs":["http://127.0.0.1:3"]}]}"#,
    ],
    UpdateMember::new(9, ["http://127.0.0.1:1"]) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"members":[{"ID":"9","peerURLs":["http://127.0.0.1:1"],"isLearner":true},{"ID":"7","name":"m","peerURLs":["http://127.0.0.1:2"],"clientURLs":["http://127.0.0.1:3"]}]}"#,
    ],
    ListMembers::new() => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"members":[{"ID":"9","peerURLs":["http://127.0.0.1:1"],"isLearner":true},{"ID":"7","name":"m","peerURLs":["http://127.0.0.1:2"],"clientURLs":["http://127.0.0.1:3"]}]}"#,
    ],
    PromoteMember::new(9) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"members":[{"ID":"9","peerURLs":["http://127.0.0.1:1"],"isLearner":true},{"ID":"7","name":"m","peerURLs":["http://127.0.0.1:2"],"clientURLs":["http://127.0.0.1:3"]}]}"#,
    ],
    ListAlarms::new() => [
        r#"{"alarms":[{"memberID":"1","alarm":"NOSPACE"},{"alarm":"CORRUPT"}]}"#,
        r#"{}"#,
    ],
    SetAlarm::lift(AlarmKind::NoSpace) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"alarms":[{"memberID":"1","alarm":"NOSPACE"}]}"#,
    ],
    GetStatus::new() => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"version":"3.4.23","dbSize":"32768","leader":"7","raftIndex":"24","raftTerm":"2","raftAppliedIndex":"24","errors":["memberID:1 alarm:NOSPACE "],"dbSizeInUse":"24576"}"#,
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"version":"3.6.0","dbSize":"32768","leader":"7","raftIndex":"24","raftTerm":"2","raftAppliedIndex":"24","dbSizeInUse":"24576","storageVersion":"3.6.0","dbSizeQuota":"2147483648","downgradeInfo":{"enabled":true,"targetVersion":"3.5.0"}}"#,
    ],
    Defragment::new() => [
        r#"{}"#,
    ],
    GetHash::new() => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"hash":1492558931}"#,
    ],
    GetHashKv::new() => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"hash":777946187,"compact_revision":"4","hash_revision":"9"}"#,
    ],
    TransferLeadership::new(9) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    Downgrade::cancel() => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"version":"3.5.0"}"#,
    ],
    EnableAuth::new() => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    DisableAuth::new() => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    GetAuthStatus::new() => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"enabled":true,"authRevision":"7"}"#,
    ],
    Authenticate::new("u", "p") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"token":"etwRgVbuXKZitLsT.38"}"#,
    ],
    AddUser::new("u", "p") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    GetUser::new("u") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"roles":["root","r"]}"#,
    ],
    ListUsers::new() => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"users":["root","u"]}"#,
    ],
    DeleteUser::new("u") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    ChangePassword::new("u", "p") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    GrantRole::new("u", "r") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    RevokeRole::new("u", "r") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    AddRole::new("r") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    GetRole::new("r") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"perm":[{"permType":"READWRITE","key":"YQ==","range_end":"Yg=="},{"key":"eA=="}]}"#,
    ],
    ListRoles::new() => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"roles":["r"]}"#,
    ],
    DeleteRole::new("r") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    GrantPermission::new("r", Permission::read("k")) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
    RevokePermission::new("r", "k") => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"}}"#,
    ],
};

pub(crate) const STREAMS: &[Case] = cases! {
    items;
    Watch::new("a").from_revision(2).progress(true).outage_limit(MINUTE) => [
        concat!(r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"watch_id":"1","created":true}}"#, "\n", r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"watch_id":"1","events":[{"kv":{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"Yg=="}},{"kv":{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yw=="},"prev_kv":{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"Yg=="}}]}}"#, "\n", r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"watch_id":"1","fragment":true,"events":[{"type":"DELETE","kv":{"key":"Yg==","mod_revision":"6"}}]}}"#, "\n", r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"watch_id":"1","events":[{"type":"PUT","kv":{"key":"Yw==","create_revision":"6","mod_revision":"6","version":"1"}}]}}"#, "\n", r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"watch_id":"1"}}"#, "\n"),
        concat!(r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"watch_id":"1","created":true}}"#, "\n", r#"{"result":{"header":{"cluster_id":"5","member_id":"7","raft_term":"2"},"watch_id":"1","canceled":true,"compact_revision":"4"}}"#, "\n"),
        concat!(r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"watch_id":"-1","created":true,"canceled":true,"cancel_reason":"rpc error: code = PermissionDenied desc = etcdserver: permission denied"}}"#, "\n"),
        concat!(r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"watch_id":"1","created":true}}"#, "\n", r#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}}"#),
    ],
    WatchSet::new([Watch::new("a").from_revision(2), Watch::new("b").from_revision(5)]).outage_limit(MINUTE) => [
        concat!(r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"watch_id":"1","created":true}}"#, "\n", r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"watch_id":"2","created":true}}"#, "\n", r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"watch_id":"1","events":[{"kv":{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"Yg=="}},{"kv":{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yw=="},"prev_kv":{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"Yg=="}}]}}"#, "\n", r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"watch_id":"2","events":[{"kv":{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"Yg=="}},{"kv":{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yw=="},"prev_kv":{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"Yg=="}}]}}"#, "\n"),
    ],
    RangeStream::new(KeyRange::all()).page(2) => [
        r#"{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"2","value":"Yw=="},{"key":"//4AYQ==","create_revision":"4","mod_revision":"4","version":"1","value":"//4AYQ==","lease":"7"}],"count":"2"}"#,
    ],
    Observe::new("e").outage_limit(MINUTE) => [
        concat!(r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"kv":{"key":"ZS83","create_revision":"9","mod_revision":"9","version":"1","value":"dg==","lease":"7"}}}"#, "\n", r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"kv":{"key":"ZS83","create_revision":"9","mod_revision":"11","version":"2","value":"dw==","lease":"7"}}}"#, "\n", r#"{"error":{"code":14,"message":"error reading from server: EOF"}}"#, "\n", "\n"),
    ],
    KeepAlive::new(7) => [
        concat!(r#"{"result":{"header":{"cluster_id":"5","member_id":"7","revision":"9","raft_term":"2"},"ID":"7","TTL":"60"}}"#, "\n"),
    ],
    Snapshot::new() => [
        concat!(r#"{"result":{"remaining_bytes":"52","blob":"bm90IHJlYWxseSBhIGRhdGFiYXM="}}"#, "\n", r#"{"result":{"blob":"ZW5vdCByZWFsbHkgYSBkYXRhYmFzZW5vdCByZWFsbHkgYSBkYXRhYmFzZQ=="}}"#, "\n", r#"{"result":{"blob":"kUVSKm2LUXcF2Z0mvG+D3MVv4lj1iiInvcj8rpTC3nk="}}"#, "\n"),
    ],
};

/// Operations with several requests.
const OTHER_STREAMS: &[Decoder] = &[
    |client| items(client, Watch::new("a").outage_limit(MINUTE)),
    |client| {
        let mut mirror = client.v3().mirror(KeyRange::all());
        let mut reported = Vec::new();
        for _ in 0..5 {
            reported.push(one(block_on(mirror.next())));
        }
        reported
    },
    |client| {
        let (keeper, run) = client.v3().leases().keeper();
        let work = async {
            let lease = keeper.keep(7).await?;
            drop(keeper);
            Ok(lease.lost().await.to_string())
        };
        let (lost, ()) = block_on(futures::future::join(work, run));
        reported(lost)
    },
    |client| {
        let inside = client.v3().namespace("a");
        let watch = Watch::new(KeyRange::all())
            .from_revision(2)
            .outage_limit(MINUTE);
        let changes = inside.open(watch).take(5).map(one);
        [
            reported(block_on(inside.kv().range(KeyRange::all()))),
            block_on(changes.collect()),
        ]
        .concat()
    },
];

fn leader() -> LeaderKey {
    let mut leader = LeaderKey::default();
    leader.name = "e".into();
    leader.key = "e/7".into();
    leader
}

/// Responses of about `limit` bytes that take the most memory.
pub(crate) fn hostile(limit: usize) -> Vec<String> {
    let list = |head: &str, element: &str, tail: &str| {
        let room = limit - 40 - head.len() - tail.len();
        let elements = vec![element; room / (element.len() + 1)].join(",");
        format!("{head}{elements}{tail}")
    };
    let mut bodies = vec![
        list(r#"{"kvs":["#, "{}", "]}"),
        list(r#"{"kvs":["#, r#"{"key":"YQ"}"#, "]}"),
        list(r#"{"prev_kvs":["#, r#"{"key":"YQ"}"#, "]}"),
        list(r#"{"responses":["#, r#"{"response_put":{}}"#, "]}"),
        list(r#"{"responses":["#, r#"{"response_txn":{}}"#, "]}"),
        list(
            r#"{"responses":[{"response_range":{"kvs":["#,
            r#"{"key":"YQ"}"#,
            "]}}]}",
        ),
        list(r#"{"members":["#, "{}", "]}"),
        list(r#"{"members":[{"peerURLs":["#, r#""""#, "]}]}"),
        list(r#"{"leases":["#, "{}", "]}"),
        list(r#"{"keys":["#, r#""""#, r#"],"TTL":"1","grantedTTL":"1"}"#),
        list(r#"{"alarms":["#, "{}", "]}"),
        list(r#"{"errors":["#, r#""""#, "]}"),
        list(r#"{"users":["#, r#""""#, "]}"),
        list(r#"{"roles":["#, r#""""#, "]}"),
        list(r#"{"perm":["#, "{}", "]}"),
        list(
            r#"{"result":{"watch_id":"1","created":true}}{"result":{"watch_id":"1","events":["#,
            r#"{"kv":{"key":"YQ"}}"#,
            "]}}",
        ),
        list("", r#"{"result":{}}"#, "").replace(',', ""),
        format!(r#"{{"result":{{"blob":"{}"}}}}"#, "A".repeat(limit - 30)),
        "{\"x\":".repeat(limit / 5),
        "[".repeat(limit),
    ];
    // Without a header, a success is none, and is not decoded.
    for body in &mut bodies {
        for (start, with_header) in [
            (
                r#"{"result":{"#,
                r#"{"result":{"header":{"cluster_id":"5"},"#,
            ),
            ("{", r#"{"header":{"cluster_id":"5"},"#),
        ] {
            if body.starts_with(start) && !body.starts_with("{\"x\"") {
                body.replace_range(..start.len(), with_header);
                break;
            }
        }
    }
    bodies
}

/// Other responses.
const OTHER_SAMPLES: &[&str] = &[
    r#"{"error":"etcdserver: requested lease not found","message":"etcdserver: requested lease not found","code":5}"#,
    r#"{"error":"etcdserver: invalid auth token","code":16,"message":"etcdserver: invalid auth token"}"#,
    r#"{"code":9,"message":"etcdserver: lease already exists","details":[]}"#,
    r#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}}"#,
    r#"{"error":{"code":11,"message":"etcdserver: mvcc: required revision has been compacted"}}"#,
    r#"{"code":12,"message":"Method Not Allowed"}"#,
    "Not Found\n",
    "404 page not found\n",
    "",
    "\n",
    "{}",
];

const WORDS: &[&str] = &[
    "result",
    "header",
    "cluster_id",
    "member_id",
    "revision",
    "raft_term",
    "key",
    "value",
    "create_revision",
    "mod_revision",
    "version",
    "lease",
    "kvs",
    "more",
    "count",
    "prev_kv",
    "prev_kvs",
    "deleted",
    "succeeded",
    "responses",
    "response_range",
    "response_put",
    "response_delete_range",
    "response_txn",
    "ID",
    "TTL",
    "grantedTTL",
    "keys",
    "leases",
    "name",
    "leader",
    "rev",
    "watch_id",
    "created",
    "canceled",
    "compact_revision",
    "cancel_reason",
    "fragment",
    "events",
    "type",
    "kv",
    "PUT",
    "DELETE",
    "members",
    "member",
    "peerURLs",
    "clientURLs",
    "isLearner",
    "alarms",
    "memberID",
    "alarm",
    "NOSPACE",
    "CORRUPT",
    "dbSize",
    "dbSizeInUse",
    "dbSizeQuota",
    "storageVersion",
    "downgradeInfo",
    "enabled",
    "targetVersion",
    "raftIndex",
    "raftTerm",
    "raftAppliedIndex",
    "errors",
    "hash",
    "hash_revision",
    "authRevision",
    "token",
    "roles",
    "users",
    "perm",
    "permType",
    "READWRITE",
    "range_end",
    "blob",
    "remaining_bytes",
    "error",
    "message",
    "code",
    "grpc_code",
    "http_code",
    "details",
    "YQ==",
    "AA==",
    "1",
    "2",
    "7",
    "-1",
];
