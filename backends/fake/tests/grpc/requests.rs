//! Requests that show how gRPC is spoken.

use fake_harness::http2::{GrpcRequest, framed};

const RANGE: &str = "/etcdserverpb.KV/Range";
const PUT: &str = "/etcdserverpb.KV/Put";
const TXN: &str = "/etcdserverpb.KV/Txn";
const WATCH: &str = "/etcdserverpb.Watch/Watch";
const KEEP_ALIVE: &str = "/etcdserverpb.Lease/LeaseKeepAlive";
const OBSERVE: &str = "/v3electionpb.Election/Observe";
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// A range of the key "a".
const A: &[u8] = b"\x0a\x01a";

/// A watch of the key "a".
const CREATE: &[u8] = b"\x0a\x03\x0a\x01a";

/// Requests with their names, in an order that matters: some write.
pub(crate) fn all(is_3_4: bool) -> Vec<(&'static str, GrpcRequest)> {
    let range = || GrpcRequest::new(RANGE, &[A]);
    let empty = |path: &str| GrpcRequest::new(path, &[b""]);
    let raw = |path: &str, body: &[u8]| GrpcRequest {
        body: body.to_owned(),
        ..GrpcRequest::new(path, &[])
    };
    let open = |request: GrpcRequest| GrpcRequest {
        stays_open: true,
        ..request
    };
    let large = [A, b"\x12\x80\x80\x80\x01", &vec![b'x'; 2 << 20]].concat();
    let entry = [A, b"\x12\x80\x80\x60", &vec![b'x'; 3 << 19]].concat();
    let mut all = vec![
        ("a range", range()),
        ("an open unary call", open(range())),
        ("a range without a key", empty(RANGE)),
        ("a put", GrpcRequest::new(PUT, &[b"\x0a\x01a\x12\x01b"])),
        ("a range of it", range()),
        ("a message too large", GrpcRequest::new(PUT, &[&large])),
        ("an entry too large", GrpcRequest::new(PUT, &[&entry])),
        (
            "a nested transaction",
            GrpcRequest::new(TXN, &[b"\x12\x07\x22\x05\x12\x03\x0a\x01\x0a"]),
        ),
        (
            "a transaction",
            GrpcRequest::new(
                TXN,
                &[b"\x0a\x05\x1a\x01a\x20\x01\x12\x05\x0a\x03\x0a\x01a"],
            ),
        ),
        (
            "a write without a header",
            empty("/etcdserverpb.Maintenance/Alarm"),
        ),
        (
            "a promotion of nobody",
            empty("/etcdserverpb.Cluster/MemberPromote"),
        ),
        (
            "a downgrade",
            GrpcRequest::new("/etcdserverpb.Maintenance/Downgrade", &[b"\x12\x033.4"]),
        ),
        (
            "a downgrade to nothing",
            empty("/etcdserverpb.Maintenance/Downgrade"),
        ),
        (
            "an observation without a leader",
            GrpcRequest::new(OBSERVE, &[b"\x0a\x01a"]).header("grpc-timeout", "300m"),
        ),
        ("an observation of nothing", raw(OBSERVE, b"")),
        ("an unknown service", empty("/foo.Bar/Baz")),
        ("an unknown method", empty("/etcdserverpb.KV/Baz")),
        (
            "an unknown method of health",
            empty("/grpc.health.v1.Health/Baz"),
        ),
        ("a name without a service", empty("/noslash")),
        ("a name with a query", empty("/etcdserverpb.KV/Range?a=b")),
        ("a long name", empty("/a/b/c")),
        ("no name", empty("/")),
        (
            "reflection",
            empty("/grpc.reflection.v1alpha.ServerReflection/Info"),
        ),
        ("a percent sign", empty("/foo%25.B/a")),
        ("no message", raw(RANGE, b"")),
        ("half a prefix", raw(RANGE, b"\0\0\0")),
        ("half a message", raw(RANGE, &framed(0, A)[..7])),
        ("two messages", GrpcRequest::new(RANGE, &[A, A])),
        ("a compressed message", raw(RANGE, &framed(1, A))),
        ("a flag that is none", raw(RANGE, &framed(2, A))),
        (
            "a codec that is none",
            range().header("grpc-encoding", "snappy"),
        ),
        ("identity", range().header("grpc-encoding", "identity")),
        (
            "gzip accepted",
            range().header("grpc-accept-encoding", "gzip"),
        ),
        (
            "a subtype",
            range().header("content-type", "application/grpc+proto"),
        ),
        (
            "another subtype",
            range().header("content-type", "application/grpc+json"),
        ),
        (
            "a parameter",
            range().header("content-type", "application/grpc;a=b"),
        ),
        (
            "gRPC for browsers",
            range().header("content-type", "application/grpc-web"),
        ),
        ("JSON", range().header("content-type", "application/json")),
        (
            "GET",
            GrpcRequest {
                method: "GET",
                ..range()
            },
        ),
        (
            "a time without a unit",
            range().header("grpc-timeout", "10"),
        ),
        ("no time", range().header("grpc-timeout", "")),
        ("a long time", range().header("grpc-timeout", "123456789S")),
        ("much time", range().header("grpc-timeout", "99999999H")),
        ("an invalid token", range().header("token", "abc")),
        ("an empty token", range().header("token", "")),
        (
            "invalid credentials",
            range().header("authorization", "abc"),
        ),
        ("a leader", range().header("hasleader", "true")),
        ("health", empty(CHECK)),
        (
            "the health of a service",
            GrpcRequest::new(CHECK, &[b"\x0a\x04etcd"]),
        ),
        (
            "the health in future",
            empty("/grpc.health.v1.Health/Watch"),
        ),
        (
            "the health of a service in future",
            GrpcRequest::new("/grpc.health.v1.Health/Watch", &[b"\x0a\x04etcd"]),
        ),
        (
            "the alarms of 3.4",
            empty("/etcdserverpb.Maintenance/Alarm"),
        ),
        ("the state of auth", empty("/etcdserverpb.Auth/AuthStatus")),
        ("the hash", empty("/etcdserverpb.Maintenance/HashKV")),
    ];
    all.extend(malformed().into_iter().map(|(name, bytes)| {
        let message = [A, bytes].concat();
        (name, GrpcRequest::new(RANGE, &[&message]))
    }));
    all.extend([
        (
            "a malformed part",
            GrpcRequest::new(TXN, &[b"\x12\x04\x0a\x02\x00\x01"]),
        ),
        (
            "a part of another type",
            GrpcRequest::new(TXN, &[b"\x12\x02\x08\x01"]),
        ),
        (
            "a oneof of another type",
            GrpcRequest::new(TXN, &[b"\x0a\x03\x22\x01\x01"]),
        ),
        (
            "a malformed hash",
            GrpcRequest::new("/etcdserverpb.Maintenance/HashKV", &[b"\0\x01"]),
        ),
        ("a watch", GrpcRequest::new(WATCH, &[CREATE])),
        ("an open watch", open(GrpcRequest::new(WATCH, &[CREATE]))),
        (
            "a watch for a time",
            GrpcRequest::new(WATCH, &[CREATE]).header("grpc-timeout", "300m"),
        ),
        (
            "a watch with an invalid token",
            GrpcRequest::new(WATCH, &[CREATE]).header("token", "x"),
        ),
        (
            "two watches",
            GrpcRequest::new(WATCH, &[CREATE, CREATE, b"\x12\x02\x08\x01"]),
        ),
        ("an idle watch", raw(WATCH, b"")),
        ("a watch that asks nothing", empty(WATCH)),
        (
            "packed filters",
            GrpcRequest::new(WATCH, &[b"\x0a\x07\x0a\x01a\x2a\x02\x00\x01"]),
        ),
        (
            "filters too long",
            GrpcRequest::new(WATCH, &[b"\x0a\x08\x0a\x01a\x2a\x01\x80\x01\x20"]),
        ),
        (
            "filters of another type",
            GrpcRequest::new(WATCH, &[b"\x0a\x07\x0a\x01a\x2d\x02\x00\x01"]),
        ),
        (
            "a malformed watch",
            GrpcRequest::new(WATCH, &[b"\x0a\x05\x0a\x01a"]),
        ),
        ("a compressed watch", raw(WATCH, &framed(1, CREATE))),
        ("half a watch", raw(WATCH, &framed(0, CREATE)[..8])),
        ("half the prefix of a watch", raw(WATCH, b"\0\0\0")),
        (
            "keep alive",
            GrpcRequest::new(KEEP_ALIVE, &[b"\x08\x01", b"", b"\x08\x02"]),
        ),
        (
            "keep alive, open",
            open(GrpcRequest::new(KEEP_ALIVE, &[b"\x08\x01"])),
        ),
        ("keep nothing alive", raw(KEEP_ALIVE, b"")),
        (
            "keep alive, then malformed",
            GrpcRequest::new(KEEP_ALIVE, &[b"\x08\x01", b"\x0a\x01"]),
        ),
        ("keep alive, then cut off", {
            let body = [framed(0, b"\x08\x01"), b"\0\0\0".to_vec()].concat();
            raw(KEEP_ALIVE, &body)
        }),
        (
            "keep alive with a token",
            GrpcRequest::new(KEEP_ALIVE, &[b"\x08\x01"]).header("token", "x"),
        ),
        (
            "a lease",
            GrpcRequest::new("/etcdserverpb.Lease/LeaseGrant", &[b"\x08\x3c\x10\x07"]),
        ),
        (
            "a lock",
            GrpcRequest::new("/v3lockpb.Lock/Lock", &[b"\x0a\x01L\x10\x07"]),
        ),
        (
            "a lease",
            GrpcRequest::new("/etcdserverpb.Lease/LeaseGrant", &[b"\x08\x3c\x10\x08"]),
        ),
        (
            "a lock that is held",
            GrpcRequest::new("/v3lockpb.Lock/Lock", &[b"\x0a\x01L\x10\x08"])
                .header("grpc-timeout", "300m"),
        ),
        (
            "the queue of the lock",
            GrpcRequest::new(RANGE, &[b"\x0a\x02L/\x12\x02L0"]),
        ),
        (
            "unlock",
            GrpcRequest::new("/v3lockpb.Lock/Unlock", &[b"\x0a\x03L/7"]),
        ),
        (
            "a malformed lock",
            GrpcRequest::new("/v3lockpb.Lock/Lock", &[b"\x08\x01"]),
        ),
        (
            "a campaign",
            GrpcRequest::new(
                "/v3electionpb.Election/Campaign",
                &[b"\x0a\x01e\x10\x07\x1a\x01v"],
            ),
        ),
        (
            "another campaign",
            GrpcRequest::new(
                "/v3electionpb.Election/Campaign",
                &[b"\x0a\x01e\x10\x08\x1a\x01w"],
            )
            .header("grpc-timeout", "300m"),
        ),
        (
            "the leader",
            GrpcRequest::new("/v3electionpb.Election/Leader", &[b"\x0a\x01e"]),
        ),
        (
            "no leader",
            GrpcRequest::new("/v3electionpb.Election/Leader", &[b"\x0a\x01f"]),
        ),
    ]);
    if !is_3_4 {
        // 3.4 responds with one of two codes, as it happens, and crashes.
        let keep_alive =
            GrpcRequest::new(KEEP_ALIVE, &[b"\x08\x01"]).header("grpc-timeout", "300m");
        all.push(("keep alive for a time", open(keep_alive)));
        all.push(("a length beyond 64 bits", {
            let message = [A, b"\x12", &[0xff; 8], b"\x7f"].concat();
            GrpcRequest::new(RANGE, &[&message])
        }));
    }
    all
}

