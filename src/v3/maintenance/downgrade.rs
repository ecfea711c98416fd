use crate::{
    error::{Error, Result},
    operation::Repeat,
    v3::{
        Header,
        protocol::gateway::{self, Encode, Fields},
    },
};

gateway::names! {
    enum Action {
        Validate = "VALIDATE",
        Enable = "ENABLE",
        Cancel = "CANCEL",
    }
}

/// Prepares a cluster for an older version of etcd: `POST /v3/maintenance/downgrade`. From etcd 3.5 on.
///
/// etcd 3.5 carries out what it is asked for, and then mostly answers `request timed out`: an outcome that is not known.
///
/// **Not while a cluster is being upgraded from 3.4**: as for [`GetAuthStatus`](crate::v3::GetAuthStatus), those of 3.4 end with a
/// panic.
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
    /// Asks whether the cluster could be downgraded to this version, such as `3.4.0`.
    pub fn validate(version: impl Into<String>) -> Self {
        Self {
            action: Action::Validate,
            version: version.into(),
        }
    }

    /// Lets the cluster be downgraded to this version: its members may be replaced one after the other.
    pub fn enable(version: impl Into<String>) -> Self {
        Self {
            action: Action::Enable,
            version: version.into(),
        }
    }

    /// Ends it, and takes the version that the cluster has now.
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
            return Err(Error::invalid(operation, "which version to? Such as 3.4.0"));
        }
        Ok(())
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("action", &self.action).put("version", &self.version);
    }
}

gateway::operation!(
    Downgrade => DowngradeResponse,
    "v3.maintenance.downgrade",
    "/v3/maintenance/downgrade",
    |downgrade| {
        if downgrade.action == Action::Validate { Repeat::Always } else { Repeat::IfUnsent }
    }
);

/// What a [`Downgrade`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DowngradeResponse {
    /// Who answered.
    pub header: Header,
    /// The cluster's version before.
    pub version: String,
}

gateway::decode!(DowngradeResponse {
    "header" => header,
    "version" => version,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::Operation,
        v3::testing::{body, decoded},
    };

    #[test]
    fn the_request_is_as_documented() {
        let validate = Downgrade::validate("3.4.0");
        let call = validate.encode().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/maintenance/downgrade", Repeat::Always)
        );
        assert_eq!(body(&validate), r#"{"version":"3.4.0"}"#);
        let enable = Downgrade::enable("3.4.0");
        assert_eq!(body(&enable), r#"{"action":"ENABLE","version":"3.4.0"}"#);
        assert_eq!(enable.encode().unwrap().repeat(), Repeat::IfUnsent);
        assert_eq!(body(&Downgrade::cancel()), r#"{"action":"CANCEL"}"#);
        assert!(Downgrade::enable("").encode().is_err());
    }

    #[test]
    fn answers_are_read() {
        let json = r#"{"header":{"revision":"2"}, "version":"3.5.0"}"#;
        let answer = decoded(&Downgrade::validate("3.4.0"), 200, json).unwrap();
        assert_eq!(answer.version, "3.5.0");
    }
}
