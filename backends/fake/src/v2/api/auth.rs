//! `/v2/auth`, and the check of credentials for the other endpoints.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, Method, header};

use super::{Handled, Incoming};
use crate::{
    go::{json::push_string, reply::Reply},
    profile::Profile,
    state::EtcdCluster,
    v2::auth::{
        model::{Role, User},
        store::{Auth, AuthError, guest, is_root_role},
    },
};

const METHODS: &str = "GET,PUT,DELETE";

/// Go's decoder requires the padding and ignores the bits below it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Whether the caller may read or write a key, given as the URL has it.
pub(crate) fn may_use_key(
    cluster: &mut EtcdCluster,
    request: &Incoming<'_>,
    key: &[u8],
    recursive: bool,
) -> bool {
    let endpoint = request.endpoint;
    let mut auth = Auth { cluster, endpoint };
    if !auth.is_enabled() {
        return true;
    }
    let key = String::from_utf8_lossy(key);
    let write = !matches!(*request.method, Method::GET | Method::HEAD);
    let user = if has_credentials(request.headers) {
        match authenticate(&mut auth, request.headers) {
            Some(user) => user,
            None => return false,
        }
    } else if let Some(user) = named_by_certificate(&mut auth, request) {
        user
    } else {
        // etcd does not check whether a guest's access is recursive.
        let role = auth.role(guest(), false);
        return role.is_ok_and(|role| role.allows(&key, write, false));
    };
    user.roles.iter().flatten().any(|role| {
        let role = auth.role(role, false);
        role.is_ok_and(|role| role.allows(&key, write, recursive))
    })
}

/// Whether the caller may change members and auth.
pub(crate) fn has_root_access(cluster: &mut EtcdCluster, request: &Incoming<'_>) -> bool {
    let endpoint = request.endpoint;
    let mut auth = Auth { cluster, endpoint };
    if !auth.is_enabled() {
        return true;
    }
    let user = if has_credentials(request.headers) {
        authenticate(&mut auth, request.headers)
    } else {
        named_by_certificate(&mut auth, request)
    };
    user.is_some_and(|user| user.roles.iter().flatten().any(|role| is_root_role(role)))
}

pub(crate) fn enable(cluster: &mut EtcdCluster, request: &Incoming<'_>, reply: Reply) -> Handled {
    let profile = cluster.profile;
    if !matches!(*request.method, Method::GET | Method::PUT | Method::DELETE) {
        return reply.not_allowed(Some(METHODS)).into();
    }
    if request.method != Method::GET && !has_root_access(cluster, request) {
        return reply.insufficient_credentials(profile).into();
    }
    if let Some(handled) = wait_for_quorum(cluster, request) {
        return handled;
    }
    let mut reply = reply.cluster(cluster).json();
    let endpoint = request.endpoint;
    let mut auth = Auth { cluster, endpoint };
    let is_enabled = auth.is_enabled();
    let result = match *request.method {
        Method::PUT => auth.enable(),
        Method::DELETE => auth.disable(),
        _ => {
            reply.body = format!("{{\"enabled\":{is_enabled}}}\n").into_bytes();
            Ok(())
        }
    };
    match result {
        Ok(()) => reply.into(),
        Err(error) => refuse(reply, &error, profile).into(),
    }
}

pub(crate) fn users(
    cluster: &mut EtcdCluster,
    request: &Incoming<'_>,
    rest: &[u8],
    reply: Reply,
) -> Handled {
    family(cluster, request, rest, reply, list_users, one_user)
}

pub(crate) fn roles(
    cluster: &mut EtcdCluster,
    request: &Incoming<'_>,
    rest: &[u8],
    reply: Reply,
) -> Handled {
    family(cluster, request, rest, reply, list_roles, one_role)
}

