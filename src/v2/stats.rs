use std::collections::BTreeMap;

use crate::{
    json::{Decode, decoded},
    pipeline::answer::Answer,
    v2::operation::bare_operation,
};

decoded! {
    /// The statistics of a member. <https://etcd.io/docs/v2.3/api/#self-statistics>
    #[derive(Clone, Debug, Default, PartialEq)]
    #[serde(rename_all = "camelCase")]
    pub struct SelfStats {
        /// The member's name.
        pub name: String,
        /// The member's id, up to 16 hexadecimal digits: etcd writes no leading zeros.
        pub id: String,
        /// The state: `StateLeader` or `StateFollower`. A leader that lost its quorum still reports `StateLeader`.
        pub state: String,
        /// When the member was started, in the format of RFC 3339.
        pub start_time: String,
        /// The leader, as the member knows it.
        #[serde(deserialize_with = "Decode::decode")]
        pub leader_info: LeaderInfo,
        /// The number of append requests received.
        #[serde(rename = "recvAppendRequestCnt")]
        pub received_appends: u64,
        /// The number of append requests sent.
        #[serde(rename = "sendAppendRequestCnt")]
        pub sent_appends: u64,
        /// Bytes received per second; only for a follower.
        #[serde(rename = "recvBandwidthRate", default)]
        pub received_bytes_rate: f64,
        /// Append requests received per second; only for a follower.
        #[serde(rename = "recvPkgRate", default)]
        pub received_rate: f64,
        /// Bytes sent per second; only for a leader with followers.
        #[serde(rename = "sendBandwidthRate", default)]
        pub sent_bytes_rate: f64,
        /// Append requests sent per second; only for a leader with followers.
        #[serde(rename = "sendPkgRate", default)]
        pub sent_rate: f64,
    }
}

decoded! {
    /// The leader, as a member knows it.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    #[serde(rename_all = "camelCase")]
    pub struct LeaderInfo {
        /// The leader's id, up to 16 hexadecimal digits: etcd writes no leading zeros.
        pub leader: String,
        /// How long it has been the leader, in Go's notation: `10m59.3s`.
        pub uptime: String,
        /// When it became the leader, in the format of RFC 3339.
        pub start_time: String,
    }
}

decoded! {
    /// The operation counters of a member since its start. <https://etcd.io/docs/v2.3/api/#store-statistics>
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    #[serde(rename_all = "camelCase", default)]
    pub struct StoreStats {
        /// Reads that found their key. Once auth was configured, each request adds one.
        pub gets_success: u64,
        /// Reads that did not find their key. Before auth was configured, each request adds one.
        pub gets_fail: u64,
        /// Files and directories set.
        pub sets_success: u64,
        /// Sets that were refused.
        pub sets_fail: u64,
        /// Deletes; also of `/`, which was refused.
        pub delete_success: u64,
        /// Deletes that were refused otherwise.
        pub delete_fail: u64,
        /// Updates; also of `/` and of directories with a value, which were refused.
        pub update_success: u64,
        /// Updates of keys that do not exist.
        pub update_fail: u64,
        /// Files and directories created.
        pub create_success: u64,
        /// Creates that were refused.
        pub create_fail: u64,
        /// Compare-and-swaps; also of `/`, which were refused.
        pub compare_and_swap_success: u64,
        /// Compare-and-swaps that were refused otherwise.
        pub compare_and_swap_fail: u64,
        /// Compare-and-deletes; also those whose condition did not hold.
        pub compare_and_delete_success: u64,
        /// Compare-and-deletes of keys that do not exist.
        pub compare_and_delete_fail: u64,
        /// Files and directories that expired.
        pub expire_count: u64,
        /// Watches that are open now.
        pub watchers: u64,
    }
}

decoded! {
    /// The leader's statistics of its followers. <https://etcd.io/docs/v2.3/api/#leader-statistics>
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct LeaderStats {
        /// The leader's id, up to 16 hexadecimal digits: etcd writes no leading zeros.
        pub leader: String,
        /// The followers, by id.
        #[serde(deserialize_with = "Decode::decode")]
        pub followers: BTreeMap<String, FollowerStats>,
    }
}

