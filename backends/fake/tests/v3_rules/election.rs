//! Elections: V3-101, V3-105 and V3-106.

use crate::{Request, Subject, assert_refused, call, message, post, rules};

rules! {
    fn v3_105_a_campaign_makes_a_leader_who_proclaims_and_resigns(s) {
        assert_refused(&post(s, "election/leader", r#"{"name":"eA=="}"#), 2, "election: no leader");
        call(s, "lease/grant", r#"{"ID":99,"TTL":1000}"#);
        let campaign = |value: &str| format!(r#"{{"name":"eA==","value":"{value}","lease":99}}"#);
        let won = r#"{"header":{"revision":"2"},"leader":{"key":"eC82Mw==","lease":"99","name":"eA==","rev":"2"}}"#;
        assert_eq!(call(s, "election/campaign", &campaign("djE=")).to_string(), won);
        assert_eq!(call(s, "election/campaign", &campaign("djE=")).to_string(), won);
        // Another value is proclaimed, under the header of the response before.
        assert_eq!(call(s, "election/campaign", &campaign("djI=")).to_string(), won);
        let leader = call(s, "election/leader", r#"{"name":"eA=="}"#);
        assert_eq!((&leader["kv"]["value"], &leader["kv"]["version"]), (&"djI=".into(), &"2".into()));
        let key = r#""leader":{"name":"eA==","key":"eC82Mw==","rev":"2","lease":"99"}"#;
        assert_eq!(call(s, "election/proclaim", &format!(r#"{{{key},"value":"djM="}}"#))["header"]["revision"], "4");
        assert_eq!(call(s, "election/resign", &format!("{{{key}}}"))["header"]["revision"], "5");
        assert_eq!(call(s, "election/resign", &format!("{{{key}}}"))["header"]["revision"], "5");
        assert_refused(&post(s, "election/proclaim", &format!("{{{key}}}")), 2, "election: not leader");
    }

    /// Also where another lease, or another leader, has the key.
    fn v3_105_who_proclaims_or_resigns_without_a_lease_gets_one(s) {
        call(s, "lease/grant", r#"{"ID":99,"TTL":1000}"#);
        call(s, "election/campaign", r#"{"name":"eA==","lease":99}"#);
        let leases = |s: &mut dyn Subject| call(s, "lease/leases", "{}")["leases"].as_array().unwrap().len();
        let leader = |revision: u32| format!(r#""leader":{{"name":"eA==","key":"eC82Mw==","rev":"{revision}"}}"#);
        call(s, "election/proclaim", &format!(r#"{{{},"value":"djI="}}"#, leader(2)));
        assert_eq!(leases(s), 2);
        let kv = call(s, "kv/range", r#"{"key":"eC82Mw=="}"#)["kvs"][0].take();
        assert_eq!(kv["value"], "djI=");
        let lease = kv["lease"].as_str().unwrap();
        let granted = call(s, "lease/timetolive", &format!(r#"{{"ID":"{lease}"}}"#));
        assert_eq!((lease == "99", &granted["grantedTTL"]), (false, &"60".into()));
        assert_refused(&post(s, "election/proclaim", &format!("{{{}}}", leader(7))), 2, "election: not leader");
        assert_eq!(leases(s), 3);
        assert_eq!(call(s, "election/resign", &format!("{{{}}}", leader(2)))["header"]["revision"], "4");
        assert_eq!(leases(s), 4);
    }

    fn v3_106_an_observation_has_a_message_for_each_proclamation(s) {
        call(s, "lease/grant", r#"{"ID":99,"TTL":1000}"#);
        call(s, "election/campaign", r#"{"name":"eA==","value":"djE=","lease":99}"#);
        let observe = Request::new("POST", "/v3/election/observe").json(r#"{"name":"eA=="}"#);
        let (reply, mut watching) = s.watch(&observe);
        assert_eq!(reply.status, 200);
        let first = message(&mut *watching);
        let kv = r#"{"create_revision":"2","key":"eC82Mw==","lease":"99","mod_revision":"2","value":"djE=","version":"1"}"#;
        assert_eq!((first["kv"].to_string(), &first["header"]["revision"]), (kv.to_owned(), &"2".into()));
        let key = r#""leader":{"name":"eA==","key":"eC82Mw==","rev":"2","lease":"99"}"#;
        call(s, "election/proclaim", &format!(r#"{{{key},"value":"djI="}}"#));
        let second = message(&mut *watching);
        assert_eq!((&second["kv"]["value"], &second["header"]["revision"]), (&"djI=".into(), &"3".into()));
        // Nothing is said about the end of a term, and the next leader is.
        call(s, "election/resign", &format!("{{{key}}}"));
        assert!(watching.is_silent());
        call(s, "lease/grant", r#"{"ID":98,"TTL":1000}"#);
        call(s, "election/campaign", r#"{"name":"eA==","value":"djM=","lease":98}"#);
        let third = message(&mut *watching);
        assert_eq!((&third["kv"]["value"], &third["header"]["revision"]), (&"djM=".into(), &"5".into()));
    }

    fn v3_101_an_error_of_an_election_has_no_code_of_its_own(s) {
        for path in ["election/proclaim", "election/resign"] {
            assert_refused(&post(s, path, "{}"), 2, "\"leader\" field must be provided");
        }
        let reply = post(s, "election/campaign", r#"{"name":"eA==","lease":5}"#);
        assert_refused(&reply, 2, "etcdserver: requested lease not found");
    }
}