type Listed = fn(&mut Auth<'_>, Profile) -> Result<Vec<u8>, AuthError>;
type One = fn(&mut Auth<'_>, &Incoming<'_>, &str) -> Result<(u16, Vec<u8>), AuthError>;

/// Serves the list of a family, or one of it when the path names one.
fn family(
    cluster: &mut EtcdCluster,
    request: &Incoming<'_>,
    rest: &[u8],
    reply: Reply,
    list: Listed,
    one: One,
) -> Handled {
    let profile = cluster.profile;
    let name = rest.strip_prefix(b"/").unwrap_or(rest);
    let name = name.strip_suffix(b"/").unwrap_or(name);
    if name.contains(&b'/') {
        return reply.message(400, "Invalid path", profile).into();
    }
    let is_list = name.is_empty();
    let allowed = if is_list { "GET" } else { METHODS };
    let is_write = matches!(*request.method, Method::PUT | Method::DELETE) && !is_list;
    if request.method != Method::GET && !is_write {
        return reply.not_allowed(Some(allowed)).into();
    }
    if !has_root_access(cluster, request) {
        return reply.insufficient_credentials(profile).into();
    }
    if let Some(handled) = wait_for_quorum(cluster, request) {
        return handled;
    }
    let reply = reply.cluster(cluster).json();
    let endpoint = request.endpoint;
    let mut auth = Auth { cluster, endpoint };
    let result = if is_list {
        list(&mut auth, profile).map(|body| (200, body))
    } else {
        one(&mut auth, request, &String::from_utf8_lossy(name))
    };
    match result {
        Ok((status, body)) => {
            let mut reply = reply.status(status);
            reply.body = body;
            reply.into()
        }
        Err(error) => refuse(reply, &error, profile).into(),
    }
}

fn list_users(auth: &mut Auth<'_>, profile: Profile) -> Result<Vec<u8>, AuthError> {
    let mut body = b"{\"users\":".to_vec();
    let names = auth.user_names();
    for (position, name) in names.iter().enumerate() {
        body.push(if position == 0 { b'[' } else { b',' });
        let user = auth.user(name, false)?;
        let roles = user.roles.iter().flatten();
        let roles = roles.filter_map(|role| auth.role(role, false).ok());
        let roles: Vec<Role> = roles.collect();
        push_user(&mut body, &user, &roles, profile);
    }
    body.extend_from_slice(if names.is_empty() {
        b"null}\n"
    } else {
        b"]}\n"
    });
    Ok(body)
}

fn list_roles(auth: &mut Auth<'_>, profile: Profile) -> Result<Vec<u8>, AuthError> {
    let mut body = b"{\"roles\":[".to_vec();
    for (position, name) in auth.role_names().iter().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        auth.role(name, false)?.push(&mut body, profile);
    }
    body.extend_from_slice(b"]}\n");
    Ok(body)
}

fn one_user(
    auth: &mut Auth<'_>,
    request: &Incoming<'_>,
    name: &str,
) -> Result<(u16, Vec<u8>), AuthError> {
    let profile = auth.cluster.profile;
    let mut body = Vec::new();
    match *request.method {
        Method::PUT => {
            let wanted = User::parse(request.body).ok_or_else(bad_json)?;
            let (mut user, created) = put_user(auth, name, wanted)?;
            user.password.clear();
            user.push(&mut body, profile);
            body.push(b'\n');
            return Ok((if created { 201 } else { 200 }, body));
        }
        Method::DELETE => auth.delete_user(name)?,
        _ => {
            let user = auth.user(name, false)?;
            let mut roles = Vec::new();
            for role in user.roles.iter().flatten() {
                roles.push(auth.role(role, false)?);
            }
            push_user(&mut body, &user, &roles, profile);
            body.push(b'\n');
        }
    }
    Ok((200, body))
}

fn put_user(auth: &mut Auth<'_>, name: &str, wanted: User) -> Result<(User, bool), AuthError> {
    let has = |list: &Option<Vec<String>>| list.as_deref().is_some_and(|list| !list.is_empty());
    if wanted.user != name {
        return Err(bad_request(
            "User JSON name does not match the name in the URL",
        ));
    }
    if !has(&wanted.grant) && !has(&wanted.revoke) {
        return if has(&wanted.roles) {
            Ok((auth.create_user(wanted)?, false))
        } else {
            auth.create_or_update_user(wanted)
        };
    }
    if has(&wanted.roles) {
        return Err(bad_request(
            "User JSON contains both roles and grant/revoke",
        ));
    }
    Ok((auth.update_user(&wanted)?, false))
}

