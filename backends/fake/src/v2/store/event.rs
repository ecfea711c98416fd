use std::sync::Arc;

/// Shared bytes: values and keys. etcd does not require UTF-8.
pub(crate) type Text = Arc<[u8]>;

/// What a write did, as the `action` of an event names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Set,
    Update,
    Delete,
    CompareAndSwap,
    CompareAndDelete,
    Expire,
}

impl Action {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Set => "set",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::CompareAndSwap => "compareAndSwap",
            Self::CompareAndDelete => "compareAndDelete",
            Self::Expire => "expire",
        }
    }
}

/// A node as it was when the event happened.
#[derive(Clone, Debug)]
pub(crate) struct NodeView {
    /// The full path in the store, namespace included: `/1/a` is the key `/a`.
    pub(crate) path: Text,
    /// Absent for directories and removed nodes.
    pub(crate) value: Option<Text>,
    pub(crate) dir: bool,
    pub(crate) expiry: Option<Expiry>,
    pub(crate) modified: u64,
    pub(crate) created: u64,
}

/// When a node expires, and how much time was left when the event happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    /// Nanoseconds since the Unix epoch.
    pub(crate) at: i64,
    /// Remaining seconds, rounded up. Not positive when the time has passed.
    pub(crate) ttl: i64,
}

impl Expiry {
    pub(crate) fn seen(at: i64, now: i64) -> Self {
        const SECOND: i64 = 1_000_000_000;
        let left = at.saturating_sub(now);
        let ttl = left / SECOND + i64::from(left % SECOND > 0);
        Self { at, ttl }
    }
}

/// One change of the store, as history stores it and watchers receive it.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) action: Action,
    pub(crate) node: NodeView,
    pub(crate) prev: Option<NodeView>,
    /// A refresh is in history, but no watcher receives it.
    pub(crate) refresh: bool,
}

impl Event {
    pub(crate) fn index(&self) -> u64 {
        self.node.modified
    }

    /// Whether the response is a 201.
    pub(crate) fn is_created(&self) -> bool {
        match self.action {
            Action::Create => true,
            Action::Set => self.prev.is_none(),
            _ => false,
        }
    }
}
