use std::{error::Error as StdError, sync::Arc};

use bytes::Bytes;

/// Why keys are not valid settings of a [`Config`](super::Config).
#[derive(Clone, Debug, thiserror::Error)]
#[error("the settings at revision {revision} are rejected{}: {error}", of_key(.key.as_ref()))]
#[non_exhaustive]
pub struct InvalidConfig {
    /// The revision of the keys.
    pub revision: i64,
    /// The key whose value does not fit, if it is a single one.
    pub key: Option<Bytes>,
    /// The reason: of the decoder, or of the check.
    pub error: Arc<dyn StdError + Send + Sync>,
}

impl InvalidConfig {
    /// The keys at this revision are not valid: because of one of them, or altogether. For your own tests.
    pub fn new(
        revision: i64,
        key: Option<Bytes>,
        error: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            revision,
            key,
            error: Arc::from(error.into()),
        }
    }
}

fn of_key(key: Option<&Bytes>) -> String {
    key.map_or_else(String::new, |key| format!(", because of the key {key:?}"))
}
