//! Users and roles as JSON, read and written as Go does. An absent list is not an empty one.

use std::fmt;

use serde_json::{Map, Value};

use crate::{
    go::json::{push_string, push_strings},
    profile::Profile,
};

/// A user, or the user that a request describes.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) user: String,
    /// In the store: the hash. In a request: the password.
    pub(crate) password: String,
    pub(crate) roles: Option<Vec<String>>,
    pub(crate) grant: Option<Vec<String>>,
    pub(crate) revoke: Option<Vec<String>>,
}

/// A role, or the role that a request describes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) role: String,
    pub(crate) permissions: Permissions,
    pub(crate) grant: Option<Permissions>,
    pub(crate) revoke: Option<Permissions>,
}

/// Patterns of keys: exact ones, and prefixes that end in `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Permissions {
    pub(crate) read: Option<Vec<String>>,
    pub(crate) write: Option<Vec<String>>,
}

impl User {
    /// Reads the first JSON value of a body; `None` when it is not a user.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let Some(fields) = object(&first_value(body)?)? else {
            return Some(Self::default());
        };
        Some(Self {
            user: string(&fields, "user")?,
            password: string(&fields, "password")?,
            roles: strings(&fields, "roles")?,
            grant: strings(&fields, "grant")?,
            revoke: strings(&fields, "revoke")?,
        })
    }

    pub(crate) fn push(&self, out: &mut Vec<u8>, profile: Profile) {
        out.extend_from_slice(b"{\"user\":");
        push_string(out, self.user.as_bytes(), profile);
        if !self.password.is_empty() {
            out.extend_from_slice(b",\"password\":");
            push_string(out, self.password.as_bytes(), profile);
        }
        out.extend_from_slice(b",\"roles\":");
        push_list(out, self.roles.as_deref(), profile);
        for (name, list) in [("grant", &self.grant), ("revoke", &self.revoke)] {
            if let Some(list) = list.as_deref().filter(|list| !list.is_empty()) {
                out.extend_from_slice(format!(",\"{name}\":").as_bytes());
                push_list(out, Some(list), profile);
            }
        }
        out.push(b'}');
    }
}

/// Without the password.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("user", &self.user)
            .field("password", &"***")
            .field("roles", &self.roles)
            .field("grant", &self.grant)
            .field("revoke", &self.revoke)
            .finish()
    }
}

impl Role {
    /// Reads the first JSON value of a body; `None` when it is not a role.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let Some(fields) = object(&first_value(body)?)? else {
            return Some(Self::default());
        };
        Some(Self {
            role: string(&fields, "role")?,
            permissions: permissions(&fields, "permissions")?.unwrap_or_default(),
            grant: permissions(&fields, "grant")?,
            revoke: permissions(&fields, "revoke")?,
        })
    }

    pub(crate) fn push(&self, out: &mut Vec<u8>, profile: Profile) {
        out.extend_from_slice(b"{\"role\":");
        push_string(out, self.role.as_bytes(), profile);
        let named = [
            ("permissions", Some(&self.permissions)),
            ("grant", self.grant.as_ref()),
            ("revoke", self.revoke.as_ref()),
        ];
        for (name, permissions) in named {
            if let Some(permissions) = permissions {
                out.extend_from_slice(format!(",\"{name}\":").as_bytes());
                permissions.push(out, profile);
            }
        }
        out.push(b'}');
    }
}

impl Permissions {
    pub(crate) fn is_empty(&self) -> bool {
        let is_empty = |list: &Option<Vec<String>>| list.as_deref().is_none_or(<[_]>::is_empty);
        is_empty(&self.read) && is_empty(&self.write)
    }

    fn push(&self, out: &mut Vec<u8>, profile: Profile) {
        out.extend_from_slice(b"{\"kv\":{\"read\":");
        push_list(out, self.read.as_deref(), profile);
        out.extend_from_slice(b",\"write\":");
        push_list(out, self.write.as_deref(), profile);
        out.extend_from_slice(b"}}");
    }
}

/// The first JSON value of a body. The rest is ignored.
fn first_value(body: &[u8]) -> Option<Value> {
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    values.next()?.ok()
}

/// The fields of an object; `Some(None)` for null, which Go reads as nothing.
fn object(value: &Value) -> Option<Option<Map<String, Value>>> {
    match value {
        Value::Object(fields) => Some(Some(fields.clone())),
        Value::Null => Some(None),
        _ => None,
    }
}

/// A field, its name compared without regard to case.
fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let exact = fields.get(name);
    exact.or_else(|| {
        let mut others = fields.iter();
        others
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

fn string(fields: &Map<String, Value>, name: &str) -> Option<String> {
    match field(fields, name) {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => None,
    }
}

fn strings(fields: &Map<String, Value>, name: &str) -> Option<Option<Vec<String>>> {
    match field(fields, name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::Array(items)) => {
            let items = items.iter().map(|item| match item {
                Value::String(text) => Some(text.clone()),
                Value::Null => Some(String::new()),
                _ => None,
            });
            items.collect::<Option<Vec<String>>>().map(Some)
        }
        Some(_) => None,
    }
}

fn permissions(fields: &Map<String, Value>, name: &str) -> Option<Option<Permissions>> {
    let Some(value) = field(fields, name) else {
        return Some(None);
    };
    let Some(fields) = object(value)? else {
        return Some(None);
    };
    let Some(kv) = field(&fields, "kv") else {
        return Some(Some(Permissions::default()));
    };
    let Some(kv) = object(kv)? else {
        return Some(Some(Permissions::default()));
    };
    Some(Some(Permissions {
        read: strings(&kv, "read")?,
        write: strings(&kv, "write")?,
    }))
}

fn push_list(out: &mut Vec<u8>, list: Option<&[String]>, profile: Profile) {
    match list {
        Some(list) => push_strings(out, list, profile),
        None => out.extend_from_slice(b"null"),
    }
}
