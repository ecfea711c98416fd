//! The variables by which etcdctl is configured.

use std::{ffi::OsString, fmt::Display, fs, path::Path, time::Duration};

use super::{ClientConfig, duration};
use crate::{
    auth::secret::Secret,
    base::endpoint::Endpoint,
    error::{Error, Result},
};

const PREFIX: &str = "ETCDCTL_";

/// The endpoint that etcdctl uses by default.
const DEFAULT_ENDPOINT: &str = "127.0.0.1:2379";

/// What etcdctl waits for where `ETCDCTL_KEEPALIVE_TIMEOUT` is zero: the default of gRPC for Go.
const DEFAULT_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Variables of etcdctl's v2 API, and what they are called in v3.
const V2_NAMES: [(&str, &str); 5] = [
    ("ENDPOINT", "ENDPOINTS"),
    ("USERNAME", "USER"),
    ("CA_FILE", "CACERT"),
    ("CERT_FILE", "CERT"),
    ("KEY_FILE", "KEY"),
];

/// Reads the variables, and ignores those of other programs.
pub(super) fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<ClientConfig> {
    let mut read = Variables::default();
    for (name, value) in variables {
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        // As for etcdctl, one that is empty is not set.
        if value.is_empty() {
            continue;
        }
        let Ok(value) = value.into_string() else {
            return Err(refused(name, "is not Unicode"));
        };
        read.take(name, value)?;
    }
    read.into_config()
}

/// What was read so far. Variables come in any order.
#[derive(Default)]
struct Variables {
    config: ClientConfig,
    endpoints: Option<String>,
    user: Option<Secret>,
    is_secure: bool,
}

impl Variables {
    fn take(&mut self, name: &str, value: String) -> Result<()> {
        let config = &mut self.config;
        match name {
            "ENDPOINTS" => self.endpoints = Some(value),
            "USER" => self.user = Some(Secret::new(value)),
            "PASSWORD" => config.password = Some(Secret::new(value)),
            "DIAL_TIMEOUT" => config.connect_timeout = Some(positive(name, &value)?),
            "COMMAND_TIMEOUT" => config.overall_timeout = Some(positive(name, &value)?),
            "CACERT" => config.ca_file = Some(value.into()),
            "CERT" => config.cert_file = Some(value.into()),
            "KEY" => config.key_file = Some(value.into()),
            "KEEPALIVE_TIME" => config.keepalive_interval = Some(duration(name, &value)?),
            "KEEPALIVE_TIMEOUT" => {
                let timeout = Some(duration(name, &value)?).filter(|timeout| !timeout.is_zero());
                config.keepalive_timeout = timeout.or(Some(DEFAULT_KEEPALIVE_TIMEOUT));
            }
            "INSECURE_TRANSPORT" => self.is_secure = !boolean(name, &value)?,
            "INSECURE_SKIP_TLS_VERIFY" => {
                if boolean(name, &value)? {
                    let reason = "certificates are always verified: trust the authority that signed the server's, in \
                                  ETCDCTL_CACERT";
                    return Err(refused(name, reason));
                }
            }
            "API" if value != "3" => {
                let reason = "the variables are those of etcdctl's v3 API, for which it must be 3";
                return Err(refused(name, reason));
            }
            "DISCOVERY_SRV" | "DISCOVERY_SRV_NAME" => {
                let reason = "looking up endpoints in DNS requires a resolver: see `Discovery`";
                return Err(refused(name, reason));
            }
            // What concerns the output of etcdctl, its own lookup, and its command `watch`.
            "API" | "DEBUG" | "HEX" | "WRITE_OUT" | "INSECURE_DISCOVERY" | "WATCH_KEY"
            | "WATCH_RANGE_END" => {}
            _ => {
                return Err(match V2_NAMES.iter().find(|(old, _)| *old == name) {
                    Some((_, new)) => {
                        let reason =
                            format!("is a variable of etcdctl's v2 API: use {PREFIX}{new}");
                        refused(name, reason)
                    }
                    None => refused(name, "is not a variable that this client knows"),
                });
            }
        }
        Ok(())
    }

