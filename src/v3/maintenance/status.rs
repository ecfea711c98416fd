use crate::{
    operation::Repeat,
    v3::{Header, protocol::gateway},
};

gateway::empty! {
    /// Asks a member how it is: `POST /v3/maintenance/status`. It answers by itself, without a quorum, too.
    GetStatus;
}

gateway::operation!(
    GetStatus => StatusResponse, "v3.maintenance.status", "/v3/maintenance/status", |_| Repeat::Always
);

/// How a member is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusResponse {
    /// Who answered.
    pub header: Header,
    /// Its version: `3.5.16`.
    pub version: String,
    /// How large its database is, in bytes.
    pub db_size: i64,
    /// How much of that is used, in bytes. [`Defragment`](super::Defragment) gives the rest back.
    pub db_size_in_use: i64,
    /// The quota of the database, in bytes. From etcd 3.6 on; 0 before.
    pub db_size_quota: i64,
    /// The id of the member that it takes for the leader; 0 when it knows none.
    pub leader: u64,
    /// The index of the last entry in its log.
    pub raft_index: u64,
    /// The term it is in.
    pub raft_term: u64,
    /// The index of the last entry that it applied.
    pub raft_applied_index: u64,
    /// What is wrong, in etcd's words: `etcdserver: no leader`, `memberID:7 alarm:NOSPACE `.
    pub errors: Vec<String>,
    /// Whether it has no vote yet, and only learns.
    pub is_learner: bool,
    /// The version of the database's format. From etcd 3.6 on; empty before.
    pub storage_version: String,
    /// Whether the cluster is on its way to an older version. From etcd 3.6 on; `None` before, or when it does not say.
    pub downgrade_info: Option<DowngradeInfo>,
}

/// A cluster on its way to an older version of etcd, or not: see [`Downgrade`](super::Downgrade).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DowngradeInfo {
    /// Whether it is.
    pub enabled: bool,
    /// Which version that is; empty when it is not.
    pub target_version: String,
}

gateway::decode!(DowngradeInfo {
    "enabled" => enabled,
    "targetVersion" => target_version,
});

gateway::decode!(StatusResponse {
    "header" => header,
    "version" => version,
    "dbSize" => db_size,
    "dbSizeInUse" => db_size_in_use,
    "dbSizeQuota" => db_size_quota,
    "leader" => leader,
    "raftIndex" => raft_index,
    "raftTerm" => raft_term,
    "raftAppliedIndex" => raft_applied_index,
    "errors" => errors,
    "isLearner" => is_learner,
    "storageVersion" => storage_version,
    "downgradeInfo" => downgrade_info,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::Operation,
        v3::testing::{body, decoded},
    };

    #[test]
    fn the_request_and_its_answers_are_as_documented() {
        assert_eq!(
            GetStatus::new().encode().unwrap().target(),
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
}
