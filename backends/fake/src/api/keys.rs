//! `/v2/keys`: parameters in the order in which etcd looks at them, credentials, and the operation.

use http::{Method, header};

use super::{Handled, Incoming, auth::may_use_key, reply::Reply};
use crate::{
    server::Server,
    store::{Code, Condition, KEYS, StoreError, Text, Ttl, WatchSpec, Write},
    wire::{
        form::Form,
        json::{self, Listing},
        path,
    },
};

/// What etcd gives up with when nobody agrees on a write.
const TIMED_OUT: &str = "etcdserver: request timed out";
const TIMED_OUT_LEADER: &str =
    "etcdserver: request timed out, possibly due to previous leader failure";

/// A request whose parameters are in order.
struct KeyRequest {
    /// The path in the store.
    path: Vec<u8>,
    recursive: bool,
    sorted: bool,
    wait: bool,
    dir: bool,
    quorum: bool,
    stream: bool,
    wait_index: u64,
    condition: Condition,
    exists: Option<bool>,
    ttl: Ttl,
    value: Vec<u8>,
    brief: bool,
}

pub(crate) fn handle(
    server: &mut Server,
    request: &Incoming<'_>,
    key: &[u8],
    reply: Reply,
) -> Handled {
    let method = request.method;
    let known = [
        Method::HEAD,
        Method::GET,
        Method::PUT,
        Method::POST,
        Method::DELETE,
    ];
    if !known.contains(method) {
        return reply.not_allowed(Some("HEAD,GET,PUT,POST,DELETE")).into();
    }
    let reply = reply.cluster(server);
    let profile = server.profile;
    let parsed = match KeyRequest::parse(request, key, server.now) {
        Ok(parsed) => parsed,
        Err(error) => return reply.store_error(&error, profile).into(),
    };
    if !may_use_key(server, request, key, parsed.recursive) {
        let error = StoreError::request(Code::Unauthorized, *b"Insufficient credentials");
        return reply.store_error(&error, profile).into();
    }
    let is_quorum_read = parsed.quorum && method == Method::GET;
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    if is_read && !is_quorum_read {
        return if parsed.wait {
            watch(server, request, parsed, reply)
        } else {
            read(server, request, &parsed, reply).into()
        };
    }
    if !server.can_commit() {
        if !request.timed_out {
            return Handled::Blocked;
        }
        let cause = if server.cluster.leader.is_none() {
            TIMED_OUT_LEADER
        } else {
            TIMED_OUT
        };
        if !is_quorum_read {
            server.postpone(parsed.into_write(method));
        }
        let error = StoreError::request(Code::RaftInternal, cause);
        return reply.store_error(&error, profile).into();
    }
    if is_quorum_read {
        return read(server, request, &parsed, reply).into();
    }
    let brief = parsed.brief && matches!(*method, Method::PUT | Method::POST);
    match server.propose(request.endpoint, parsed.into_write(method)) {
        Ok(event) => {
            let status = if event.is_created() { 201 } else { 200 };
            let index = event.index();
            let reply = reply.status(status).json().indexes(index, server);
            reply.event(&event, brief, profile).into()
        }
        Err(error) => reply.store_error(&error, profile).into(),
    }
}

fn read(server: &mut Server, request: &Incoming<'_>, parsed: &KeyRequest, reply: Reply) -> Reply {
    let found = if parsed.quorum && request.method == Method::GET {
        server.quorum_get(request.endpoint, &parsed.path)
    } else {
        server.local(request.endpoint).get(&parsed.path)
    };
    let (profile, now) = (server.profile, server.now);
    let id = match found {
        Ok(id) => id,
        Err(error) => return reply.store_error(&error, profile),
    };
    let index = server.local(request.endpoint).index();
    let mut reply = reply.json().indexes(index, server);
    let (store, rng) = server.local_and_rng(request.endpoint);
    let listing = Listing {
        recursive: parsed.recursive,
        sorted: parsed.sorted,
        now,
        profile,
        rng,
    };
    let size = store.tree.value(id).map_or(0, |value| value.len());
    reply.body.reserve(128 + parsed.path.len() + size);
    json::push_get(&mut reply.body, &store.tree, id, listing);
    reply
}

