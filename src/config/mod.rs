//! The settings of a client as data: from a file, or from the environment.

mod duration;
mod environment;

use std::{fmt, path::PathBuf, time::Duration};

use etcd_transport::{FromSettings, Transport, TransportSettings};
use serde::{Deserialize, Deserializer, de};

use crate::{
    auth::secret::Secret,
    builder::ClientBuilder,
    client::Client,
    endpoints::protocol::Protocol,
    error::{Error, Result, root_cause},
    pipeline::retry::RetryPolicy,
};

/// The settings of a client as data, from a file or from the environment.
///
/// It implements serde's `Deserialize`, so it can be a section of a program's own settings, in any format. A key that is not
/// known is refused. What is not set has the default of [`ClientBuilder`]. A duration is text (`"2s"`, `"1m30s"`, `"300ms"`),
/// or a number of seconds.
///
/// | Key | What it sets |
/// |---|---|
/// | `endpoints` | [`ClientBuilder::endpoints`]: a list of URLs; required |
/// | `user`, `password` | [`ClientBuilder::v3_auth`] |
/// | `v2_user`, `v2_password` | [`ClientBuilder::basic_auth`] |
/// | `allow_insecure_auth` | [`ClientBuilder::allow_insecure_auth`] |
/// | `protocol` | [`ClientBuilder::protocol`]: `"auto"`, `"grpc"` or `"gateway"` |
/// | `prefer_leader` | [`ClientBuilder::prefer_leader`] |
/// | `reject_stale_reads` | [`ClientBuilder::reject_stale_reads`] |
/// | `timeout` | [`ClientBuilder::timeout`], of one attempt; at most `overall_timeout` |
/// | `overall_timeout`, `attempts` | [`RetryPolicy::overall`], [`RetryPolicy::attempts`] |
/// | `hedge_reads` | [`ClientBuilder::hedge_reads`]; zero never does |
/// | `max_response_size` | [`ClientBuilder::max_response_size`], in bytes |
/// | `connect_timeout` | the transport's limit for making a connection |
/// | `keepalive_interval`, `keepalive_timeout` | the transport's HTTP/2 pings; an interval of zero disables them |
/// | `ca_file` | the certificate authorities to trust instead of the system's, in PEM |
/// | `cert_file`, `key_file` | the client's certificate and its key, in PEM |
///
/// ```
/// use etcd_http::ClientConfig;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Settings {
///     listen: String,
///     etcd: ClientConfig,
/// }
///
/// let file = r#"{
///     "listen": "0.0.0.0:8080",
///     "etcd": {
///         "endpoints": ["https://10.0.0.1:2379", "https://10.0.0.2:2379"],
///         "user": "app",
///         "password": "secret",
///         "timeout": "2s",
///         "ca_file": "/etc/etcd/ca.pem"
///     }
/// }"#;
/// let settings: Settings = serde_json::from_str(file)?;
/// # assert_eq!(settings.listen, "0.0.0.0:8080");
/// # #[cfg(feature = "fake")] {
/// # use etcd_http::fake::FakeEtcd;
/// let client = settings.etcd.builder(FakeEtcd::new())?.build()?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Client::from_config`] makes the client with its transport, which hyper's, reqwest's and isahc's can be made for;
/// [`builder`](Self::builder) takes a transport of your own.
///
/// Passwords are redacted in `Debug` output, and zeroed when dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientConfig {
    endpoints: EndpointTexts,
    user: Option<String>,
    password: Option<Secret>,
    v2_user: Option<String>,
    v2_password: Option<Secret>,
    allow_insecure_auth: bool,
    #[serde(deserialize_with = "protocol")]
    protocol: Protocol,
    prefer_leader: bool,
    reject_stale_reads: bool,
    #[serde(deserialize_with = "duration::deserialize")]
    timeout: Option<Duration>,
    #[serde(deserialize_with = "duration::deserialize")]
    overall_timeout: Option<Duration>,
    attempts: Option<u32>,
    #[serde(deserialize_with = "duration::deserialize")]
    hedge_reads: Option<Duration>,
    max_response_size: Option<usize>,
    #[serde(deserialize_with = "duration::deserialize")]
    connect_timeout: Option<Duration>,
    #[serde(deserialize_with = "duration::deserialize")]
    keepalive_interval: Option<Duration>,
    #[serde(deserialize_with = "duration::deserialize")]
    keepalive_timeout: Option<Duration>,
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

/// The endpoints as they are written. Credentials, which are refused later, are redacted in `Debug` output.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
struct EndpointTexts(Vec<String>);

