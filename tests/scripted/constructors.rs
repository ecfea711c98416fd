//! What a user's own unit test has to make: every type that a public function returns, and every error. The tests of this crate
//! see no more of it than a user does.

use std::{error::Error as StdError, time::Duration};

use etcd_http::{
    Api, Attempt, AttemptOutcome, DiscoveryError, Endpoint, Error, EtcdCode, EtcdError,
    EtcdErrorKind, Health, HttpError, InvalidInput, Outcome, RawResponse, RefusedAddress,
    ServerVersion, SrvRecord, Synced, TimeoutError, TransportFailure, UnexpectedResponse,
    Unsupported,
    transport::{TransportError, http::StatusCode},
    v2, v3,
};

const PUT: &str = "v3.kv.put";

fn endpoint() -> Endpoint {
    "http://a:2379".parse().unwrap()
}

/// One error of each variant.
fn errors() -> Vec<(Error, Outcome)> {
    let full = "etcdserver: mvcc: database space exceeded";
    let refused = TransportError::connect("connection refused");
    let what = "not what etcd sends";
    vec![
        (
            Error::Etcd(EtcdError::v3(PUT, endpoint(), 8, full)),
            Outcome::Rejected,
        ),
        (
            Error::Http(HttpError::new(
                PUT,
                endpoint(),
                StatusCode::BAD_GATEWAY,
                "<html>",
            )),
            Outcome::Unknown,
        ),
        (
            Error::Transport(TransportFailure::new(PUT, endpoint(), refused)),
            Outcome::NotSent,
        ),
        (
            Error::Timeout(TimeoutError::new(PUT, endpoint(), Duration::from_secs(8))),
            Outcome::Unknown,
        ),
        (
            Error::Unexpected(UnexpectedResponse::new(
                PUT,
                endpoint(),
                what,
                Outcome::Unknown,
            )),
            Outcome::Unknown,
        ),
        (
            Error::Unsupported(Unsupported::new(PUT, endpoint(), "too old")),
            Outcome::Rejected,
        ),
        (
            Error::Invalid(InvalidInput::new(PUT, "the key is empty")),
            Outcome::NotSent,
        ),
    ]
}

#[test]
fn every_error_can_be_made_and_is_classified_like_one_of_the_client() {
    let texts = [
        "v3.kv.put at http://a:2379: etcdserver: mvcc: database space exceeded (code 8)",
        "v3.kv.put at http://a:2379: HTTP status 502 Bad Gateway, not an etcd error response: \"<html>\"",
        "v3.kv.put at http://a:2379: could not connect: connection refused",
        "v3.kv.put at http://a:2379: no response within 8s",
        "v3.kv.put at http://a:2379: not what etcd sends",
        "v3.kv.put at http://a:2379: too old",
        "v3.kv.put: the key is empty",
    ];
    for ((error, outcome), text) in errors().into_iter().zip(texts) {
        assert_eq!(error.to_string(), text);
        assert_eq!(error.outcome(), outcome, "{error}");
    }
}

#[test]
fn debug_of_an_error_is_for_people() {
    let texts = [
        "Etcd(NoSpace): v3.kv.put at http://a:2379: etcdserver: mvcc: database space exceeded (code 8) \
         [outcome: Rejected]",
        "Http: v3.kv.put at http://a:2379: HTTP status 502 Bad Gateway, not an etcd error response: \"<html>\" \
         [outcome: Unknown]",
        "Transport: v3.kv.put at http://a:2379: could not connect: connection refused [outcome: NotSent]; \
         caused by: connection refused",
        "Timeout: v3.kv.put at http://a:2379: no response within 8s [outcome: Unknown]",
        "Unexpected: v3.kv.put at http://a:2379: not what etcd sends [outcome: Unknown]",
        "Unsupported: v3.kv.put at http://a:2379: too old [outcome: Rejected]",
        "Invalid: v3.kv.put: the key is empty [outcome: NotSent]",
    ];
    for ((error, _), text) in errors().into_iter().zip(texts) {
        assert_eq!(format!("{error:?}"), text);

        let Error::Etcd(error) = error else { continue };
        let text = text.replace("Etcd(NoSpace): ", "EtcdError(NoSpace: ");
        assert_eq!(
            format!("{error:?}"),
            text.replace(" [outcome: Rejected]", ")")
        );
    }
}

