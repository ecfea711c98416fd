use serde::{Deserialize, Serialize};

use crate::v2::auth::null_is_empty;

/// What a role may read and write: exact keys, or prefixes that end in `*`. <https://etcd.io/docs/v2.3/auth_api/>
///
/// A recursive read or watch requires a `*` pattern that matches the path as it is written: with `/app/*`, list
/// `/app/`, with the slash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Permissions {
    /// The patterns that may be read.
    #[serde(deserialize_with = "null_is_empty")]
    pub read: Vec<String>,
    /// The patterns that may be written.
    #[serde(deserialize_with = "null_is_empty")]
    pub write: Vec<String>,
}

impl Permissions {
    /// Creates an empty set of permissions.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a pattern that may be read.
    pub fn and_read(mut self, pattern: impl Into<String>) -> Self {
        self.read.push(pattern.into());
        self
    }

    /// Adds a pattern that may be written.
    pub fn and_write(mut self, pattern: impl Into<String>) -> Self {
        self.write.push(pattern.into());
        self
    }
}
