//! The `.proto` files of this crate are etcd's own, as the crate etcd-client has them and generates its types from
//! them.

use std::{env, fmt::Debug, path::PathBuf, process::Command};

use etcd_client::proto;
use etcd_http_peers::{
    DynamicMessage, Message, Random, SCHEMA, from_protobuf, message, schema, to_json,
};
use prost_reflect::{DescriptorPool, MessageDescriptor};

/// Where the sources of etcd-client are.
fn etcd_client() -> PathBuf {
    let cargo = env::var_os("CARGO").expect("cargo runs this test");
    let metadata = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let stderr = String::from_utf8_lossy(&metadata.stderr);
    assert!(metadata.status.success(), "{stderr}");
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages
        .iter()
        .find(|package| package["name"] == "etcd-client");
    let manifest = package.unwrap()["manifest_path"].as_str().unwrap();
    PathBuf::from(manifest).parent().unwrap().to_owned()
}

fn theirs() -> DescriptorPool {
    let directory = etcd_client().join("proto");
    let files = [
        "etcd/api/mvccpb/kv.proto",
        "etcd/api/authpb/auth.proto",
        "etcd/api/etcdserverpb/rpc.proto",
        "etcd/server/etcdserver/api/v3lock/v3lockpb/v3lock.proto",
        "etcd/server/etcdserver/api/v3election/v3electionpb/v3election.proto",
    ];
    schema(directory.to_str().unwrap(), &files)
}

/// Everything about a message that appears on the wire: names, tags, types, lists, and mutually exclusive fields.
fn fields(message: &MessageDescriptor) -> Vec<String> {
    let fields = message.fields().map(|field| {
        let one_of = field
            .containing_oneof()
            .map(|one_of| one_of.name().to_owned());
        let values = field.kind().as_enum().map(|kind| {
            let values = kind.values();
            values
                .map(|value| (value.name().to_owned(), value.number()))
                .collect::<Vec<_>>()
        });
        format!(
            "{} = {}: {:?} {:?} {one_of:?} {values:?} packed {}",
            field.name(),
            field.number(),
            field.kind(),
            field.cardinality(),
            field.is_packed()
        )
    });
    fields.collect()
}

/// The methods of all services, with their input and output.
fn methods(pool: &DescriptorPool) -> Vec<String> {
    let services = pool.services();
    let methods = services.flat_map(|service| {
        let methods = service.methods().map(|method| {
            let (input, output) = (method.input(), method.output());
            format!(
                "{} {} {} {} {}",
                method.full_name(),
                input.full_name(),
                method.is_client_streaming(),
                output.full_name(),
                method.is_server_streaming()
            )
        });
        methods.collect::<Vec<_>>()
    });
    let mut methods: Vec<_> = methods.collect();
    methods.sort();
    methods
}

#[test]
fn the_schema_is_etcds() {
    let theirs = theirs();
    let is_etcds = |name: &str| {
        [
            "mvccpb.",
            "authpb.",
            "etcdserverpb.",
            "v3lockpb.",
            "v3electionpb.",
        ]
        .iter()
        .any(|package| name.starts_with(package))
    };
    let mut count = 0;
    for message in theirs
        .all_messages()
        .filter(|message| is_etcds(message.full_name()))
    {
        let ours = SCHEMA.get_message_by_name(message.full_name());
        assert_eq!(
            ours.as_ref().map(fields),
            Some(fields(&message)),
            "{}",
            message.full_name()
        );
        count += 1;
    }
    assert_eq!(count, SCHEMA.all_messages().count());
    assert_eq!(methods(&SCHEMA), methods(&theirs));
}

/// A random message goes through the generated type, and is the same afterwards.
fn through<M: Message + Default + Debug>(name: &str) {
    for seed in 0..100 {
        let sent = Random::new(seed).message(&message(name));
        let sent = from_protobuf(name, &sent.encode_to_vec()).unwrap();
        let read = M::decode(&sent.encode_to_vec()[..]).unwrap();
        let back = DynamicMessage::decode(message(name), &read.encode_to_vec()[..]).unwrap();
        assert_eq!(to_json(&back), to_json(&sent), "{read:?}");
        assert_eq!(back.unknown_fields().count(), 0, "{read:?}");
    }
}

