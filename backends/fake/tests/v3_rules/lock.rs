//! Locks: V3-101 to V3-104.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{assert_refused, call, post, put, rules};

rules! {
    fn v3_101_an_error_of_a_lock_has_no_code_of_its_own(s) {
        let reply = post(s, "lock/lock", r#"{"name":"YQ==","lease":7}"#);
        assert_eq!(reply.status, 500);
        assert_refused(&reply, 2, "etcdserver: requested lease not found");
    }

    fn v3_102_the_key_of_a_lock_is_made_of_its_name_and_lease(s) {
        call(s, "lease/grant", r#"{"ID":-4,"TTL":100}"#);
        let answer = call(s, "lock/lock", r#"{"name":"YQ==","lease":-4}"#);
        let key = STANDARD.encode("a/-4");
        assert_eq!(answer["key"], *key);
        let again = call(s, "lock/lock", r#"{"name":"YQ==","lease":-4}"#);
        assert_eq!(again["key"], *key);
        let orphan = call(s, "lock/lock", "{}");
        let key = STANDARD.decode(orphan["key"].as_str().unwrap()).unwrap();
        assert!(key.starts_with(b"/"));
        let leases = call(s, "lease/leases", "{}");
        assert_eq!(leases["leases"].as_array().unwrap().len(), 2);
    }

    fn v3_104_unlock_deletes_any_key_and_even_none(s) {
        put(s, "YQ==", "");
        assert_eq!(call(s, "lock/unlock", r#"{"key":"YQ=="}"#)["header"]["revision"], "3");
        assert_eq!(call(s, "lock/unlock", r#"{"key":"YQ=="}"#)["header"]["revision"], "3");
    }
}