#[test]
fn an_error_of_etcd_is_read_as_if_from_a_response() {
    let lease = EtcdError::v3(PUT, endpoint(), 5, "etcdserver: requested lease not found");
    assert_eq!(
        (lease.api(), lease.code()),
        (Api::V3, Some(EtcdCode::Grpc(5)))
    );
    assert!(Error::Etcd(lease).is_lease_not_found());

    let compacted = "etcdserver: mvcc: required revision has been compacted";
    let compacted = EtcdError::v3("v3.watch", endpoint(), 11, compacted).with_compact_revision(7);
    assert_eq!(compacted.compact_revision(), Some(7));
    assert!(Error::Etcd(compacted).is_compacted());

    let leader = Error::Etcd(EtcdError::v3(
        PUT,
        endpoint(),
        14,
        "etcdserver: leader changed",
    ));
    assert!(leader.is_retryable() && leader.outcome() == Outcome::Unknown);

    let status = StatusCode::PRECONDITION_FAILED;
    let compare = EtcdError::v2(
        "v2.keys.compare_and_swap",
        endpoint(),
        status,
        101,
        "Compare failed",
    )
    .with_cause("[a != b]")
    .with_index(7);
    assert_eq!((compare.api(), compare.index()), (Api::V2, Some(7)));
    assert_eq!(
        (compare.cause(), compare.http_status()),
        ("[a != b]", Some(status))
    );
    assert!(Error::Etcd(compare).is_compare_failed());

    let raft = StatusCode::INTERNAL_SERVER_ERROR;
    let raft = EtcdError::v2("v2.keys.set", endpoint(), raft, 300, "Raft Internal Error");
    assert_eq!(Error::Etcd(raft).outcome(), Outcome::Unknown);

    let member = EtcdError::v2(
        "v2.members.remove",
        endpoint(),
        StatusCode::GONE,
        None,
        "gone",
    );
    assert_eq!((member.kind(), member.code()), (EtcdErrorKind::Gone, None));
}

#[test]
fn every_predicate_of_an_error_can_be_made_true() {
    let changed = UnexpectedResponse::cluster_changed(PUT, endpoint());
    assert!(Error::Unexpected(changed).is_cluster_changed());
    let stale = UnexpectedResponse::stale_read("v2.keys.get", endpoint());
    assert!(Error::Unexpected(stale).is_stale_read());
    let kind = EtcdErrorKind::TooManyOperations;
    let many = Error::Invalid(InvalidInput::with_kind("v3.kv.txn", "129 operations", kind));
    assert_eq!(many.etcd_kind(), Some(kind));
    let sealed = Error::Invalid(InvalidInput::without_credentials("sealed"));
    assert!(sealed.is_without_credentials() && sealed.is_retryable());
    assert_eq!(sealed.outcome(), Outcome::NotSent);
}