impl fmt::Debug for EndpointTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = self.0.iter().map(|text| match text.rsplit_once('@') {
            Some((_, host)) => format!("***@{host}"),
            None => text.clone(),
        });
        f.debug_list().entries(texts).finish()
    }
}

impl ClientConfig {
    /// Reads etcdctl's environment variables, with etcdctl's meaning and defaults. One that is set to nothing counts as not set.
    ///
    /// | Variable | Meaning |
    /// |---|---|
    /// | `ETCDCTL_ENDPOINTS` | a list, separated by commas; defaults to `127.0.0.1:2379`; what is empty between commas is ignored. One without a scheme is `https://` if a certificate or a key is set, or `ETCDCTL_INSECURE_TRANSPORT` is `false`, and `http://` otherwise |
    /// | `ETCDCTL_USER` | `name:password`, or the name alone with `ETCDCTL_PASSWORD`: the user of the v3 API |
    /// | `ETCDCTL_PASSWORD` | the password |
    /// | `ETCDCTL_DIAL_TIMEOUT` | the time limit for making a connection; zero, which is none for etcdctl, is refused |
    /// | `ETCDCTL_COMMAND_TIMEOUT` | the time limit of a call with all its attempts; etcdctl's default of 5 s is not taken over; zero is refused |
    /// | `ETCDCTL_CACERT`, `ETCDCTL_CERT`, `ETCDCTL_KEY` | files in PEM, which must be there; the last two come together |
    /// | `ETCDCTL_KEEPALIVE_TIME`, `ETCDCTL_KEEPALIVE_TIMEOUT` | HTTP/2 pings: an interval of zero disables them, a time limit of zero is 20 s |
    /// | `ETCDCTL_INSECURE_TRANSPORT` | see `ETCDCTL_ENDPOINTS` |
    /// | `ETCDCTL_API` | must be 3 |
    /// | `ETCDCTL_DEBUG`, `ETCDCTL_HEX`, `ETCDCTL_WRITE_OUT`, `ETCDCTL_INSECURE_DISCOVERY`, `ETCDCTL_WATCH_KEY`, `ETCDCTL_WATCH_RANGE_END` | concern etcdctl alone: ignored |
    ///
    /// Any other variable that begins with `ETCDCTL_` is refused, as its effect would be missed: `ETCDCTL_DISCOVERY_SRV` (see
    /// [`Discovery`](crate::Discovery)), `ETCDCTL_INSECURE_SKIP_TLS_VERIFY` unless it is `false`, those of etcdctl's v2 API, and
    /// unknown ones.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the variable and says what is wrong. It does not quote a user or a password.
    pub fn from_env() -> Result<Self> {
        environment::read(std::env::vars_os())
    }

    /// Reads these variables instead of the environment's: see [`from_env`](Self::from_env). Others than `ETCDCTL_…` are
    /// ignored.
    ///
    /// ```
    /// use etcd_http::ClientConfig;
    ///
    /// let config = ClientConfig::from_vars([("ETCDCTL_ENDPOINTS", "10.0.0.1:2379,10.0.0.2:2379")])?;
    /// assert_eq!(config.endpoints(), ["http://10.0.0.1:2379", "http://10.0.0.2:2379"]);
    /// # Ok::<(), etcd_http::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`from_env`](Self::from_env).
    pub fn from_vars<N: AsRef<str>, V: AsRef<str>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self> {
        let variables = variables.into_iter();
        environment::read(
            variables.map(|(name, value)| (name.as_ref().into(), value.as_ref().into())),
        )
    }

