use serde::Serialize;

use crate::json::{Decode, decoded};

decoded! {
    /// What a role may read and write: exact keys, or prefixes that end in `*`. <https://etcd.io/docs/v2.3/auth_api/>
    ///
    /// A recursive read or watch requires a `*` pattern that matches the path as it is written: with `/app/*`, list
    /// `/app/`, with the slash.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    #[serde(default)]
    pub struct Permissions {
        /// The patterns that may be read.
        #[serde(deserialize_with = "Decode::decode")]
        pub read: Vec<String>,
        /// The patterns that may be written.
        #[serde(deserialize_with = "Decode::decode")]
        pub write: Vec<String>,
    }
}

impl Permissions {
    /// Creates an empty set of permissions.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a pattern that may be read.
    pub fn and_read(mut self, pattern: impl AsRef<str>) -> Self {
        self.read.push(pattern.as_ref().to_owned());
        self
    }

    /// Adds a pattern that may be written.
    pub fn and_write(mut self, pattern: impl AsRef<str>) -> Self {
        self.write.push(pattern.as_ref().to_owned());
        self
    }
}

/// Permissions as they are sent: etcd has only keys to give permissions for, and a field for others.
#[derive(Serialize)]
pub(super) struct PermissionsBody<'a> {
    kv: Patterns<'a>,
}

#[derive(Serialize)]
struct Patterns<'a> {
    read: &'a [String],
    write: &'a [String],
}

impl<'a> From<&'a Permissions> for PermissionsBody<'a> {
    fn from(Permissions { read, write }: &'a Permissions) -> Self {
        Self {
            kv: Patterns { read, write },
        }
    }
}