#[test]
fn every_result_of_v3_can_be_made() {
    let lease = v3::LeaseId::from(7);
    let second = Duration::from_secs(1);
    let _ = v3::RangeResponse::new([v3::KeyValue::new("a", "1")]);
    let _ = (
        v3::PutResponse::default(),
        v3::DeleteRangeResponse::default(),
    );
    let put = v3::TxnOpResponse::Put(v3::PutResponse::default());
    let _ = v3::TxnResponse::new(true, [put.clone()]);
    let _ = v3::ExactlyOnceResponse::new(7, true, Some(vec![put.clone()]));
    let event = v3::Event::put(v3::KeyValue::new("a", "1"));
    let changes = v3::Changes::new(7, [event, v3::Event::delete("b", 7)]);
    let _ = v3::WatchSetItem::new(0, Ok(changes));
    let added = v3::MirrorChange::Added(v3::KeyValue::new("a", "1"));
    let _ = v3::MirrorUpdate::new(7, [added]);
    let _ = v3::GrantLeaseResponse::new(lease, second);
    let _ = v3::KeepAliveResponse::new(lease, Some(second));
    let _ = v3::LeaseStatus::new(lease, second, second);
    let _ = v3::LockResponse::new("l/7");
    let leader = v3::LeaderKey::new("e", "e/7", 3, lease);
    let _ = v3::CampaignResponse::new(leader);
    let _ = (
        v3::Header::default(),
        v3::Member::default(),
        v3::Members::default(),
    );
    let _ = (v3::AddMemberResponse::default(), v3::RaisedAlarm::default());
    let _ = (v3::StatusResponse::default(), v3::DowngradeInfo::default());
    let _ = (v3::HashResponse::default(), v3::HashKvResponse::default());
    let _ = v3::DowngradeResponse::default();
    let _ = (
        v3::AuthStatusResponse::default(),
        v3::AuthenticateResponse::default(),
    );
    let _ = v3::Permission::read("a");

    let error = || Error::Timeout(TimeoutError::new("v3.lease.keep_alive", endpoint(), second));
    for (loss, text) in [
        (v3::LeaseLoss::expired(), "etcd no longer has the lease"),
        (v3::LeaseLoss::revoked(), "the lease was revoked"),
        (
            v3::LeaseLoss::deadline(error()),
            "the lease could not be renewed in time: v3.lease.keep_alive at http://a:2379: no response within 1s",
        ),
        (
            v3::LeaseLoss::early(None),
            "the lease will be lost soon, and was not renewed so far",
        ),
    ] {
        assert_eq!(loss.to_string(), text);
    }

    let rest = v3::NonAtomicBatch::new([v3::Put::new("b", "")]);
    let failure = v3::NonAtomicBatchError::new(error(), [put], rest);
    assert_eq!((failure.applied().len(), failure.rest().len()), (1, 1));
    assert!(failure.source().is_some());
}

#[test]
fn every_result_of_v2_and_of_the_client_can_be_made() {
    let _ = v2::Event::new(v2::Action::Set, v2::Node::file("/a", "1"));
    let _ = v2::Node::dir("/", [v2::Node::file("/a", "1")]);
    let _ = v2::Written::new(v2::Action::Set, true);
    let resync = v2::Resync::new(1, 7, None);
    let _ = v2::WatchUpdate::Resync(resync);
    let _ = (v2::ClusterInfo::default(), v2::Member::default());
    let _ = (v2::SelfStats::default(), v2::LeaderInfo::default());
    let _ = (v2::StoreStats::default(), v2::LeaderStats::default());
    let _ = (
        v2::FollowerStats::default(),
        v2::Latency::default(),
        v2::Counts::default(),
    );
    let _ = (v2::User::default(), v2::UserDetails::default());
    let _ = (v2::Role::default(), v2::Permissions::none());

    let _ = (
        ServerVersion::default(),
        Health::new(false, "RAFT NO LEADER"),
    );
    let _ = (
        Synced::default(),
        RefusedAddress::new("http://b:2379", "not allowed"),
    );
    let _ = Attempt::new(PUT, endpoint(), AttemptOutcome::Answered);
    let name = "_etcd-client._tcp.example.com".to_owned();
    let _ = DiscoveryError::NotFound { name };
    let _ = SrvRecord {
        priority: 0,
        weight: 0,
        port: 2379,
        target: "a".to_owned(),
    };

    let mut response = RawResponse::new(endpoint(), StatusCode::OK, r#"{"a":1}"#);
    response.headers.insert("x-etcd-index", 7.into());
    assert_eq!(response.text(), r#"{"a":1}"#);
    assert_eq!(response.endpoint(), &endpoint());
    let error = response.json::<u8>().unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("request at http://a:2379: the body is not"),
        "{error}"
    );
}
