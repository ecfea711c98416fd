use crate::{
    error::Error,
    operation::Repeat,
    v3::{
        Header, LeaseId,
        header::OnlyHeader,
        protocol::gateway::{self, Encode, Fields},
    },
};

/// Ends a lease, and deletes its keys in one step: `POST /v3/lease/revoke`. Answers the header.
///
/// # Errors
/// [`is_lease_not_found`](crate::Error::is_lease_not_found), unless an attempt of this call may have ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct RevokeLease {
    id: LeaseId,
}

impl RevokeLease {
    /// Ends this lease.
    pub fn new(id: impl Into<LeaseId>) -> Self {
        Self { id: id.into() }
    }
}

impl Encode for RevokeLease {
    fn fields(&self, to: &mut Fields<'_>) {
        to.put("ID", &self.id);
    }
}

gateway::operation!(
    RevokeLease => Header, in OnlyHeader,
    "v3.lease.revoke",
    "/v3/lease/revoke",
    |_| Repeat::Always,
    done if Error::is_lease_not_found
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::Operation,
        v3::testing::{body, decoded, decoded_after_doubt},
    };

    const NOT_FOUND: &str = r#"{"code":5, "message":"etcdserver: requested lease not found"}"#;

    #[test]
    fn the_request_is_as_documented() {
        let call = RevokeLease::new(7).encode().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/lease/revoke", Repeat::Always)
        );
        assert_eq!(body(&RevokeLease::new(7)), r#"{"ID":"7"}"#);
    }

    #[test]
    fn answers_are_read() {
        let header = decoded(&RevokeLease::new(7), 200, r#"{"header":{"revision":"7"}}"#).unwrap();
        assert_eq!(header.revision, 7);
        let error = decoded(&RevokeLease::new(7), 404, NOT_FOUND).unwrap_err();
        assert!(error.is_lease_not_found(), "{error}");
    }

    #[test]
    fn r_4_a_lease_that_an_attempt_of_ours_ended_has_ended() {
        assert!(decoded_after_doubt(&RevokeLease::new(7), 404, NOT_FOUND).is_ok());
    }
}