    /// Returns the endpoints' URLs.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints.0
    }

    /// Returns the settings that belong to the transport.
    pub fn transport_settings(&self) -> TransportSettings {
        let mut settings = TransportSettings::default();
        settings.connect_timeout = self.connect_timeout;
        settings.keepalive_interval = self.keepalive_interval;
        settings.keepalive_timeout = self.keepalive_timeout;
        settings.ca_file.clone_from(&self.ca_file);
        settings.cert_file.clone_from(&self.cert_file);
        settings.key_file.clone_from(&self.key_file);
        settings
    }

    /// Returns a builder with these settings, over a transport of your own: the [settings that belong to the
    /// transport](Self::transport_settings) are not used.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is a user without a password or the reverse, or if a time limit is zero. Others are found by
    /// [`ClientBuilder::build`].
    pub fn builder<T: Transport>(&self, transport: T) -> Result<ClientBuilder<T>> {
        if self.connect_timeout.is_some_and(|limit| limit.is_zero()) {
            let reason = "connect_timeout must be longer than zero";
            return Err(Error::invalid(OPERATION, reason));
        }
        let mut retry = RetryPolicy::default();
        if let Some(overall) = self.overall_timeout {
            retry = retry.overall(overall);
        }
        if let Some(attempts) = self.attempts {
            retry = retry.attempts(attempts);
        }
        let overall = retry.overall;
        let mut builder = Client::builder(transport)
            .endpoints(&self.endpoints.0)
            .allow_insecure_auth(self.allow_insecure_auth)
            .protocol(self.protocol)
            .prefer_leader(self.prefer_leader)
            .reject_stale_reads(self.reject_stale_reads)
            .retry(retry)
            .timeout_within(self.timeout, overall);
        if let Some(after) = self.hedge_reads {
            builder = builder.hedge_reads(Some(after).filter(|after| !after.is_zero()));
        }
        if let Some(bytes) = self.max_response_size {
            builder = builder.max_response_size(bytes);
        }
        if let Some((user, password)) = pair("user", &self.user, "password", &self.password)? {
            builder = builder.v3_auth(user, password.expose());
        }
        let v2 = pair("v2_user", &self.v2_user, "v2_password", &self.v2_password)?;
        if let Some((user, password)) = v2 {
            builder = builder.basic_auth(user, password.expose());
        }
        Ok(builder)
    }
}

/// # From settings, and from the environment
impl<T: FromSettings> Client<T> {
    /// Creates a client with these settings, and its transport with those that belong to it. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a setting is wrong, if the transport does not have one of its settings, or if it cannot read a file.
    pub fn from_config(config: &ClientConfig) -> Result<Self> {
        ClientBuilder::from_config(config)?.build()
    }

    /// Creates a client with etcdctl's environment variables, `ETCDCTL_ENDPOINTS` and so on: see [`ClientConfig::from_env`].
    /// Nothing is sent yet.
    ///
    /// ```
    /// # #[cfg(feature = "hyper")] {
    /// use etcd_http::{Client, hyper::HyperTransport};
    ///
    /// let client = Client::<HyperTransport>::from_env()?;
    /// # assert!(!client.is_closed());
    /// # }
    /// # Ok::<(), etcd_http::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the variable, or as for [`from_config`](Self::from_config).
    pub fn from_env() -> Result<Self> {
        Self::from_config(&ClientConfig::from_env()?)
    }
}

/// # From settings, and from the environment
impl<T: FromSettings> ClientBuilder<T> {
    /// Returns a builder with these settings, over a transport with those that belong to it.
    ///
    /// # Errors
    /// As for [`Client::from_config`].
    pub fn from_config(config: &ClientConfig) -> Result<Self> {
        let transport = T::from_settings(&config.transport_settings());
        // There was no request: what matters is the reason.
        let refused = |error| Error::invalid(OPERATION, root_cause(&error).to_string());
        config.builder(transport.map_err(refused)?)
    }

    /// Returns a builder with etcdctl's environment variables: see [`ClientConfig::from_env`].
    ///
    /// ```
    /// # #[cfg(feature = "hyper")] {
    /// use etcd_http::{ClientBuilder, hyper::HyperTransport};
    ///
    /// let client = ClientBuilder::<HyperTransport>::from_env()?
    ///     .prefer_leader(true)
    ///     .build()?;
    /// # assert!(!client.is_closed());
    /// # }
    /// # Ok::<(), etcd_http::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Client::from_env`].
    pub fn from_env() -> Result<Self> {
        Self::from_config(&ClientConfig::from_env()?)
    }
}

/// What comes with a user.
fn pair<'a>(
    user_key: &str,
    user: &'a Option<String>,
    password_key: &str,
    password: &'a Option<Secret>,
) -> Result<Option<(&'a str, &'a Secret)>> {
    let (set, missing) = match (user, password) {
        (Some(user), Some(password)) => return Ok(Some((user, password))),
        (None, None) => return Ok(None),
        (Some(_), None) => (user_key, password_key),
        (None, Some(_)) => (password_key, user_key),
    };
    let reason = format!("{set} is set, and {missing} is not");
    Err(Error::invalid(OPERATION, reason))
}

/// Deserializes the name of a protocol.
fn protocol<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Protocol, D::Error> {
    let name = String::deserialize(deserializer)?;
    Ok(match &*name {
        "auto" => Protocol::Auto,
        "grpc" => Protocol::Grpc,
        "gateway" => Protocol::Gateway,
        _ => {
            return Err(de::Error::unknown_variant(
                &name,
                &["auto", "grpc", "gateway"],
            ));
        }
    })
}

const OPERATION: &str = "client";
