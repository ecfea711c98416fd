//! Members: V3-122.

use crate::{assert_refused, call, post, rules};

rules! {
    fn v3_122_a_change_of_the_members_may_be_refused(s) {
        for body in ["{}", r#"{"peerURLs":["x"]}"#] {
            let message = "etcdserver: given member URLs are invalid";
            assert_refused(&post(s, "cluster/member/add", body), 3, message);
        }
        let members = call(s, "cluster/member/list", "{}")["members"].take();
        let own = format!(r#"{{"peerURLs":{}}}"#, members[0]["peerURLs"]);
        let message = "etcdserver: Peer URLs already exists";
        assert_refused(&post(s, "cluster/member/add", &own), 9, message);
        let update = r#"{"ID":5,"peerURLs":["http://a:1"]}"#;
        assert_refused(&post(s, "cluster/member/update", update), 5, "etcdserver: member not found");
        assert_refused(&post(s, "cluster/member/remove", r#"{"ID":5}"#), 5, "etcdserver: member not found");
        let same = format!(r#"{{"ID":{},{}"#, members[0]["ID"], &own[1..]);
        let updated = call(s, "cluster/member/update", &same);
        assert_eq!((updated["header"].to_string(), &updated["members"]), ("{}".to_owned(), &members));
    }
}
