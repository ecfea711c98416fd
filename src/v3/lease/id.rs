use std::fmt;

use serde::Deserializer;

use crate::v3::protocol::gateway;

/// The id of a lease. Shown as etcdctl shows it, in hexadecimal.
///
/// ```
/// use etcd_http::v3::LeaseId;
///
/// assert_eq!(LeaseId::from(0x694d_81bf).to_string(), "694d81bf");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

impl gateway::ToWire for LeaseId {
    fn is_default(&self) -> bool {
        self.is_none()
    }

    fn write(&self, json: &mut String) {
        self.0.write(json);
    }
}

impl gateway::FromWire for LeaseId {
    fn read<'de, D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        i64::read(json).map(Self)
    }
}
