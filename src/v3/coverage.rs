//! Checks the table in the documentation of [`v3`](crate::v3).

mod short_forms;

use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::{
    endpoints::wire::Wire,
    operation::Operation,
    pipeline::{
        answer::{Reply, Verdict},
        call::Repeat,
    },
    testing::AsRequest,
};

mod requests;

/// Every path of the gateway in etcd 3.5 and later, and whether it streams. From the gateway's description,
/// `rpc.swagger.json`, `v3lock.swagger.json` and `v3election.swagger.json`.
const PATHS: [(&str, bool); 51] = [
    ("/v3/kv/range", false),
    ("/v3/kv/put", false),
    ("/v3/kv/deleterange", false),
    ("/v3/kv/txn", false),
    ("/v3/kv/compaction", false),
    ("/v3/watch", true),
    ("/v3/lease/grant", false),
    ("/v3/lease/revoke", false),
    ("/v3/lease/keepalive", true),
    ("/v3/lease/timetolive", false),
    ("/v3/lease/leases", false),
    ("/v3/kv/lease/revoke", false),
    ("/v3/kv/lease/timetolive", false),
    ("/v3/kv/lease/leases", false),
    ("/v3/lock/lock", false),
    ("/v3/lock/unlock", false),
    ("/v3/election/campaign", false),
    ("/v3/election/proclaim", false),
    ("/v3/election/leader", false),
    ("/v3/election/observe", true),
    ("/v3/election/resign", false),
    ("/v3/cluster/member/add", false),
    ("/v3/cluster/member/remove", false),
    ("/v3/cluster/member/update", false),
    ("/v3/cluster/member/list", false),
    ("/v3/cluster/member/promote", false),
    ("/v3/maintenance/alarm", false),
    ("/v3/maintenance/status", false),
    ("/v3/maintenance/defragment", false),
    ("/v3/maintenance/hash", false),
    ("/v3/maintenance/hashkv", false),
    ("/v3/maintenance/snapshot", true),
    ("/v3/maintenance/transfer-leadership", false),
    ("/v3/maintenance/downgrade", false),
    ("/v3/auth/enable", false),
    ("/v3/auth/disable", false),
    ("/v3/auth/status", false),
    ("/v3/auth/authenticate", false),
    ("/v3/auth/user/add", false),
    ("/v3/auth/user/get", false),
    ("/v3/auth/user/list", false),
    ("/v3/auth/user/delete", false),
    ("/v3/auth/user/changepw", false),
    ("/v3/auth/user/grant", false),
    ("/v3/auth/user/revoke", false),
    ("/v3/auth/role/add", false),
    ("/v3/auth/role/get", false),
    ("/v3/auth/role/list", false),
    ("/v3/auth/role/delete", false),
    ("/v3/auth/role/grant", false),
    ("/v3/auth/role/revoke", false),
];

/// What etcd 3.4 does not have.
const SINCE_3_5: [&str; 3] = [
    "/v3/auth/status",
    "/v3/maintenance/downgrade",
    "/v3/maintenance/hashkv",
];

/// The table's rows: path, what is here, its short forms, whether it streams, since when.
fn table() -> Vec<[&'static str; 5]> {
    let documentation = include_str!("mod.rs").lines();
    let rows = documentation.filter_map(|line| line.strip_prefix("//! | `/v3/"));
    rows.map(|row| {
        let mut cells = row.split('|').map(str::trim);
        let mut next = || cells.next().unwrap();
        let path = next().trim_end_matches('`');
        [path, next(), next(), next(), next()]
    })
    .collect()
}

/// The path that the client uses instead of this one, which is equivalent.
fn asked(path: &str) -> String {
    match path.strip_prefix("kv/lease/") {
        Some(call) => format!("/v3/lease/{call}"),
        None => format!("/v3/{path}"),
    }
}

