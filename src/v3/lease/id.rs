use std::{fmt, str::FromStr};

use crate::{
    error::Error,
    v3::protocol::message::{FromWire, ReadValue, ToWire, WriteValue},
};

/// The id of a lease. `Display` and `Debug` show it as etcd does, in hexadecimal with a sign, and `FromStr` reads it.
///
/// ```
/// use etcd_http::v3::LeaseId;
///
/// let id = LeaseId::from(0x694d_81bf);
/// assert_eq!(format!("{id}"), "694d81bf");
/// assert_eq!(format!("{id:?}"), "694d81bf");
/// assert_eq!("694d81bf".parse::<LeaseId>()?, id);
///
/// // With 16 characters, as etcdctl prints it.
/// assert_eq!(format!("{id:016}"), "00000000694d81bf");
/// assert_eq!(format!("{}", LeaseId::from(-8)), "-8");
/// # Ok::<(), etcd_http::Error>(())
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
        f.pad_integral(self.0 >= 0, "", &format!("{:x}", self.0.unsigned_abs()))
    }
}

impl fmt::Debug for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads hexadecimal, with or without a sign and leading zeros, as etcdctl does.
impl FromStr for LeaseId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        i64::from_str_radix(text, 16).map(Self).map_err(|error| {
            let reason = format!("{text:?} is not a hexadecimal number of 64 bits: {error}");
            Error::invalid("lease id", reason)
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_and_read_as_etcdctl_does() {
        for (number, short, long) in [
            (0x694d_81bf, "694d81bf", "00000000694d81bf"),
            (0, "0", "0000000000000000"),
            (-8, "-8", "-000000000000008"),
            (i64::MAX, "7fffffffffffffff", "7fffffffffffffff"),
            (i64::MIN, "-8000000000000000", "-8000000000000000"),
        ] {
            let id = LeaseId::from(number);
            assert_eq!(id.to_string(), short);
            assert_eq!(format!("{id:?}"), short);
            assert_eq!(format!("{id:016}"), long);
            for text in [short, long] {
                assert_eq!(text.parse::<LeaseId>().unwrap(), id, "{text}");
            }
        }
        for text in ["", "-", "x", "0x7", "fffffffffffffff8", " 7"] {
            let error = text.parse::<LeaseId>().unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{error}");
        }
    }
}
