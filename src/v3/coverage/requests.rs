//! Checks that every gateway accepts the requests. The newer one accepts base64 of any kind and rejects a field that
//! occurs twice; the older one is the other way round. Every request has the form that both accept.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::Method;
use serde_json::{Map, Value};

use super::*;
use crate::testing::HttpRequest;

/// Every operation with one response, with all its options.
fn calls() -> Vec<HttpRequest> {
    fn call<O: Operation>(operation: O) -> HttpRequest {
        operation.request().unwrap()
    }
    let leader = LeaderKey {
        name: "e".into(),
        key: "e/1".into(),
        rev: 7,
        lease: 1.into(),
    };
    let permission = Permission::read_write(KeyRange::prefix([0xfb, 0xff]));
    let urls = ["http://h:1"];
    let range = Range::new(KeyRange::between("a", [0xff; 5]))
        .limit(i64::MAX)
        .revision(2)
        .sort(SortTarget::Value, SortOrder::Descend)
        .serializable(true)
        .keys_only(true)
        .min_mod_revision(1)
        .max_mod_revision(9)
        .min_create_revision(1)
        .max_create_revision(9);
    let put = Put::new([0, 0xff, 0xfe], "v").lease(-1).prev_kv(true);
    let delete = DeleteRange::new(KeyRange::starting_at("d")).prev_kv(true);
    let txn = Txn::new()
        .when(Compare::version("a").equal(0))
        .when(Compare::create_revision("a").greater(1))
        .when(Compare::mod_revision("a").less(2))
        .when(Compare::value(KeyRange::prefix("a")).not_equal([0xff, 0xef]))
        .when(Compare::lease("a").not_equal(i64::MIN))
        .then(put.clone())
        .then(Txn::new().otherwise(range.clone()))
        .otherwise(delete.clone());
    vec![
        call(range),
        call(put),
        call(Put::keep_value("k").keep_lease(true)),
        call(delete),
        call(ExactlyOnce::new("k", txn.clone())),
        call(txn),
        call(Compact::new(i64::MAX)),
        call(GrantLease::new(Duration::from_secs(9)).id(i64::MIN)),
        call(RevokeLease::new(i64::MIN)),
        call(KeepAliveOnce::new(1)),
        call(GetTimeToLive::new(1).keys(true)),
        call(ListLeases::new()),
        call(Lock::new([0xff, 0xfe], 1)),
        call(Unlock::new("l/1")),
        call(Campaign::new([0xff, 0xfe], 1, "v")),
        call(Proclaim::new(leader.clone(), "v")),
        call(GetLeader::new("e")),
        call(Resign::new(leader)),
        call(AddMember::new(urls).learner(true)),
        call(RemoveMember::new(u64::MAX)),
        call(UpdateMember::new(1, urls)),
        call(ListMembers::new().linearizable(true)),
        call(PromoteMember::new(1)),
        call(ListAlarms::new()),
        call(SetAlarm::raise(AlarmKind::NoSpace).member(u64::MAX)),
        call(GetStatus::new()),
        call(Defragment::new()),
        call(GetHash::new()),
        call(GetHashKv::new().revision(7)),
        call(TransferLeadership::new(u64::MAX)),
        call(Downgrade::enable("3.4.0")),
        call(EnableAuth::new()),
        call(DisableAuth::new()),
        call(GetAuthStatus::new()),
        call(Authenticate::new("u", "p\"\\\u{7f}ü")),
        call(AddUser::without_password("u")),
        call(GetUser::new("u")),
        call(ListUsers::new()),
        call(DeleteUser::new("u")),
        call(ChangePassword::new("u", "p")),
        call(GrantRole::new("u", "r")),
        call(RevokeRole::new("u", "r")),
        call(AddRole::new("r")),
        call(GetRole::new("r")),
        call(ListRoles::new()),
        call(DeleteRole::new("r")),
        call(GrantPermission::new("r", permission)),
        call(RevokePermission::new("r", KeyRange::all())),
    ]
}

#[test]
fn v3_1_3_every_call_is_a_post_of_json_and_of_two_paths_to_one_call_one_is_asked() {
    let mut asked = BTreeSet::new();
    for call in calls() {
        assert_eq!(call.method(), Method::POST, "{call:?}");
        assert_eq!(call.content_type(), Some("application/json"), "{call:?}");
        asked.insert(call.target().to_owned());
    }
    let known = PATHS.iter().filter(|(_, streams)| !streams);
    let known = known.filter(|(path, _)| !path.starts_with("/v3/kv/lease/"));
    let mut expected: BTreeSet<_> = known.map(|(path, _)| (*path).to_owned()).collect();
    // It streams, and ends with the request.
    expected.insert("/v3/lease/keepalive".to_owned());
    assert_eq!(asked, expected);
}

#[test]
fn v3_5_6_every_request_is_of_the_form_that_every_gateway_takes() {
    for call in calls() {
        let body = str::from_utf8(call.body_bytes()).unwrap();
        let json: Value = serde_json::from_str(body).unwrap();
        // No field occurs twice, and nothing follows the message.
        assert_eq!(json.to_string().len(), body.len(), "{body}");
        check(&json, body);
    }
}

fn check(json: &Value, body: &str) {
    match json {
        Value::Object(message) => {
            assert!(message.keys().all(|name| is_a_protos(name)), "{body}");
            assert!(BYTES.iter().all(|name| is_base64(message, name)), "{body}");
            assert!(has_one_at_most(json, OPERATIONS), "{body}");
            let compares = message.get("compare").and_then(Value::as_array);
            for compare in compares.into_iter().flatten() {
                assert!(has_one_at_most(compare, COMPARED), "{body}");
            }
            message.values().for_each(|value| check(value, body));
        }
        Value::Array(values) => values.iter().for_each(|value| check(value, body)),
        // Integers are strings, enumerations are names.
        Value::Number(_) | Value::Null => panic!("{json} in {body}"),
        Value::String(_) | Value::Bool(_) => {}
    }
}

/// The kind of an operation in a transaction.
const OPERATIONS: &[&str] = &[
    "request_range",
    "request_put",
    "request_delete_range",
    "request_txn",
];

/// The value of a comparison.
const COMPARED: &[&str] = &[
    "version",
    "create_revision",
    "mod_revision",
    "value",
    "lease",
];

fn has_one_at_most(message: &Value, names: &[&str]) -> bool {
    let given = names.iter().filter(|name| message.get(**name).is_some());
    given.count() < 2
}

/// The fields of type bytes, in all messages.
const BYTES: [&str; 3] = ["key", "range_end", "value"];

fn is_base64(message: &Map<String, Value>, name: &str) -> bool {
    let text = message.get(name).map(|value| value.as_str().unwrap());
    text.is_none_or(|text| BASE64_STANDARD.decode(text).is_ok())
}

/// Returns whether a name is spelled as in etcd's `.proto` files, not as protobuf's JSON would have it.
fn is_a_protos(name: &str) -> bool {
    const ODD: [&str; 7] = [
        "ID",
        "TTL",
        "memberID",
        "targetID",
        "permType",
        "peerURLs",
        "isLearner",
    ];
    let snake = |letter: u8| letter.is_ascii_lowercase() || letter == b'_';
    name.bytes().all(snake) || ODD.contains(&name)
}
