use std::fmt;

use crate::v3::protocol::message::{FromWire, ReadValue, ToWire, WriteValue};

/// The id of a lease. `Display` and `Debug` show it as etcdctl does, in hexadecimal.
///
/// ```
/// use etcd_http::v3::LeaseId;
///
/// let id = LeaseId::from(0x694d_81bf);
/// assert_eq!((format!("{id}"), format!("{id:?}")), ("694d81bf".into(), "694d81bf".into()));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(i64);

impl LeaseId {
    /// No lease: etcd's 0.
    pub const NONE: Self = Self(0);

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }

    /// Whether it is no lease at all.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

impl From<i64> for LeaseId {
    fn from(id: i64) -> Self {
        Self(id)
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Debug for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ToWire for LeaseId {
    const IS_PACKED: bool = true;

    fn is_default(&self) -> bool {
        self.is_none()
    }

    fn write<W: WriteValue>(&self, to: W) {
        to.int64(self.0);
    }
}

impl FromWire for LeaseId {
    const IS_PACKED: bool = true;

    fn read<R: ReadValue>(from: R) -> Result<Self, R::Error> {
        from.int64().map(Self)
    }
}