macro_rules! generated {
    ($($name:literal => $type:ident),+ $(,)?) => {
        #[test]
        fn the_generated_types_have_the_same_messages() {
            $(through::<proto::$type>($name);)+
        }
    };
}

generated! {
    "etcdserverpb.AlarmMember" => PbAlarmMember,
    "etcdserverpb.AlarmRequest" => PbAlarmRequest,
    "etcdserverpb.AlarmResponse" => PbAlarmResponse,
    "etcdserverpb.AuthDisableRequest" => PbAuthDisableRequest,
    "etcdserverpb.AuthDisableResponse" => PbAuthDisableResponse,
    "etcdserverpb.AuthEnableRequest" => PbAuthEnableRequest,
    "etcdserverpb.AuthEnableResponse" => PbAuthEnableResponse,
    "etcdserverpb.AuthRoleAddRequest" => PbAuthRoleAddRequest,
    "etcdserverpb.AuthRoleAddResponse" => PbAuthRoleAddResponse,
    "etcdserverpb.AuthRoleDeleteRequest" => PbAuthRoleDeleteRequest,
    "etcdserverpb.AuthRoleDeleteResponse" => PbAuthRoleDeleteResponse,
    "etcdserverpb.AuthRoleGetRequest" => PbAuthRoleGetRequest,
    "etcdserverpb.AuthRoleGetResponse" => PbAuthRoleGetResponse,
    "etcdserverpb.AuthRoleGrantPermissionRequest" => PbAuthRoleGrantPermissionRequest,
    "etcdserverpb.AuthRoleGrantPermissionResponse" => PbAuthRoleGrantPermissionResponse,
    "etcdserverpb.AuthRoleListRequest" => PbAuthRoleListRequest,
    "etcdserverpb.AuthRoleListResponse" => PbAuthRoleListResponse,
    "etcdserverpb.AuthRoleRevokePermissionRequest" => PbAuthRoleRevokePermissionRequest,
    "etcdserverpb.AuthRoleRevokePermissionResponse" => PbAuthRoleRevokePermissionResponse,
    "etcdserverpb.AuthUserAddRequest" => PbAuthUserAddRequest,
    "etcdserverpb.AuthUserAddResponse" => PbAuthUserAddResponse,
    "etcdserverpb.AuthUserChangePasswordRequest" => PbAuthUserChangePasswordRequest,
    "etcdserverpb.AuthUserChangePasswordResponse" => PbAuthUserChangePasswordResponse,
    "etcdserverpb.AuthUserDeleteRequest" => PbAuthUserDeleteRequest,
    "etcdserverpb.AuthUserDeleteResponse" => PbAuthUserDeleteResponse,
    "etcdserverpb.AuthUserGetRequest" => PbAuthUserGetRequest,
    "etcdserverpb.AuthUserGetResponse" => PbAuthUserGetResponse,
    "etcdserverpb.AuthUserGrantRoleRequest" => PbAuthUserGrantRoleRequest,
    "etcdserverpb.AuthUserGrantRoleResponse" => PbAuthUserGrantRoleResponse,
    "etcdserverpb.AuthUserListRequest" => PbAuthUserListRequest,
    "etcdserverpb.AuthUserListResponse" => PbAuthUserListResponse,
    "etcdserverpb.AuthUserRevokeRoleRequest" => PbAuthUserRevokeRoleRequest,
    "etcdserverpb.AuthUserRevokeRoleResponse" => PbAuthUserRevokeRoleResponse,
    "etcdserverpb.AuthenticateRequest" => PbAuthenticateRequest,
    "etcdserverpb.AuthenticateResponse" => PbAuthenticateResponse,
    "etcdserverpb.CompactionRequest" => PbCompactionRequest,
    "etcdserverpb.CompactionResponse" => PbCompactionResponse,
    "etcdserverpb.Compare" => PbCompare,
    "etcdserverpb.DefragmentRequest" => PbDefragmentRequest,
    "etcdserverpb.DefragmentResponse" => PbDefragmentResponse,
    "etcdserverpb.DeleteRangeRequest" => PbDeleteRequest,
    "etcdserverpb.DeleteRangeResponse" => PbDeleteResponse,
    "etcdserverpb.DowngradeInfo" => PbDowngradeInfo,
    "etcdserverpb.DowngradeRequest" => PbDowngradeRequest,
    "etcdserverpb.DowngradeResponse" => PbDowngradeResponse,
    "etcdserverpb.HashKVRequest" => PbHashKvRequest,
    "etcdserverpb.HashKVResponse" => PbHashKvResponse,
    "etcdserverpb.HashRequest" => PbHashRequest,
    "etcdserverpb.HashResponse" => PbHashResponse,
    "etcdserverpb.LeaseGrantRequest" => PbLeaseGrantRequest,
    "etcdserverpb.LeaseGrantResponse" => PbLeaseGrantResponse,
    "etcdserverpb.LeaseKeepAliveRequest" => PbLeaseKeepAliveRequest,
    "etcdserverpb.LeaseKeepAliveResponse" => PbLeaseKeepAliveResponse,
    "etcdserverpb.LeaseLeasesRequest" => PbLeaseLeasesRequest,
    "etcdserverpb.LeaseLeasesResponse" => PbLeaseLeasesResponse,
    "etcdserverpb.LeaseRevokeRequest" => PbLeaseRevokeRequest,
    "etcdserverpb.LeaseRevokeResponse" => PbLeaseRevokeResponse,
    "etcdserverpb.LeaseStatus" => PbLeaseStatus,
    "etcdserverpb.LeaseTimeToLiveRequest" => PbLeaseTimeToLiveRequest,
    "etcdserverpb.LeaseTimeToLiveResponse" => PbLeaseTimeToLiveResponse,
    "etcdserverpb.Member" => PbMember,
    "etcdserverpb.MemberAddRequest" => PbMemberAddRequest,
    "etcdserverpb.MemberAddResponse" => PbMemberAddResponse,
    "etcdserverpb.MemberListRequest" => PbMemberListRequest,
    "etcdserverpb.MemberListResponse" => PbMemberListResponse,
    "etcdserverpb.MemberPromoteRequest" => PbMemberPromoteRequest,
    "etcdserverpb.MemberPromoteResponse" => PbMemberPromoteResponse,
    "etcdserverpb.MemberRemoveRequest" => PbMemberRemoveRequest,
    "etcdserverpb.MemberRemoveResponse" => PbMemberRemoveResponse,
    "etcdserverpb.MemberUpdateRequest" => PbMemberUpdateRequest,
    "etcdserverpb.MemberUpdateResponse" => PbMemberUpdateResponse,
    "etcdserverpb.MoveLeaderRequest" => PbMoveLeaderRequest,
    "etcdserverpb.MoveLeaderResponse" => PbMoveLeaderResponse,
    "etcdserverpb.PutRequest" => PbPutRequest,
    "etcdserverpb.PutResponse" => PbPutResponse,
    "etcdserverpb.RangeRequest" => PbRangeRequest,
    "etcdserverpb.RangeResponse" => PbRangeResponse,
    "etcdserverpb.RangeStreamResponse" => PbRangeStreamResponse,
    "etcdserverpb.RequestOp" => PbTxnRequestOp,
    "etcdserverpb.ResponseHeader" => PbResponseHeader,
    "etcdserverpb.ResponseOp" => PbResponseOp,
    "etcdserverpb.SnapshotRequest" => PbSnapshotRequest,
    "etcdserverpb.SnapshotResponse" => PbSnapshotResponse,
    "etcdserverpb.StatusRequest" => PbStatusRequest,
    "etcdserverpb.StatusResponse" => PbStatusResponse,
    "etcdserverpb.TxnRequest" => PbTxnRequest,
    "etcdserverpb.TxnResponse" => PbTxnResponse,
    "etcdserverpb.WatchRequest" => PbWatchRequest,
    "etcdserverpb.WatchResponse" => PbWatchResponse,
    "mvccpb.Event" => PbEvent,
    "mvccpb.KeyValue" => PbKeyValue,
    "v3electionpb.CampaignResponse" => PbCampaignResponse,
    "v3electionpb.LeaderKey" => PbLeaderKey,
    "v3electionpb.LeaderResponse" => PbLeaderResponse,
    "v3electionpb.ProclaimResponse" => PbProclaimResponse,
    "v3electionpb.ResignResponse" => PbResignResponse,
    "v3lockpb.LockResponse" => PbLockResponse,
    "v3lockpb.UnlockResponse" => PbUnlockResponse,
}