/// Every operation with one response, by its path.
fn operations() -> Vec<(String, &'static str)> {
    fn path<O: Operation>(operation: &O) -> (String, &'static str) {
        let name = std::any::type_name::<O>().rsplit("::").next().unwrap();
        (operation.request().unwrap().target().to_owned(), name)
    }
    let leader = LeaderKey {
        key: "k".into(),
        ..LeaderKey::default()
    };
    let permission = Permission::read("k");
    let urls = ["http://h:1"];
    vec![
        path(&Range::new("k")),
        path(&Put::new("k", "")),
        path(&DeleteRange::new("k")),
        path(&Txn::new()),
        path(&ExactlyOnce::new("k", Txn::new())),
        path(&Compact::new(1)),
        path(&GrantLease::new(Duration::from_secs(1))),
        path(&RevokeLease::new(1)),
        path(&KeepAliveOnce::new(1)),
        path(&GetTimeToLive::new(1)),
        path(&ListLeases::new()),
        path(&Lock::new("l", 1)),
        path(&Unlock::new("l/1")),
        path(&Campaign::new("e", 1, "")),
        path(&Proclaim::new(leader.clone(), "")),
        path(&GetLeader::new("e")),
        path(&Resign::new(leader)),
        path(&AddMember::new(urls)),
        path(&RemoveMember::new(1)),
        path(&UpdateMember::new(1, urls)),
        path(&ListMembers::new()),
        path(&PromoteMember::new(1)),
        path(&ListAlarms::new()),
        path(&SetAlarm::lift(AlarmKind::None)),
        path(&GetStatus::new()),
        path(&Defragment::new()),
        path(&GetHash::new()),
        path(&GetHashKv::new()),
        path(&TransferLeadership::new(1)),
        path(&Downgrade::cancel()),
        path(&EnableAuth::new()),
        path(&DisableAuth::new()),
        path(&GetAuthStatus::new()),
        path(&Authenticate::new("u", "p")),
        path(&AddUser::new("u", "p")),
        path(&GetUser::new("u")),
        path(&ListUsers::new()),
        path(&DeleteUser::new("u")),
        path(&ChangePassword::new("u", "p")),
        path(&GrantRole::new("u", "r")),
        path(&RevokeRole::new("u", "r")),
        path(&AddRole::new("r")),
        path(&GetRole::new("r")),
        path(&ListRoles::new()),
        path(&DeleteRole::new("r")),
        path(&GrantPermission::new("r", permission)),
        path(&RevokePermission::new("r", "k")),
    ]
}

#[test]
fn every_method_is_one_of_the_gateways_and_has_its_own_path_in_grpc() {
    let mut seen = std::collections::BTreeSet::new();
    for method in protocol::method::ALL {
        let is_known = PATHS.iter().any(|(path, _)| *path == method.gateway);
        assert!(is_known, "{}", method.gateway);
        let path = method.target(Wire::Grpc).as_str();
        assert!(seen.insert(path), "{path}");
    }
    // Leases have two paths each for three methods.
    assert_eq!(seen.len(), PATHS.len() - 3);
}

#[test]
fn a_success_without_a_cluster_counts_only_where_etcd_sends_none() {
    let without = [
        "/v3/maintenance/alarm",
        "/v3/maintenance/defragment",
        "/v3/maintenance/transfer-leadership",
    ];
    for method in protocol::method::ALL {
        let call = protocol::call("test", *method, Repeat::Always);
        let is_without = without.contains(&method.gateway);
        assert_eq!(call.names_cluster, !is_without, "{}", method.gateway);
        for (body, is_success) in [
            ("{}", is_without),
            (r#"{"header":{}}"#, is_without),
            (r#"{"header":{"cluster_id":"7"}}"#, true),
            (r#"{"result":{"header":{"cluster_id":"7"}}}"#, true),
            ("<h1>Welcome</h1>", is_without),
        ] {
            let reply = Reply {
                status: http::StatusCode::OK,
                headers: http::HeaderMap::new(),
                trailers: None,
                body: bytes::Bytes::from_static(body.as_bytes()),
            };
            let verdict = call.protocol.classify(&call, Wire::Http, &reply);
            let found = matches!(verdict, Verdict::Success { .. });
            assert_eq!(found, is_success, "{}: {body}", method.gateway);
        }
    }
}

#[test]
fn the_table_has_every_path_once() {
    let rows = table();
    let found: Vec<_> = rows
        .iter()
        .map(|[path, _, _, streams, _]| (format!("/v3/{path}"), *streams == "yes"))
        .collect();
    let expected = PATHS.map(|(path, streams)| (path.to_owned(), streams));
    assert_eq!(found, expected);
}

#[test]
fn the_table_says_since_when() {
    for [path, _, _, _, since] in table() {
        let is_new = SINCE_3_5.contains(&format!("/v3/{path}").as_str());
        assert_eq!(since, if is_new { "3.5" } else { "3.4" }, "{path}");
    }
}

#[test]
fn every_path_without_a_stream_has_its_operations_and_these_are_named() {
    let mut by_path: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (path, name) in operations() {
        by_path.entry(path).or_default().push(name);
    }
    for [path, here, _, streams, _] in table() {
        let path = asked(path);
        let names = by_path.get(&path).cloned().unwrap_or_default();
        assert!(streams == "yes" || !names.is_empty(), "{path}");
        assert!(here.starts_with("[`"), "{path}: nothing is named");
        for name in names {
            assert!(here.contains(&format!("[`{name}`]")), "{path}: {name}");
        }
    }
    for path in by_path.keys() {
        assert!(PATHS.iter().any(|(known, _)| known == path), "{path}");
    }
}
