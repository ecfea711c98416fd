use http::StatusCode;

use crate::error::Outcome;

/// What the status of a response without etcd's words says about the request. Such a response is from a proxy, or from
/// another program, or it is etcd's response to `HEAD`, which has no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForeignStatus {
    /// It was kept from etcd where it was sent, and another endpoint may serve it.
    NotServed,
    /// It was refused as it is: another endpoint would do the same.
    Rejected,
    /// It may have been applied.
    Unknown,
}

impl ForeignStatus {
    /// Classifies a status.
    pub(crate) fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            // A redirect that keeps the method: etcd is elsewhere. After a 303, which does not, it may have been applied.
            301 | 302 | 307 | 308 => Self::NotServed,
            // A proxy wants other credentials, or has no route to etcd, or does not take this host name.
            401 | 403 | 404 | 421 => Self::NotServed,
            // Limits of a proxy, which etcd need not share: on the body, on the rate, on headers.
            413 | 429 | 431 => Self::NotServed,
            // By its definition, a status of this class says that the request was at fault.
            400..500 => Self::Rejected,
            _ => Self::Unknown,
        }
    }

    /// Returns the outcome of a write with such a response.
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::NotServed | Self::Rejected => Outcome::Rejected,
            Self::Unknown => Outcome::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16) -> ForeignStatus {
        ForeignStatus::of(StatusCode::from_u16(status).unwrap())
    }

    #[test]
    fn only_what_keeps_requests_from_etcd_is_not_served() {
        let not_served = (100..600).filter(|status| of(*status) == ForeignStatus::NotServed);
        assert!(not_served.eq([301, 302, 307, 308, 401, 403, 404, 413, 421, 429, 431]));
    }

    #[test]
    fn a_write_is_rejected_by_a_redirect_that_keeps_it_and_by_every_client_error() {
        let rejected = (100..600).filter(|status| of(*status).outcome() == Outcome::Rejected);
        assert!(rejected.eq([301, 302, 307, 308].into_iter().chain(400..500)));
    }
}
