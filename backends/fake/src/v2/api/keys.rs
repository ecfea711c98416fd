//! `/v2/keys`: parameters in the order in which etcd checks them, credentials, and the operation.

use http::{Method, header};

use super::{Handled, Incoming, auth::may_use_key};
use crate::{
    go::{path, reply::Reply},
    state::EtcdCluster,
    v2::{
        quorum_get,
        store::{
            KEYS,
            error::{Code, StoreError},
            event::Text,
            watch::WatchSpec,
            write::{Condition, Ttl, Write},
        },
        wire::{
            json::{Listing, push_get},
            parameters::Parameters,
        },
    },
};

/// etcd's errors when a command is not committed in time.
const TIMED_OUT: &str = "etcdserver: request timed out";
const TIMED_OUT_LEADER: &str =
    "etcdserver: request timed out, possibly due to previous leader failure";

/// A request with valid parameters.
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
    cluster: &mut EtcdCluster,
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
    let reply = reply.cluster(cluster);
    let profile = cluster.profile;
    let parsed = match KeyRequest::parse(request, key, cluster.now) {
        Ok(parsed) => parsed,
        Err(error) => return reply.store_error(&error, profile).into(),
    };
    if !may_use_key(cluster, request, key, parsed.recursive) {
        let error = StoreError::request(Code::Unauthorized, *b"Insufficient credentials");
        return reply.store_error(&error, profile).into();
    }
    let is_quorum_read = parsed.quorum && method == Method::GET;
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    if is_read && !is_quorum_read {
        return if parsed.wait {
            watch(cluster, request, parsed, reply)
        } else {
            read(cluster, request, &parsed, reply).into()
        };
    }
    if !cluster.can_commit_at(request.endpoint) {
        if !request.timed_out {
            return Handled::Blocked;
        }
        let cause = if cluster.leader_at(request.endpoint).is_none() {
            TIMED_OUT_LEADER
        } else {
            TIMED_OUT
        };
        if !is_quorum_read {
            cluster.postpone(request.endpoint, parsed.into_write(method));
        }
        let error = StoreError::request(Code::RaftInternal, cause);
        return reply.store_error(&error, profile).into();
    }
    if is_quorum_read {
        return read(cluster, request, &parsed, reply).into();
    }
    let brief = parsed.brief && matches!(*method, Method::PUT | Method::POST);
    match cluster.propose(request.endpoint, parsed.into_write(method)) {
        Ok(event) => {
            let status = if event.is_created() { 201 } else { 200 };
            let index = event.index();
            let reply = reply.status(status).json().indexes(index, cluster);
            reply.event(&event, brief, profile).into()
        }
        Err(error) => reply.store_error(&error, profile).into(),
    }
}

fn read(
    cluster: &mut EtcdCluster,
    request: &Incoming<'_>,
    parsed: &KeyRequest,
    reply: Reply,
) -> Reply {
    let found = if parsed.quorum && request.method == Method::GET {
        quorum_get(cluster, request.endpoint, &parsed.path)
    } else {
        cluster.local(request.endpoint).v2.get(&parsed.path)
    };
    let (profile, now) = (cluster.profile, cluster.now);
    let id = match found {
        Ok(id) => id,
        Err(error) => return reply.store_error(&error, profile),
    };
    let index = cluster.local(request.endpoint).v2.index();
    let mut reply = reply.json().indexes(index, cluster);
    let (stores, rng) = cluster.local_and_rng(request.endpoint);
    let store = &stores.v2;
    let listing = Listing {
        recursive: parsed.recursive,
        sorted: parsed.sorted,
        now,
        profile,
        rng,
    };
    let size = store.tree.value(id).map_or(0, |value| value.len());
    reply.body.reserve(128 + parsed.path.len() + size);
    push_get(&mut reply.body, &store.tree, id, &parsed.path, listing);
    reply
}

fn watch(
    cluster: &mut EtcdCluster,
    request: &Incoming<'_>,
    parsed: KeyRequest,
    reply: Reply,
) -> Handled {
    let spec = WatchSpec {
        path: parsed.path.into(),
        recursive: parsed.recursive,
        stream: parsed.stream,
        since: parsed.wait_index,
    };
    let (profile, stream) = (cluster.profile, parsed.stream);
    let store = &mut cluster.local(request.endpoint).v2;
    let index = store.index();
    match store.watch(request.watch_id, spec) {
        Ok(()) => Handled::Watch(reply.json().indexes(index, cluster), stream),
        Err(error) => reply.store_error(&error, profile).into(),
    }
}

impl KeyRequest {
    /// Checks the parameters one after the other and returns the first error.
    fn parse(request: &Incoming<'_>, key: &[u8], now: i64) -> Result<Self, StoreError> {
        let has_form = matches!(*request.method, Method::PUT | Method::POST);
        let content_type = request.headers.get(header::CONTENT_TYPE);
        let content_type = content_type.map_or(&b""[..], |value| value.as_bytes());
        let body = has_form.then_some((content_type, request.body));
        let form = Parameters::parse(request.query, body)?;
        let mut path = [KEYS, key].concat();
        if path.ends_with(b"/") || !path::is_clean(&path) {
            path = path::clean(&path);
        }

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
        // As Go computes it, overflow included. 0 means no expiry.
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

    /// The write that a PUT, POST or DELETE asks for.
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
