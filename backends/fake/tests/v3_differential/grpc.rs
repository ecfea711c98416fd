//! The two servers by gRPC: a request in JSON is sent as the message that it spells, and what comes back is shown as JSON.

use std::time::Duration;

use etcd_http_fake::FakeEtcd;
use etcd_http_peers::{DynamicMessage, Message, SCHEMA, to_json};
use fake_harness::{
    Request, Response, Subject, Watching,
    http2::{GrpcRequest, GrpcResponse, Http2, Next, OpenStream, ask_fake, open_fake},
    real::Real,
};
use prost_reflect::{DeserializeOptions, MethodDescriptor};

use crate::run::Wire;

/// How long a real server may take for a message before it counts as silent.
const MOMENT: Duration = Duration::from_millis(30);

/// By gRPC.
pub(crate) struct Grpc;

impl Wire for Grpc {
    fn subjects(real: Real, etcd: FakeEtcd) -> (Box<dyn Subject>, Box<dyn Subject>) {
        let connection = Http2::connect(&real.client_url);
        (
            Box::new(GrpcReal { real, connection }),
            Box::new(GrpcFake(etcd)),
        )
    }
}

struct GrpcFake(FakeEtcd);

struct GrpcReal {
    real: Real,
    connection: Http2,
}

impl Subject for GrpcFake {
    fn ask(&mut self, request: &Request) -> Response {
        let Some(call) = Call::read(request) else {
            return unreadable();
        };
        call.reply(ask_fake(&self.0, &call.request))
    }

    fn watch(&mut self, request: &Request) -> (Response, Box<dyn Watching>) {
        Stream::open(request, |request| open_fake(&self.0, request))
    }

    fn pass(&mut self, duration: Duration) {
        self.0.advance(duration);
    }

