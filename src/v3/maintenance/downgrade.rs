use crate::{
    error::{Error, Result},
    pipeline::call::Repeat,
    v3::{
        Header,
        protocol::message::{self, Encode, Fields},
    },
};

message::names! {
    enum Action {
        Validate = 0 "VALIDATE",
        Enable = 1 "ENABLE",
        Cancel = 2 "CANCEL",
    }
}

/// Prepares a cluster for an older version of etcd: `POST /v3/maintenance/downgrade`. Since etcd 3.5.
///
/// etcd 3.5 applies the request and then usually responds `request timed out`, so that the outcome is unknown.
///
/// **Do not send it while a cluster is upgraded from 3.4**: as with [`GetAuthStatus`](crate::v3::GetAuthStatus),
/// members of 3.4 panic.
///
/// # Errors
/// [`InvalidDowngradeTarget`](crate::EtcdErrorKind::InvalidDowngradeTarget): only one minor version down;
/// [`DowngradeInProgress`](crate::EtcdErrorKind::DowngradeInProgress);
/// [`NoDowngradeInProgress`](crate::EtcdErrorKind::NoDowngradeInProgress).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Downgrade {
    action: Action,
    version: String,
}

impl Downgrade {
    /// Checks whether the cluster could be downgraded to this version, such as `3.4.0`.
    pub fn validate(version: impl AsRef<str>) -> Self {
        Self {
            action: Action::Validate,
            version: version.as_ref().to_owned(),
        }
    }

    /// Starts a downgrade to this version: the members can then be replaced one after the other.
    pub fn enable(version: impl AsRef<str>) -> Self {
        Self {
            action: Action::Enable,
            version: version.as_ref().to_owned(),
        }
    }

    /// Cancels a downgrade.
    pub fn cancel() -> Self {
        Self {
            action: Action::Cancel,
            version: String::new(),
        }
    }
}

impl Encode for Downgrade {
    fn check(&self, operation: &'static str) -> Result<()> {
        if self.version.is_empty() && self.action != Action::Cancel {
            return Err(Error::invalid(
                operation,
                "a version is required, such as 3.4.0",
            ));
        }
        Ok(())
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "action", &self.action)
            .put(2, "version", &self.version);
    }
}

crate::v3::protocol::operation!(
    Downgrade => DowngradeResponse,
    "v3.maintenance.downgrade",
    DOWNGRADE,
    |downgrade| {
        if downgrade.action == Action::Validate { Repeat::Always } else { Repeat::IfUnsent }
    }
);

/// The response to a [`Downgrade`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DowngradeResponse {
    /// The header of the response.
    pub header: Header,
    /// The version of the cluster before the downgrade.
    pub version: String,
}

message::decode!(DowngradeResponse {
    1 "header" => header,
    2 "version" => version,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, body, decoded};

    #[test]
    fn the_request_is_as_documented() {
        let validate = Downgrade::validate("3.4.0");
        let call = validate.request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/maintenance/downgrade", Repeat::Always)
        );
        assert_eq!(body(&validate), r#"{"version":"3.4.0"}"#);
        let enable = Downgrade::enable("3.4.0");
        assert_eq!(body(&enable), r#"{"action":"ENABLE","version":"3.4.0"}"#);
        assert_eq!(enable.request().unwrap().repeat(), Repeat::IfUnsent);
        assert_eq!(body(&Downgrade::cancel()), r#"{"action":"CANCEL"}"#);
        assert!(Downgrade::enable("").request().is_err());
    }

    #[test]
    fn responses_are_read() {
        let json = r#"{"header":{"cluster_id":"7","revision":"2"}, "version":"3.5.0"}"#;
        let answer = decoded(&Downgrade::validate("3.4.0"), 200, json).unwrap();
        assert_eq!(answer.version, "3.5.0");
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.DowngradeRequest")
            .send(&Downgrade::validate("3.4.0"))
            .send(&Downgrade::enable("3.4.0"))
            .send(&Downgrade::cancel())
            .all_fields_but(&[]);
        response::<DowngradeResponse>("etcdserverpb.DowngradeResponse", &[]);
    }
}
