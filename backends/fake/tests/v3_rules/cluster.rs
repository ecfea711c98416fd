//! Members: V3-122 and V3-148.

use fake_harness::{Response, Subject};
use serde_json::Value;

use crate::{assert_refused, call, post, put, rules, without_ids};

/// Makes a change of the members after a write: before it, etcd may drop the change, see V3-122.
fn change(s: &mut dyn Subject, path: &str, body: &str) -> Response {
    put(s, "YQ==", "");
    post(s, &format!("cluster/member/{path}"), body)
}

#[track_caller]
fn changed(s: &mut dyn Subject, path: &str, body: &str) -> Value {
    let reply = change(s, path, body);
    assert_eq!(reply.status, 200, "{path} {body}: {}", reply.text());
    without_ids(reply.json())
}

rules! {
    fn v3_148_a_learner_is_promoted_once_it_is_in_sync(s) {
        let members = call(s, "cluster/member/list", "{}")["members"].take();
        let own = members[0]["ID"].as_str().unwrap().to_owned();
        let promote = |id: &str| format!(r#"{{"ID":"{id}"}}"#);
        let message = "etcdserver: can only promote a learner member";
        assert_refused(&change(s, "promote", &promote(&own)), 9, message);
        assert_refused(&change(s, "promote", &promote("5")), 5, "etcdserver: member not found");
        let added = changed(s, "add", r#"{"peerURLs":["http://127.0.0.1:1"],"isLearner":true}"#);
        assert_eq!((&added["member"]["isLearner"], added["members"].as_array().unwrap().len()), (&true.into(), 2));
        let another = r#"{"peerURLs":["http://127.0.0.1:2"],"isLearner":true}"#;
        assert_refused(&change(s, "add", another), 9, "etcdserver: too many learner members in cluster");
        let learner = added["member"]["ID"].as_str().unwrap();
        let message = "etcdserver: can only promote a learner member which is in sync with leader";
        assert_refused(&change(s, "promote", &promote(learner)), 9, message);
        let target = format!(r#"{{"targetID":"{learner}"}}"#);
        assert_refused(&post(s, "maintenance/transfer-leadership", &target), 9, "etcdserver: bad leader transferee");
        let update = format!(r#"{{"ID":"{learner}","peerURLs":["http://127.0.0.1:3"]}}"#);
        let updated = changed(s, "update", &update);
        let listed = updated["members"].as_array().unwrap().iter().find(|member| member["ID"] == learner);
        assert_eq!(listed.unwrap().get("isLearner"), None);
        let removed = changed(s, "remove", &promote(learner));
        assert_eq!(removed["members"].as_array().unwrap().len(), 1);
    }

    fn v3_122_a_change_of_the_members_may_be_refused(s) {
        for body in ["{}", r#"{"peerURLs":["x"]}"#] {
            let message = "etcdserver: given member URLs are invalid";
            assert_refused(&change(s, "add", body), 3, message);
        }
        let members = call(s, "cluster/member/list", "{}")["members"].take();
        let own = format!(r#"{{"peerURLs":{}}}"#, members[0]["peerURLs"]);
        let message = "etcdserver: Peer URLs already exists";
        assert_refused(&change(s, "add", &own), 9, message);
        let update = r#"{"ID":5,"peerURLs":["http://a:1"]}"#;
        assert_refused(&change(s, "update", update), 5, "etcdserver: member not found");
        assert_refused(&change(s, "remove", r#"{"ID":5}"#), 5, "etcdserver: member not found");
        let same = format!(r#"{{"ID":{},{}"#, members[0]["ID"], &own[1..]);
        let updated = changed(s, "update", &same);
        assert_eq!((updated["header"].to_string(), &updated["members"]), ("{}".to_owned(), &members));
    }

    fn v3_122_only_3_5_knows_the_field_of_a_list(s) {
        let reply = post(s, "cluster/member/list", r#"{"linearizable":"x"}"#);
        assert_eq!(reply.status, if s.is_3_4() { 200 } else { 400 });
        call(s, "cluster/member/list", r#"{"linearizable":true}"#);
    }

    fn v3_122_members_are_listed_by_their_ids(s) {
        let mut orders = Vec::new();
        // The id of a new member is random.
        for port in 1..=6 {
            let body = format!(r#"{{"peerURLs":["http://127.0.0.1:{port}"],"isLearner":true}}"#);
            let added = changed(s, "add", &body);
            let listed = call(s, "cluster/member/list", "{}")["members"].take();
            assert_eq!(added["members"], listed);
            let ids = listed.as_array().unwrap().iter().map(|member| member["ID"].as_str().unwrap());
            orders.push(ids.map(|id| id.parse().unwrap()).collect::<Vec<u64>>());
            changed(s, "remove", &format!(r#"{{"ID":{}}}"#, added["member"]["ID"]));
        }
        assert!(orders.iter().all(|ids| ids.is_sorted()), "{orders:?}");
    }

    fn v3_122_an_update_takes_any_urls_as_they_are(s) {
        let own = call(s, "cluster/member/list", "{}")["members"][0]["ID"].take();
        for urls in [r#"["http://b:1","http://a:1"]"#, r#"["nonsense",""]"#, r#"["http://a:1/path","http://a"]"#, "[]"] {
            let unknown = format!(r#"{{"ID":5,"peerURLs":{urls}}}"#);
            assert_refused(&change(s, "update", &unknown), 5, "etcdserver: member not found");
            let updated = changed(s, "update", &format!(r#"{{"ID":{own},"peerURLs":{urls}}}"#));
            let stored = updated["members"][0].get("peerURLs").map_or("[]".to_owned(), Value::to_string);
            assert_eq!(stored, urls);
        }
    }
}