fn one_role(
    auth: &mut Auth<'_>,
    request: &Incoming<'_>,
    name: &str,
) -> Result<(u16, Vec<u8>), AuthError> {
    let profile = auth.cluster.profile;
    let mut body = Vec::new();
    let mut status = 200;
    match *request.method {
        Method::PUT => {
            let wanted = Role::parse(request.body).ok_or_else(bad_json)?;
            let (role, created) = put_role(auth, name, wanted)?;
            if created {
                status = 201;
            }
            role.push(&mut body, profile);
            body.push(b'\n');
        }
        Method::DELETE => auth.delete_role(name)?,
        _ => {
            auth.role(name, false)?.push(&mut body, profile);
            body.push(b'\n');
        }
    }
    Ok((status, body))
}

fn put_role(auth: &mut Auth<'_>, name: &str, wanted: Role) -> Result<(Role, bool), AuthError> {
    if wanted.role != name {
        return Err(bad_request(
            "Role JSON name does not match the name in the URL",
        ));
    }
    let changes = [&wanted.grant, &wanted.revoke];
    if changes
        .into_iter()
        .flatten()
        .all(|change| change.is_empty())
    {
        auth.create_role(wanted.clone())?;
        return Ok((wanted, true));
    }
    if !wanted.permissions.is_empty() {
        return Err(bad_request(
            "Role JSON contains both permissions and grant/revoke",
        ));
    }
    Ok((auth.update_role(&wanted)?, false))
}

fn push_user(out: &mut Vec<u8>, user: &User, roles: &[Role], profile: Profile) {
    out.extend_from_slice(b"{\"user\":");
    push_string(out, user.user.as_bytes(), profile);
    for (position, role) in roles.iter().enumerate() {
        let before: &[u8] = if position == 0 { b",\"roles\":[" } else { b"," };
        out.extend_from_slice(before);
        role.push(out, profile);
    }
    out.extend_from_slice(if roles.is_empty() { b"}" } else { b"]}" });
}

fn bad_json() -> AuthError {
    bad_request("Invalid JSON in request body.")
}

/// An error of the endpoint rather than of auth: it does not begin with `auth: `.
fn bad_request(message: &str) -> AuthError {
    AuthError::BadRequest(message.to_owned())
}

fn refuse(reply: Reply, error: &AuthError, profile: Profile) -> Reply {
    match error {
        AuthError::Refused(status, message) => {
            reply.message(*status, &format!("auth: {message}"), profile)
        }
        AuthError::BadRequest(message) => reply.message(400, message, profile),
        AuthError::Store(error) => reply.store_error(error, profile),
        AuthError::Internal => reply.message(500, "Internal Server Error", profile),
    }
}

/// Changes of auth have to be committed.
fn wait_for_quorum(cluster: &EtcdCluster, request: &Incoming<'_>) -> Option<Handled> {
    if request.method == Method::GET || cluster.can_commit_at(request.endpoint) {
        return None;
    }
    if !request.timed_out {
        return Some(Handled::Blocked);
    }
    let reply = Reply::new().cluster(cluster);
    let internal = reply.message(500, "Internal Server Error", cluster.profile);
    Some(internal.into())
}

fn has_credentials(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION);
    value.is_some_and(|value| !value.is_empty())
}

/// The user that the client's certificate names.
fn named_by_certificate(auth: &mut Auth<'_>, request: &Incoming<'_>) -> Option<User> {
    auth.user(request.common_name?, false).ok()
}

/// The user whose name and password the request has.
fn authenticate(auth: &mut Auth<'_>, headers: &HeaderMap) -> Option<User> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, credentials) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let credentials = BASE64.decode(credentials).ok()?;
    let colon = credentials.iter().position(|&byte| byte == b':')?;
    let (name, password) = (&credentials[..colon], &credentials[colon + 1..]);
    let user = auth.user(&String::from_utf8_lossy(name), false).ok()?;
    auth.is_right(&user, password).then_some(user)
}
