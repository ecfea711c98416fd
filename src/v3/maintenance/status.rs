use crate::v3::{Header, protocol::message};

message::empty! {
    /// Returns the status of a member: `POST /v3/maintenance/status`. The member responds even without a quorum.
    GetStatus;
}

crate::v3::protocol::operation!(GetStatus => StatusResponse, "v3.maintenance.status", STATUS, Always);

/// The status of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusResponse {
    /// The header of the response.
    pub header: Header,
    /// Its etcd version, such as `3.5.16`.
    pub version: String,
    /// The size of its database, in bytes.
    pub db_size: i64,
    /// The used part of the database, in bytes. [`Defragment`](super::Defragment) frees the rest.
    pub db_size_in_use: i64,
    /// The quota of the database, in bytes. Since etcd 3.6; 0 before.
    pub db_size_quota: i64,
    /// The id of the leader as the member knows it; 0 if it knows none.
    pub leader: u64,
    /// The index of the last entry in its log.
    pub raft_index: u64,
    /// The member's raft term.
    pub raft_term: u64,
    /// The index of the last applied entry.
    pub raft_applied_index: u64,
    /// Problems in etcd's words, such as `etcdserver: no leader` or `memberID:7 alarm:NOSPACE `.
    pub errors: Vec<String>,
    /// Whether it is a learner: a member without a vote.
    pub is_learner: bool,
    /// The version of the database's format. Since etcd 3.6; empty before.
    pub storage_version: String,
    /// The state of a downgrade. Since etcd 3.6; `None` before, or if the member does not report it.
    pub downgrade_info: Option<DowngradeInfo>,
}

/// The state of a downgrade of the cluster. See [`Downgrade`](super::Downgrade).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DowngradeInfo {
    /// Whether a downgrade is in progress.
    pub enabled: bool,
    /// The target version; empty if no downgrade is in progress.
    pub target_version: String,
}

message::decode!(DowngradeInfo {
    1 "enabled" => enabled,
    2 "targetVersion" => target_version,
});

message::decode!(StatusResponse {
    1 "header" => header,
    2 "version" => version,
    3 "dbSize" => db_size,
    9 "dbSizeInUse" => db_size_in_use,
    12 "dbSizeQuota" => db_size_quota,
    4 "leader" => leader,
    5 "raftIndex" => raft_index,
    6 "raftTerm" => raft_term,
    7 "raftAppliedIndex" => raft_applied_index,
    8 "errors" => errors,
    10 "isLearner" => is_learner,
    11 "storageVersion" => storage_version,
    13 "downgradeInfo" => downgrade_info,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, body, decoded};

    #[test]
    fn the_request_and_its_responses_are_as_documented() {
        assert_eq!(
            GetStatus::new().request().unwrap().target(),
            "/v3/maintenance/status"
        );
        assert_eq!(body(&GetStatus::new()), "{}");
        let json = r#"{"header":{"cluster_id":"11420056713333806591", "member_id":"7445599390133392379", "revision":"7", "raft_term":"2"}, "version":"3.5.16", "dbSize":"24576", "leader":"7445599390133392379", "raftIndex":"36", "raftTerm":"2", "raftAppliedIndex":"35", "errors":["alarm:NOSPACE "], "dbSizeInUse":"20480"}"#;
        let status = decoded(&GetStatus::new(), 200, json).unwrap();
        assert_eq!(status.leader, status.header.member_id);
        assert_eq!((status.db_size, status.db_size_in_use), (24576, 20480));
        assert_eq!((status.raft_index, status.raft_applied_index), (36, 35));
        assert_eq!((status.version.as_str(), status.raft_term), ("3.5.16", 2));
        assert_eq!(status.errors, ["alarm:NOSPACE "]);
        assert_eq!((status.db_size_quota, status.downgrade_info), (0, None));
    }

    #[test]
    fn what_etcd_3_6_says_besides_is_read() {
        let json = r#"{"header":{"cluster_id":"14841639068965178418", "member_id":"10276657743932975437", "revision":"1", "raft_term":"2"}, "version":"3.6.0", "dbSize":"20480", "leader":"10276657743932975437", "raftIndex":"4", "raftTerm":"2", "raftAppliedIndex":"4", "dbSizeInUse":"16384", "storageVersion":"3.6.0", "dbSizeQuota":"2147483648", "downgradeInfo":{}}"#;
        let status = decoded(&GetStatus::new(), 200, json).unwrap();
        assert_eq!(
            (status.storage_version.as_str(), status.db_size_quota),
            ("3.6.0", 2_147_483_648)
        );
        assert_eq!(status.downgrade_info, Some(DowngradeInfo::default()));

        let json = json.replace(
            r#""downgradeInfo":{}"#,
            r#""downgradeInfo":{"enabled":true, "targetVersion":"3.5.0"}"#,
        );
        let info = decoded(&GetStatus::new(), 200, &json)
            .unwrap()
            .downgrade_info;
        let info = info.unwrap();
        assert_eq!(
            (info.enabled, info.target_version.as_str()),
            (true, "3.5.0")
        );
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.StatusRequest")
            .send(&GetStatus::new())
            .all_fields_but(&[]);
        response::<StatusResponse>("etcdserverpb.StatusResponse", &[]);
    }
}
