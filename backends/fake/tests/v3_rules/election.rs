//! Elections: V3-101 and V3-105.

use crate::{assert_refused, call, post, rules};

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

    fn v3_101_an_error_of_an_election_has_no_code_of_its_own(s) {
        for path in ["election/proclaim", "election/resign"] {
            assert_refused(&post(s, path, "{}"), 2, "\"leader\" field must be provided");
        }
        let told = post(s, "election/campaign", r#"{"name":"eA==","lease":5}"#);
        assert_refused(&told, 2, "etcdserver: requested lease not found");
    }
}
