use http::HeaderMap;

use super::{error::GatewayError, header};
use crate::v3::api::Call;

/// In less time, in nanoseconds, no gateway calls etcd.
const SHORTEST: i64 = 1_000;

/// Conditions that the headers of a request set for its call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// When the caller wants no response any more (`Grpc-Timeout`), in the time of the fake's clock.
    pub(super) deadline: Option<u64>,
    /// Whether the member must know a leader (`Grpc-Metadata-hasleader`).
    pub(super) needs_leader: bool,
    /// Whether there was no time from the beginning.
    pub(super) is_expired: bool,
}

impl Limits {
    /// What the headers of a request say that `arrived` then.
    pub(super) fn read(headers: &HeaderMap, arrived: u64) -> Result<Self, GatewayError> {
        let timeout = timeout(headers)?;
        let has_leader = header(headers, "grpc-metadata-hasleader");
        Ok(Self {
            deadline: timeout.map(|timeout| {
                let timeout = u64::try_from(timeout).unwrap_or_default();
                arrived.saturating_add(timeout)
            }),
            needs_leader: has_leader.is_some_and(|value| value.as_bytes() == b"true"),
            is_expired: timeout.is_some_and(|timeout| timeout < SHORTEST),
        })
    }

    /// Whether the member serves this call. `is_for_learners`: a learner does, too.
    pub(super) fn check(self, call: &Call<'_>, is_for_learners: bool) -> Result<(), GatewayError> {
        if self.is_expired {
            return Err(GatewayError::deadline_exceeded());
        }
        Ok(call.admit(is_for_learners, self.needs_leader)?)
    }
}

/// The header `Grpc-Timeout`: a number and the letter of a unit, in nanoseconds. Zero is none.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<i64>, GatewayError> {
    let Some(value) = header(headers, "grpc-timeout") else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let units = [
        ('H', 3_600_000_000_000),
        ('M', 60_000_000_000),
        ('S', 1_000_000_000),
        ('m', 1_000_000),
        ('u', 1_000),
        ('n', 1),
    ];
    let found = units.iter().find_map(|&(letter, nanos): &(char, i64)| {
        let number: i64 = text.strip_suffix(letter)?.parse().ok()?;
        Some(number.wrapping_mul(nanos))
    });
    match found {
        Some(0) => Ok(None),
        Some(nanos) => Ok(Some(nanos)),
        None if text.is_empty() => Ok(None),
        None => Err(GatewayError::invalid(format!(
            "invalid grpc-timeout: {text}"
        ))),
    }
}