    fn into_config(self) -> Result<ClientConfig> {
        let mut config = self.config;
        let has_tls = config.transport_settings().has_tls();
        let scheme = if self.is_secure || has_tls {
            "https"
        } else {
            "http"
        };
        let endpoints = self.endpoints.as_deref().unwrap_or(DEFAULT_ENDPOINT);
        if endpoints.contains('@') {
            // Before it is split: a password may have commas.
            let reason = "has credentials: set ETCDCTL_USER and ETCDCTL_PASSWORD instead";
            return Err(refused("ENDPOINTS", reason));
        }
        // etcdctl never reaches one that is empty, and goes on with the others.
        let endpoints = endpoints.split(',').map(str::trim);
        for endpoint in endpoints.filter(|endpoint| !endpoint.is_empty()) {
            let is_url = ["unix:", "unixs:"]
                .iter()
                .any(|it| endpoint.starts_with(it));
            let url = if is_url || endpoint.contains("://") {
                endpoint.to_owned()
            } else {
                format!("{scheme}://{endpoint}")
            };
            url.parse::<Endpoint>()
                .map_err(|error| refused("ENDPOINTS", error))?;
            config.endpoints.0.push(url);
        }
        if config.endpoints.0.is_empty() {
            return Err(refused("ENDPOINTS", "names no endpoint"));
        }
        match (&config.cert_file, &config.key_file) {
            (Some(_), None) => return Err(refused("CERT", "is set, and ETCDCTL_KEY is not")),
            (None, Some(_)) => return Err(refused("KEY", "is set, and ETCDCTL_CERT is not")),
            (Some(_), Some(_)) | (None, None) => {}
        }
        for (name, file, section) in [
            ("CACERT", &config.ca_file, "CERTIFICATE"),
            ("CERT", &config.cert_file, "CERTIFICATE"),
            ("KEY", &config.key_file, "PRIVATE KEY"),
        ] {
            if let Some(path) = file {
                check_pem(name, path, section)?;
            }
        }
        match (&self.user, &config.password) {
            (None, None) => {}
            (None, Some(_)) => {
                return Err(refused("PASSWORD", "is set, and ETCDCTL_USER is not"));
            }
            // With a password of its own, a colon belongs to the name.
            (Some(user), Some(_)) => config.user = Some(user.expose().to_owned()),
            (Some(user), None) => {
                let Some((name, password)) = user.expose().split_once(':') else {
                    let reason = "has no password: write name:password, or set ETCDCTL_PASSWORD";
                    return Err(refused("USER", reason));
                };
                // etcdctl authenticates nobody then, and does not say so.
                if name.is_empty() || password.is_empty() {
                    let reason = "has a name or a password that is empty: write name:password";
                    return Err(refused("USER", reason));
                }
                config.user = Some(name.to_owned());
                config.password = Some(password.into());
            }
        }
        Ok(config)
    }
}

/// Checks that a file can be read, and has such a section. The transport reads the rest.
fn check_pem(name: &str, path: &Path, section: &str) -> Result<()> {
    let shown = path.display();
    let unreadable = |error| refused(name, format!("cannot read {shown}: {error}"));
    let kind = fs::metadata(path).map_err(unreadable)?;
    // What is read from a pipe is not there for the transport any more.
    if kind.is_file() || kind.is_dir() {
        let pem = fs::read(path).map_err(unreadable)?;
        if !String::from_utf8_lossy(&pem).contains(&format!("{section}-----")) {
            let reason = format!("{shown} has no PEM section \"{section}\"");
            return Err(refused(name, reason));
        }
    }
    Ok(())
}

fn positive(name: &str, value: &str) -> Result<Duration> {
    let duration = duration(name, value)?;
    if duration.is_zero() {
        return Err(refused(name, "must be longer than zero"));
    }
    Ok(duration)
}

fn duration(name: &str, value: &str) -> Result<Duration> {
    let refused = || {
        refused(
            name,
            format!("`{value}` is not a duration, such as 2s or 1m30s"),
        )
    };
    duration::parse(value).ok_or_else(refused)
}

/// Parses what Go takes for a truth value.
fn boolean(name: &str, value: &str) -> Result<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(refused(
            name,
            format!("`{value}` is neither true nor false"),
        )),
    }
}

fn refused(name: &str, reason: impl Display) -> Error {
    Error::invalid("environment", format!("{PREFIX}{name}: {reason}"))
}