    fn name(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl Subject for GrpcReal {
    fn ask(&mut self, request: &Request) -> Response {
        let Some(call) = Call::read(request) else {
            return unreadable();
        };
        let answer = self.connection.ask(&call.request);
        assert!(
            answer.code.is_some(),
            "{request:?} gets no response: {answer:?}"
        );
        call.reply(answer)
    }

    fn watch(&mut self, request: &Request) -> (Response, Box<dyn Watching>) {
        Stream::open(request, |request| self.connection.open(request))
    }

    fn pass(&mut self, duration: Duration) {
        self.real.pass(duration);
    }

    fn name(&self) -> String {
        format!("{} by gRPC", self.real.name())
    }

    fn is_3_4(&self) -> bool {
        self.real.is_3_4()
    }

    fn metric(&mut self, name: &str) -> Option<String> {
        self.real.metric(name)
    }
}

/// A request of gRPC, and the method whose messages it has.
struct Call {
    request: GrpcRequest,
    method: MethodDescriptor,
}

impl Call {
    /// Reads the JSON of a request; `None` if it is not what protobuf calls JSON, or no call.
    fn read(request: &Request) -> Option<Self> {
        let path = path(&request.target)?;
        let (service, name) = path.trim_start_matches('/').split_once('/').unwrap();
        let service = SCHEMA.get_service_by_name(service).unwrap();
        let method = service
            .methods()
            .find(|method| method.name() == name)
            .unwrap();
        let mut json = serde_json::Deserializer::from_slice(&request.body);
        let options = DeserializeOptions::new().deny_unknown_fields(false);
        let mut messages = Vec::new();
        while json.end().is_err() {
            let input = method.input();
            let read = DynamicMessage::deserialize_with_options(input, &mut json, &options);
            messages.push(read.ok()?.encode_to_vec());
            if !method.is_client_streaming() {
                break;
            }
        }
        // A watch without a request that can be read is not answered.
        if let Some(first) = messages.first_mut()
            && !method.is_client_streaming()
        {
            distort(first);
        }
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let mut grpc = GrpcRequest::new(path, &messages);
        for (name, value) in &request.headers {
            match &*name.to_ascii_lowercase() {
                "authorization" | "grpc-metadata-authorization" => {
                    grpc = grpc.header("authorization", value);
                }
                "grpc-metadata-token" => grpc = grpc.header("token", value),
                _ => {}
            }
        }
        Some(Self {
            request: grpc,
            method,
        })
    }

    fn reply(&self, answer: GrpcResponse) -> Response {
        assert!(!answer.is_reset, "{answer:?}");
        let mut body = String::new();
        for message in &answer.messages {
            body += &self.shown(message);
            if self.method.is_server_streaming() {
                body.push('\n');
            }
        }
        let code = answer.code.as_deref();
        if code != Some("0") {
            body += &format!("{:?} {}", answer.message, answer.is_trailers_only);
        }
        // A status of HTTP for success, and that of gRPC for anything else.
        let status = code.map_or(1, |code| code.parse().unwrap());
        Response {
            status: if status == 0 { 200 } else { status },
            headers: Vec::new(),
            body: body.into_bytes(),
        }
    }

    /// A response as JSON. It must be encoded as protobuf is everywhere: fields in order, nothing that is left out.
    fn shown(&self, bytes: &[u8]) -> String {
        let message = DynamicMessage::decode(self.method.output(), bytes).unwrap();
        assert_eq!(message.encode_to_vec(), bytes, "{message}");
        to_json(&message)
    }
}

/// Watches that go on.
struct Stream {
    call: Call,
    stream: OpenStream,
    /// What was read ahead.
    next: Next,
}

impl Stream {
    fn open(
        request: &Request,
        open: impl FnOnce(&GrpcRequest) -> OpenStream,
    ) -> (Response, Box<dyn Watching>) {
        let call = Call::read(request).expect("a watch can be read");
        let stream = open(&call.request);
        let next = Next::Nothing;
        let reply = Response {
            status: 200,
            headers: Vec::new(),
            body: Vec::new(),
        };
        (reply, Box::new(Self { call, stream, next }))
    }
}

impl Watching for Stream {
    fn line(&mut self) -> Option<String> {
        assert!(!self.is_silent(), "the watch is silent");
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Message(message) => Some(self.call.shown(&message)),
            _ => None,
        }
    }

    fn is_silent(&mut self) -> bool {
        if self.next == Next::Nothing {
            self.next = self.stream.next(MOMENT);
        }
        self.next == Next::Nothing
    }
}

/// Breaks some messages, or adds a field that etcd does not know. The result depends on the bytes of the message alone.
fn distort(message: &mut Vec<u8>) {
    let sum: usize = message.iter().map(|&byte| usize::from(byte)).sum();
    match sum % 40 {
        0 => message.truncate(sum % (message.len() + 1)),
        1 => message.extend_from_slice(b"\xba\x3e\x01x"),
        2 => message.extend_from_slice(b"\xb8\x3e\x05\xbb\x3e\xbc\x3e"),
        3 => message.extend_from_slice(b"\xbc\x3e"),
        4 => message.extend_from_slice(b"\xba\x3e\x05x"),
        _ => {}
    }
}

fn unreadable() -> Response {
    Response {
        status: 0,
        headers: Vec::new(),
        body: Vec::new(),
    }
}

/// The path of gRPC for one of the gateway.
fn path(target: &str) -> Option<&'static str> {
    Some(match target.strip_prefix("/v3/")? {
        "kv/range" => "/etcdserverpb.KV/Range",
        "kv/put" => "/etcdserverpb.KV/Put",
        "kv/deleterange" => "/etcdserverpb.KV/DeleteRange",
        "kv/txn" => "/etcdserverpb.KV/Txn",
        "kv/compaction" => "/etcdserverpb.KV/Compact",
        "watch" => "/etcdserverpb.Watch/Watch",
        "lease/grant" => "/etcdserverpb.Lease/LeaseGrant",
        "lease/revoke" | "kv/lease/revoke" => "/etcdserverpb.Lease/LeaseRevoke",
        "lease/timetolive" => "/etcdserverpb.Lease/LeaseTimeToLive",
        "lease/leases" => "/etcdserverpb.Lease/LeaseLeases",
        "lease/keepalive" => "/etcdserverpb.Lease/LeaseKeepAlive",
        "maintenance/alarm" => "/etcdserverpb.Maintenance/Alarm",
        "maintenance/hashkv" => "/etcdserverpb.Maintenance/HashKV",
        "auth/enable" => "/etcdserverpb.Auth/AuthEnable",
        "auth/disable" => "/etcdserverpb.Auth/AuthDisable",
        "auth/status" => "/etcdserverpb.Auth/AuthStatus",
        "auth/authenticate" => "/etcdserverpb.Auth/Authenticate",
        "auth/user/add" => "/etcdserverpb.Auth/UserAdd",
        "auth/user/get" => "/etcdserverpb.Auth/UserGet",
        "auth/user/list" => "/etcdserverpb.Auth/UserList",
        "auth/user/delete" => "/etcdserverpb.Auth/UserDelete",
        "auth/user/changepw" => "/etcdserverpb.Auth/UserChangePassword",
        "auth/user/grant" => "/etcdserverpb.Auth/UserGrantRole",
        "auth/user/revoke" => "/etcdserverpb.Auth/UserRevokeRole",
        "auth/role/add" => "/etcdserverpb.Auth/RoleAdd",
        "auth/role/get" => "/etcdserverpb.Auth/RoleGet",
        "auth/role/list" => "/etcdserverpb.Auth/RoleList",
        "auth/role/delete" => "/etcdserverpb.Auth/RoleDelete",
        "auth/role/grant" => "/etcdserverpb.Auth/RoleGrantPermission",
        "auth/role/revoke" => "/etcdserverpb.Auth/RoleRevokePermission",
        _ => return None,
    })
}
