use crate::{
    error::Error,
    v3::{
        LeaseId,
        protocol::message::{Encode, Fields},
    },
};

/// Revokes a lease and deletes its keys, atomically: `POST /v3/lease/revoke`. Returns the header.
///
/// # Errors
/// [`is_lease_not_found`](crate::Error::is_lease_not_found), unless an earlier attempt of this call may have revoked
/// it.
#[doc(alias = "lease revoke")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct RevokeLease {
    id: LeaseId,
}

impl RevokeLease {
    /// Revokes this lease.
    pub fn new(id: impl Into<LeaseId>) -> Self {
        Self { id: id.into() }
    }
}

impl Encode for RevokeLease {
    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "ID", &self.id);
    }

    fn lease(&self) -> i64 {
        self.id.get()
    }
}

crate::v3::protocol::operation!(
    RevokeLease => Header,
    "v3.lease.revoke",
    LEASE_REVOKE, Always,
    done if Error::is_lease_not_found
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, Repeat, body, decoded, decoded_after_doubt};

    const NOT_FOUND: &str = r#"{"code":5, "message":"etcdserver: requested lease not found"}"#;

    #[test]
    fn the_request_is_as_documented() {
        let call = RevokeLease::new(7).request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/lease/revoke", Repeat::Always)
        );
        assert_eq!(body(&RevokeLease::new(7)), r#"{"ID":"7"}"#);
    }

    #[test]
    fn responses_are_read() {
        let header = decoded(
            &RevokeLease::new(7),
            200,
            r#"{"header":{"cluster_id":"7","revision":"7"}}"#,
        )
        .unwrap();
        assert_eq!(header.revision, 7);
        let error = decoded(&RevokeLease::new(7), 404, NOT_FOUND).unwrap_err();
        assert!(error.is_lease_not_found(), "{error}");
    }

    #[test]
    fn r_4_a_lease_that_an_attempt_of_ours_ended_has_ended() {
        assert!(decoded_after_doubt(&RevokeLease::new(7), 404, NOT_FOUND).is_ok());
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::Requests;

        Requests::of("etcdserverpb.LeaseRevokeRequest")
            .send(&RevokeLease::new(-7))
            .all_fields_but(&[]);
    }
}