/// What follows a field, and makes the message malformed or does not.
fn malformed() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("an unknown group", b"\x7b\x7c"),
        ("mismatched groups", b"\x7b\x74"),
        ("nested groups", b"\x7b\x73\x74\x7c"),
        ("a group with content", b"\x7b\x7a\x01\x7c\x7c"),
        ("a group without end", b"\x7b\x08\x01"),
        ("the end of a group", b"\x0c"),
        ("the end of an unknown group", b"\x7c"),
        ("wire type 6", b"\x7e"),
        ("wire type 7", b"\x7f"),
        ("wire type 6 of a known field", b"\x1e\x01"),
        ("a short fixed64", b"\x791234"),
        ("a short fixed32", b"\x7d12"),
        ("a fixed32", b"\x7d1234"),
        (
            "a negative length",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ),
        (
            "a negative length, unknown",
            b"\x7a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ),
        ("a length beyond the end", b"\x12\x05a"),
        ("a length beyond the end, unknown", b"\x7a\x09a"),
        (
            "a long number, unknown",
            b"\x78\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        (
            "a long number",
            b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        (
            "a number that loses bits",
            b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        ),
        ("half a number", b"\x18\xff"),
        ("a tag that wraps", b"\x88\x80\x80\x80\x80\x01\x05"),
        ("a negative tag", b"\xf8\xff\xff\xff\x7f\x05"),
        ("tag 0", b"\x02\x01a"),
        ("a key twice", b"\x0a\x01b"),
        ("another type", b"\x08\x05"),
    ]
}
