use http::{Method, StatusCode, uri::PathAndQuery};
use serde::Deserialize;

use crate::{
    endpoints::wire::Wire,
    error::{Error, Result, Unsupported},
    json::decoded,
    operation::Operation,
    pipeline::{
        answer::{Answer, Verdict},
        call::{Call, Repeat},
        exchange::{Encoded, Exchange, TypedExchange},
        protocol::{Origin, Plain},
    },
};

decoded! {
    /// The versions that a server reports.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ServerVersion {
        /// The version of the server, such as `3.5.16`.
        #[serde(rename = "etcdserver")]
        pub server: String,
        /// The version that its cluster has agreed on, such as `3.5.0`.
        #[serde(rename = "etcdcluster")]
        pub cluster: String,
        /// The version of its database's format, such as `3.6.0`. Since etcd 3.6; empty before.
        #[serde(default)]
        pub storage: String,
    }
}

/// The health of a server, as it reports it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Health {
    /// Whether it can serve: there is a leader and no alarm.
    pub healthy: bool,
    /// Why it cannot serve, such as `RAFT NO LEADER` or `ALARM NOSPACE`. Since etcd 3.5; empty if healthy or not
    /// reported.
    pub reason: String,
}

impl Health {
    /// The health of a server, with the reason if it is not well. For your own tests.
    pub fn new(healthy: bool, reason: impl AsRef<str>) -> Self {
        Self {
            healthy,
            reason: reason.as_ref().to_owned(),
        }
    }
}

pub(crate) struct GetVersion;

impl Operation for GetVersion {
    type Output = ServerVersion;
    const NAME: &'static str = "version";
}

impl Exchange for GetVersion {
    fn call(&self) -> Call {
        plain(Self::NAME)
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        Ok(get("/version"))
    }
}

impl TypedExchange for GetVersion {
    type Decoded = ServerVersion;

    fn decode(&self, answer: Box<Answer>) -> Result<ServerVersion> {
        answer.decode()
    }
}

pub(crate) struct GetHealth;

impl Operation for GetHealth {
    type Output = Health;
    const NAME: &'static str = "health";
}

impl Exchange for GetHealth {
    fn call(&self) -> Call {
        plain(Self::NAME)
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        Ok(get("/health"))
    }
}

impl TypedExchange for GetHealth {
    type Decoded = Health;

    fn decode(&self, answer: Box<Answer>) -> Result<Health> {
        /// etcd sends text, not a JSON boolean.
        #[derive(Deserialize)]
        struct Body {
            health: String,
            #[serde(default)]
            reason: String,
        }

        let mut answer = answer;
        // The body says the same as this status, with more detail.
        if answer.reply.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.verdict = Verdict::Success {
                origin: Origin::default(),
            };
        }
        answer.json().map(|Body { health, reason }| Health {
            healthy: health == "true",
            reason,
        })
    }
}

/// A health check whose response is text: `ok`, or what is wrong.
pub(crate) struct GetCheck {
    pub(crate) path: &'static str,
}

impl GetCheck {
    pub(crate) const LIVE: Self = Self { path: "/livez" };
    pub(crate) const READY: Self = Self { path: "/readyz" };
}

impl Operation for GetCheck {
    type Output = Health;
    const NAME: &'static str = "check";
}

impl Exchange for GetCheck {
    fn call(&self) -> Call {
        plain(Self::NAME)
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        Ok(get(self.path))
    }
}

impl TypedExchange for GetCheck {
    type Decoded = Health;

    fn decode(&self, answer: Box<Answer>) -> Result<Health> {
        let healthy = match answer.reply.status {
            StatusCode::OK => true,
            StatusCode::SERVICE_UNAVAILABLE => false,
            StatusCode::NOT_FOUND => {
                let what = "this server does not support this check: its etcd is too old, or its v2 API is enabled";
                return Err(Error::Unsupported(Unsupported::of(
                    answer.context,
                    what,
                    answer.reply.body.trim_ascii(),
                    true,
                )));
            }
            _ => return Err(answer.into_error()),
        };
        let text = String::from_utf8_lossy(&answer.reply.body);
        Ok(Health {
            healthy,
            reason: if healthy {
                String::new()
            } else {
                text.trim().to_owned()
            },
        })
    }
}

pub(crate) struct GetMetrics;

impl Operation for GetMetrics {
    type Output = String;
    const NAME: &'static str = "metrics";
}

impl Exchange for GetMetrics {
    fn call(&self) -> Call {
        plain(Self::NAME)
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        Ok(get("/metrics"))
    }
}

impl TypedExchange for GetMetrics {
    type Decoded = String;

    fn decode(&self, answer: Box<Answer>) -> Result<String> {
        let answer = answer.success()?;
        Ok(String::from_utf8_lossy(&answer.reply.body).into_owned())
    }
}

fn plain(operation: &'static str) -> Call {
    Call::new(operation, &Plain, Repeat::Always)
}

fn get(path: &'static str) -> Encoded {
    Encoded::to(Method::GET, PathAndQuery::from_static(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::decoded;

    #[test]
    fn versions_and_health_are_read_in_the_forms_of_each_release() {
        for (json, storage) in [
            (r#"{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}"#, ""),
            (
                r#"{"etcdserver":"3.6.0","etcdcluster":"3.6.0","storage":"3.6.0"}"#,
                "3.6.0",
            ),
        ] {
            let version = decoded(&GetVersion, 200, json).unwrap();
            assert_eq!(version.storage, storage);
        }
        for json in [r#"{"health":"true"}"#, r#"{"health":"true","reason":""}"#] {
            let health = decoded(&GetHealth, 200, json).unwrap();
            assert!(health.healthy && health.reason.is_empty());
        }
        let ill = r#"{"health":"false","reason":"ALARM NOSPACE"}"#;
        let ill = decoded(&GetHealth, 503, ill).unwrap();
        assert_eq!((ill.healthy, ill.reason.as_str()), (false, "ALARM NOSPACE"));
    }

    #[test]
    fn a_check_is_healthy_or_has_the_reason() {
        let well = decoded(&GetCheck::LIVE, 200, "ok\n").unwrap();
        assert_eq!((well.healthy, well.reason.as_str()), (true, ""));
        let ill = decoded(&GetCheck::READY, 503, "[-]data_corruption failed: x\n").unwrap();
        assert_eq!(
            (ill.healthy, ill.reason.as_str()),
            (false, "[-]data_corruption failed: x")
        );
        let none = decoded(&GetCheck::READY, 404, "404 page not found\n").unwrap_err();
        assert!(matches!(none, Error::Unsupported(_)), "{none}");
    }
}