fn watch(server: &mut Server, request: &Incoming<'_>, parsed: KeyRequest, reply: Reply) -> Handled {
    let spec = WatchSpec {
        path: parsed.path.into(),
        recursive: parsed.recursive,
        stream: parsed.stream,
        since: parsed.wait_index,
    };
    let (profile, stream) = (server.profile, parsed.stream);
    let store = server.local(request.endpoint);
    let index = store.index();
    match store.watch(request.watcher, spec) {
        Ok(()) => Handled::Watch(reply.json().indexes(index, server), stream),
        Err(error) => reply.store_error(&error, profile).into(),
    }
}

impl KeyRequest {
    /// Looks at the parameters, one after the other: the first that is wrong is the error.
    fn parse(request: &Incoming<'_>, key: &[u8], now: i64) -> Result<Self, StoreError> {
        let has_form = matches!(*request.method, Method::PUT | Method::POST);
        let content_type = request.headers.get(header::CONTENT_TYPE);
        let content_type = content_type.map_or(&b""[..], |value| value.as_bytes());
        let body = has_form.then_some((content_type, request.body));
        let form = Form::parse(request.query, body)
            .map_err(|cause| StoreError::request(Code::InvalidForm, cause))?;
        let mut path = KEYS.to_vec();
        path.extend_from_slice(key);
        let path = path::clean(&path);

        let prev_index = form.number("prevIndex", Code::IndexNotANumber)?;
        let wait_index = form.number("waitIndex", Code::IndexNotANumber)?;
        let recursive = form.flag("recursive")?;
        let sorted = form.flag("sorted")?;
        let wait = form.flag("wait")?;
        let dir = form.flag("dir")?;
        let quorum = form.flag("quorum")?;
        let stream = form.flag("stream")?;
        if wait && request.method != Method::GET {
            let cause = "\"wait\" can only be used with GET requests";
            return Err(StoreError::request(Code::InvalidField, cause));
        }
        let prev_value = form.get("prevValue");
        if prev_value.is_some_and(<[u8]>::is_empty) {
            let cause = "\"prevValue\" cannot be empty";
            return Err(StoreError::request(Code::PrevValueRequired, cause));
        }
        let brief = form.flag("noValueOnSuccess")?;
        let seconds = match form.get("ttl") {
            None | Some([]) => None,
            Some(_) => Some(form.number("ttl", Code::TtlNotANumber)?),
        };
        let exists = form.optional_flag("prevExist")?;
        let refresh = form.optional_flag("refresh")?.unwrap_or_default();
        let value = form.get("value").unwrap_or_default();
        if refresh && !value.is_empty() {
            let cause = "A value was provided on a refresh";
            return Err(StoreError::request(Code::RefreshValue, cause));
        }
        if refresh && seconds.is_none() {
            return Err(StoreError::request(
                Code::RefreshTtlRequired,
                "No TTL value set",
            ));
        }
        // As Go computes it, overflow included. A result of 0 means none at all.
        let expires = seconds.map(|seconds| {
            let nanos = (seconds as i64).wrapping_mul(1_000_000_000);
            now.wrapping_add(nanos)
        });
        Ok(Self {
            path,
            recursive,
            sorted,
            wait,
            dir,
            quorum,
            stream,
            wait_index,
            condition: Condition {
                value: prev_value.unwrap_or_default().to_vec(),
                index: prev_index,
            },
            exists,
            ttl: Ttl {
                expires: expires.filter(|&at| at != 0),
                refresh,
            },
            value: value.to_vec(),
            brief,
        })
    }

    /// Which write a PUT, POST or DELETE asks for.
    fn into_write(self, method: &Method) -> Write {
        let Self {
            path,
            dir,
            condition,
            ttl,
            ..
        } = self;
        let value = Text::from(self.value);
        let has_condition = condition.index > 0 || !condition.value.is_empty();
        let expires = ttl.expires;
        if method == Method::POST {
            return Write::CreateInOrder {
                path,
                dir,
                value,
                expires,
            };
        }
        if method == Method::DELETE {
            return if has_condition {
                Write::CompareAndDelete { path, condition }
            } else {
                let recursive = self.recursive;
                Write::Delete {
                    path,
                    dir,
                    recursive,
                }
            };
        }
        match self.exists {
            Some(false) => Write::Create {
                path,
                dir,
                value,
                expires,
            },
            _ if has_condition => Write::CompareAndSwap {
                path,
                condition,
                value,
                ttl,
            },
            Some(true) => Write::Update { path, value, ttl },
            None => Write::Set {
                path,
                dir,
                value,
                ttl,
            },
        }
    }
}
