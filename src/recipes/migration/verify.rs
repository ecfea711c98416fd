use std::{fmt, time::Duration};

use bytes::Bytes;
use etcd_transport::Transport;
use futures::TryStreamExt;

use super::{
    Migration,
    item::{Content, is_same_time},
    journal,
    leases::Leases,
    report::NoteKind,
    source::Tree,
};
use crate::{
    recipes::error::RecipeError,
    v3::{KeyRange, KeyValue, RangeStream},
};

/// The differences between v2 and v3. `Display` says all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Keys with the same value and time to live on both sides.
    pub same: u64,
    /// The differences, in the order of the keys.
    pub differences: Vec<Difference>,
}

/// A key that v2 and v3 do not have alike.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The key in the target's namespace.
    pub key: Bytes,
    /// What differs.
    pub kind: DifferenceKind,
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DifferenceKind {
    /// Only v2 has the key.
    Missing,
    /// Only v3 has the key.
    OnlyInTarget,
    /// The values differ.
    Value,
    /// The key does not expire at the same time, within 3 s.
    TimeToLive {
        /// The remaining time in v2.
        source: Option<Duration>,
        /// The remaining time in v3.
        target: Option<Duration>,
    },
}

impl Verification {
    /// Returns whether there is no difference.
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }

    fn differs(&mut self, key: impl Into<Bytes>, kind: DifferenceKind) {
        let key = key.into();
        self.differences.push(Difference { key, kind });
    }
}

/// Compares a tree with the target.
pub(super) async fn verify<S: Transport, T: Transport>(
    migration: &Migration<S, T>,
    tree: Tree,
) -> Result<Verification, RecipeError> {
    let Migration {
        source,
        target,
        root,
        ..
    } = migration;
    let read = || {
        let all = RangeStream::new(KeyRange::all());
        target.open(all).try_collect::<Vec<KeyValue>>()
    };
    let transport = target.client().transport();
    let keys = migration.attempts().repeat(transport, read).await?;
    let mut leases = Leases::new(migration, source.transport().now());
    let mut result = Verification::default();
    let mut files = tree.files;
    for kv in keys {
        if journal::is_record(&kv.key) {
            continue;
        }
        let file = kv.key_str().ok().and_then(|key| files.remove(key));
        let Some(Content { value, expires }) = file else {
            result.differs(kv.key, DifferenceKind::OnlyInTarget);
            continue;
        };
        let target = leases.of_key(&kv).await?;
        let now = source.transport().now();
        let source = expires.map(|it| it.saturating_duration_since(now));
        let is_same = match (source, target) {
            (Some(source), Some(target)) => is_same_time(source, target),
            (source, target) => source == target,
        };
        if value != kv.value {
            result.differs(kv.key, DifferenceKind::Value);
        } else if is_same {
            result.same += 1;
        } else {
            result.differs(kv.key, DifferenceKind::TimeToLive { source, target });
        }
    }
    for key in files.into_keys() {
        result.differs(key, DifferenceKind::Missing);
    }
    for note in tree.notes {
        if note.kind == NoteKind::UnreadableName {
            let key = note.path.strip_prefix(root.as_str()).unwrap_or(&note.path);
            result.differs(
                key.trim_start_matches('/').to_owned(),
                DifferenceKind::Missing,
            );
        }
    }
    result.differences.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(result)
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { same, differences } = self;
        write!(f, "{same} keys are the same, {} differ", differences.len())?;
        for difference in differences {
            write!(f, "\n{difference}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.key, self.kind)
    }
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("only in v2"),
            Self::OnlyInTarget => f.write_str("only in v3"),
            Self::Value => f.write_str("the values differ"),
            Self::TimeToLive { source, target } => {
                let shown = |left: &Option<Duration>| match left {
                    Some(left) => format!("in {left:?}"),
                    None => "never".to_owned(),
                };
                let (source, target) = (shown(source), shown(target));
                write!(f, "expires {source} in v2, and {target} in v3")
            }
        }
    }
}