decoded! {
    /// The leader's statistics of one follower.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct FollowerStats {
        /// The latency of its responses.
        #[serde(deserialize_with = "Decode::decode")]
        pub latency: Latency,
        /// The number of successful and failed requests.
        #[serde(deserialize_with = "Decode::decode")]
        pub counts: Counts,
    }
}

decoded! {
    /// The latency of a follower's responses, in milliseconds.
    #[derive(Clone, Debug, Default, PartialEq)]
    #[serde(rename_all = "camelCase")]
    pub struct Latency {
        /// The last response.
        pub current: f64,
        /// The average of all responses.
        pub average: f64,
        /// The standard deviation.
        pub standard_deviation: f64,
        /// The fastest response.
        pub minimum: f64,
        /// The slowest response.
        pub maximum: f64,
    }
}

decoded! {
    /// The numbers of successful and failed requests to a follower.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Counts {
        /// Successful requests.
        pub success: u64,
        /// Failed requests.
        pub fail: u64,
    }
}

bare_operation! {
    /// Returns the statistics of the contacted member: `GET /v2/stats/self`.
    GetSelfStats {} -> SelfStats;
    "v2.stats.self", GET "/v2/stats/self", read, Answer::decode
}

bare_operation! {
    /// Returns the operation counters of the contacted member: `GET /v2/stats/store`.
    GetStoreStats {} -> StoreStats;
    "v2.stats.store", GET "/v2/stats/store", read, Answer::decode
}

bare_operation! {
    /// Returns the leader's statistics of its followers: `GET /v2/stats/leader`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::Forbidden`](crate::EtcdErrorKind::Forbidden) from any other member: find the leader with
    /// [`GetLeader`](super::GetLeader).
    GetLeaderStats {} -> LeaderStats;
    "v2.stats.leader", GET "/v2/stats/leader", read, Answer::decode
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    #[test]
    fn samples_of_the_documentation_are_read() {
        let Json(leader): Json<LeaderStats> = serde_json::from_str(
            r#"{"followers":{"6e3bd23ae5f1eae0":{"counts":{"fail":0,"success":745},"latency":{
                "average":0.017039507382550306,"current":0.000138,"maximum":1.007649,"minimum":0,
                "standardDeviation":0.05289178277920594}}},"leader":"924e2e83e93f2560"}"#,
        )
        .unwrap();
        let follower = &leader.followers["6e3bd23ae5f1eae0"];
        assert_eq!(
            (follower.counts.success, follower.latency.maximum),
            (745, 1.007649)
        );

        let Json(member): Json<SelfStats> = serde_json::from_str(
            r#"{"id":"eca0338f4ea31566","leaderInfo":{"leader":"8a69d5f6b7814500",
                "startTime":"2014-10-24T13:15:51.186620747-07:00","uptime":"10m59.322358947s"},
                "name":"node3","recvAppendRequestCnt":5944,"recvBandwidthRate":570.6254930219969,
                "recvPkgRate":9.00892789741075,"sendAppendRequestCnt":0,
                "startTime":"2014-10-24T13:15:50.072007085-07:00","state":"StateFollower"}"#,
        )
        .unwrap();
        assert_eq!((member.received_appends, member.sent_rate), (5944, 0.0));
        assert_eq!(member.leader_info.leader, "8a69d5f6b7814500");

        let Json(store): Json<StoreStats> = serde_json::from_str(
            r#"{"compareAndSwapFail":1,"createSuccess":6,"getsFail":4,"expireCount":2,"watchers":3}"#,
        )
        .unwrap();
        assert_eq!((store.compare_and_swap_fail, store.create_success), (1, 6));
        assert_eq!(
            (store.gets_fail, store.expire_count, store.watchers),
            (4, 2, 3)
        );
    }
}
