//! The settings of a client as data: from a file, and from etcdctl's variables.

use std::{fs, time::Duration};

use etcd_http::{
    Client, ClientConfig, Error, Outcome, Result,
    transport::{
        FromSettings, Request, Response, Transport, TransportError, TransportSettings, async_trait,
    },
};
use harness::{
    clock::block_on,
    scripted_transport::{ScriptedTransport, Step},
};
use tempfile::TempDir;

use crate::v2_calls::ok;

fn refused(variables: &[(&str, &str)]) -> String {
    let error = ClientConfig::from_vars(variables.iter().copied()).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    assert_eq!(error.outcome(), Outcome::NotSent);
    error.to_string()
}

fn from(variables: &[(&str, &str)]) -> ClientConfig {
    ClientConfig::from_vars(variables.iter().copied()).unwrap()
}

/// Files of certificates and keys, as far as they are read before the transport reads them.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(TempDir::new().unwrap());
        for (name, section) in [("ca.pem", "CERTIFICATE"), ("key.pem", "EC PRIVATE KEY")] {
            fs::write(files.path(name), format!("-----BEGIN {section}-----\n")).unwrap();
        }
        files
    }

    fn path(&self, name: &str) -> String {
        let path = self.0.path().join(name);
        path.into_os_string().into_string().unwrap()
    }
}

#[test]
fn endpoints_without_a_scheme_get_the_one_that_etcdctl_dials() {
    let both = "10.0.0.1:2379,https://10.0.0.2:2379";
    let plain = ["http://10.0.0.1:2379", "https://10.0.0.2:2379"];
    let secure = ["https://10.0.0.1:2379", "https://10.0.0.2:2379"];
    let files = Files::new();
    let (ca, key) = (files.path("ca.pem"), files.path("key.pem"));
    let named = |more: &[(&str, &str)]| {
        let mut variables = vec![("ETCDCTL_ENDPOINTS", both)];
        variables.extend_from_slice(more);
        from(&variables).endpoints().to_vec()
    };
    assert_eq!(named(&[]), plain);
    assert_eq!(named(&[("ETCDCTL_INSECURE_TRANSPORT", "true")]), plain);
    assert_eq!(named(&[("ETCDCTL_INSECURE_TRANSPORT", "false")]), secure);
    assert_eq!(named(&[("ETCDCTL_CACERT", &ca)]), secure);
    assert_eq!(
        named(&[("ETCDCTL_CERT", &ca), ("ETCDCTL_KEY", &key)]),
        secure
    );
    // What is empty is not set, and what is not etcdctl's is not read.
    let empty = [
        ("ETCDCTL_CACERT", ""),
        ("ETCDCTL_ENDPOINTS", ""),
        ("ETCD_NAME", "x"),
    ];
    assert_eq!(from(&empty).endpoints(), ["http://127.0.0.1:2379"]);
}

#[test]
fn endpoints_that_are_empty_are_ignored_as_by_etcdctl() {
    for list in ["127.0.0.1:2379,", ",127.0.0.1:2379", "127.0.0.1:2379, ,"] {
        let config = from(&[("ETCDCTL_ENDPOINTS", list)]);
        assert_eq!(config.endpoints(), ["http://127.0.0.1:2379"]);
    }
    // A name, and not a socket.
    let config = from(&[("ETCDCTL_ENDPOINTS", "unixbox:2379")]);
    assert_eq!(config.endpoints(), ["http://unixbox:2379"]);
}

#[test]
fn the_transport_gets_what_belongs_to_it() {
    let files = Files::new();
    let (ca, key) = (files.path("ca.pem"), files.path("key.pem"));
    let config = from(&[
        ("ETCDCTL_DIAL_TIMEOUT", "1500ms"),
        ("ETCDCTL_KEEPALIVE_TIME", "1m"),
        ("ETCDCTL_KEEPALIVE_TIMEOUT", "6s"),
        ("ETCDCTL_CACERT", &ca),
        ("ETCDCTL_CERT", &ca),
        ("ETCDCTL_KEY", &key),
    ]);
    let mut expected = TransportSettings::default();
    expected.connect_timeout = Some(Duration::from_millis(1500));
    expected.keepalive_interval = Some(Duration::from_secs(60));
    expected.keepalive_timeout = Some(Duration::from_secs(6));
    expected.ca_file = Some(ca.clone().into());
    expected.cert_file = Some(ca.into());
    expected.key_file = Some(key.into());
    assert_eq!(config.transport_settings(), expected);
    // As gRPC for Go has it.
    let config = from(&[("ETCDCTL_KEEPALIVE_TIMEOUT", "0s")]);
    let timeout = config.transport_settings().keepalive_timeout;
    assert_eq!(timeout, Some(Duration::from_secs(20)));
}

#[test]
fn what_only_etcdctl_needs_is_ignored() {
    let config = from(&[
        ("ETCDCTL_API", "3"),
        ("ETCDCTL_DEBUG", "true"),
        ("ETCDCTL_HEX", "true"),
        ("ETCDCTL_WRITE_OUT", "json"),
        ("ETCDCTL_INSECURE_DISCOVERY", "false"),
        ("ETCDCTL_INSECURE_SKIP_TLS_VERIFY", "false"),
        ("ETCDCTL_WATCH_KEY", "a"),
        ("ETCDCTL_WATCH_RANGE_END", "b"),
    ]);
    assert_eq!(config, from(&[]));
}

#[test]
fn each_variable_that_is_wrong_is_named_with_its_reason() {
    for (variables, reason) in [
        (
            ("ETCDCTL_DIAL_TIMEOUT", "2"),
            "environment: ETCDCTL_DIAL_TIMEOUT: `2` is not a duration, such as 2s or 1m30s",
        ),
        (
            ("ETCDCTL_COMMAND_TIMEOUT", "0s"),
            "environment: ETCDCTL_COMMAND_TIMEOUT: must be longer than zero",
        ),
        (
            ("ETCDCTL_INSECURE_TRANSPORT", "no"),
            "environment: ETCDCTL_INSECURE_TRANSPORT: `no` is neither true nor false",
        ),
        (
            ("ETCDCTL_INSECURE_SKIP_TLS_VERIFY", "true"),
            "environment: ETCDCTL_INSECURE_SKIP_TLS_VERIFY: certificates are always verified: trust the authority that \
             signed the server's, in ETCDCTL_CACERT",
        ),
        (
            ("ETCDCTL_DISCOVERY_SRV", "example.com"),
            "environment: ETCDCTL_DISCOVERY_SRV: looking up endpoints in DNS requires a resolver: see `Discovery`",
        ),
        (
            ("ETCDCTL_API", "2"),
            "environment: ETCDCTL_API: the variables are those of etcdctl's v3 API, for which it must be 3",
        ),
        (
            ("ETCDCTL_CA_FILE", "/ca.pem"),
            "environment: ETCDCTL_CA_FILE: is a variable of etcdctl's v2 API: use ETCDCTL_CACERT",
        ),
        (
            ("ETCDCTL_ENDPIONTS", "10.0.0.1:2379"),
            "environment: ETCDCTL_ENDPIONTS: is not a variable that this client knows",
        ),
        (
            ("ETCDCTL_USER", "root"),
            "environment: ETCDCTL_USER: has no password: write name:password, or set ETCDCTL_PASSWORD",
        ),
        (
            ("ETCDCTL_PASSWORD", "s3cret"),
            "environment: ETCDCTL_PASSWORD: is set, and ETCDCTL_USER is not",
        ),
        (
            ("ETCDCTL_USER", ":s3cret"),
            "environment: ETCDCTL_USER: has a name or a password that is empty: write name:password",
        ),
        (
            ("ETCDCTL_USER", "root:"),
            "environment: ETCDCTL_USER: has a name or a password that is empty: write name:password",
        ),
        (
            ("ETCDCTL_ENDPOINTS", "10.0.0.1:99999"),
            "environment: ETCDCTL_ENDPOINTS: endpoint: `http://10.0.0.1:99999` has a port that is not a number from 1 to \
             65535",
        ),
        (
            ("ETCDCTL_ENDPOINTS", " ,"),
            "environment: ETCDCTL_ENDPOINTS: names no endpoint",
        ),
        (
            ("ETCDCTL_ENDPOINTS", "unix:/run/etcd.sock"),
            "environment: ETCDCTL_ENDPOINTS: endpoint: `unix:/run/etcd.sock` is a Unix socket: write http://localhost, and \
             set the socket in the transport (`unix_socket` of hyper's builder, or of reqwest's)",
        ),
        (
            ("ETCDCTL_CERT", "/nowhere/client.pem"),
            "environment: ETCDCTL_CERT: is set, and ETCDCTL_KEY is not",
        ),
        (
            ("ETCDCTL_KEY", "/nowhere/key.pem"),
            "environment: ETCDCTL_KEY: is set, and ETCDCTL_CERT is not",
        ),
    ] {
        assert_eq!(refused(&[variables]), reason);
    }
}

#[test]
fn a_file_that_is_wrong_is_named_with_its_variable() {
    let files = Files::new();
    let (ca, key) = (files.path("ca.pem"), files.path("key.pem"));
    let nowhere = "/nowhere/ca.pem".to_owned();
    let cannot_read = |name| {
        format!(
            "environment: ETCDCTL_{name}: cannot read {nowhere}: No such file or directory (os error 2)"
        )
    };
    let lacks = |name, path, section| {
        format!("environment: ETCDCTL_{name}: {path} has no PEM section \"{section}\"")
    };
    for (authority, certificate, private, reason) in [
        (&nowhere, &ca, &key, cannot_read("CACERT")),
        (&ca, &nowhere, &key, cannot_read("CERT")),
        (&ca, &ca, &nowhere, cannot_read("KEY")),
        (&key, &ca, &key, lacks("CACERT", &key, "CERTIFICATE")),
        (&ca, &key, &key, lacks("CERT", &key, "CERTIFICATE")),
        (&ca, &ca, &ca, lacks("KEY", &ca, "PRIVATE KEY")),
    ] {
        let variables = [
            ("ETCDCTL_CACERT", &**authority),
            ("ETCDCTL_CERT", certificate),
            ("ETCDCTL_KEY", private),
        ];
        assert_eq!(refused(&variables), reason);
    }
}

#[test]
fn a_user_has_the_password_behind_the_first_colon_or_one_of_its_own() {
    let with = |text: &str| -> ClientConfig { serde_json::from_str(text).unwrap() };
    let default = r#""endpoints": ["http://127.0.0.1:2379"]"#;
    for (variables, expected) in [
        (
            &[("ETCDCTL_USER", "root:a:b")][..],
            r#""user": "root", "password": "a:b""#,
        ),
        (
            &[("ETCDCTL_USER", "ro:ot"), ("ETCDCTL_PASSWORD", "a:b")],
            r#""user": "ro:ot", "password": "a:b""#,
        ),
    ] {
        let config = from(variables);
        assert_eq!(config, with(&format!("{{{default}, {expected}}}")));
        assert!(!format!("{config:?}").contains("a:b"), "{config:?}");
    }
}

#[test]
fn a_file_has_durations_as_text_or_in_seconds() {
    let file = r#"{
        "endpoints": ["http://a:2379"],
        "timeout": "2s",
        "overall_timeout": 60,
        "connect_timeout": 0.5,
        "keepalive_interval": "1m30s",
        "hedge_reads": "300ms",
        "attempts": 7,
        "protocol": "gateway",
        "max_response_size": 1048576
    }"#;
    let config: ClientConfig = serde_json::from_str(file).unwrap();
    let transport = config.transport_settings();
    assert_eq!(transport.connect_timeout, Some(Duration::from_millis(500)));
    assert_eq!(transport.keepalive_interval, Some(Duration::from_secs(90)));
    let steps = (0..7).map(|_| Step::Silence);
    let client = config
        .builder(ScriptedTransport::new(steps))
        .unwrap()
        .build()
        .unwrap();
    let error = block_on(client.v2().get("x")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v2.keys.get at http://a:2379 (attempt 7): no response within 2s"
    );
}

#[test]
fn what_is_wrong_in_a_file_is_refused() {
    for (file, reason) in [
        (
            r#"{"endpiont": []}"#,
            "unknown field `endpiont`, expected one of",
        ),
        (
            r#"{"timeout": "2"}"#,
            "invalid value: string \"2\", expected a duration, such as \"2s\" or \"1m30s\", or a number of seconds",
        ),
        (
            r#"{"timeout": -1}"#,
            "invalid value: integer `-1`, expected a duration",
        ),
        (
            r#"{"protocol": "http3"}"#,
            "unknown variant `http3`, expected one of `auto`",
        ),
    ] {
        let error = serde_json::from_str::<ClientConfig>(file).unwrap_err();
        assert!(error.to_string().starts_with(reason), "{error}");
    }
    for (file, reason) in [
        (
            r#"{"user": "root"}"#,
            "client: user is set, and password is not",
        ),
        (
            r#"{"v2_password": "x"}"#,
            "client: v2_password is set, and v2_user is not",
        ),
        (
            r#"{"connect_timeout": 0}"#,
            "client: connect_timeout must be longer than zero",
        ),
        (
            r#"{"timeout": 0}"#,
            "client: the time limit must not be zero",
        ),
        (
            r#"{"endpoints": ["http://10.0.0.1:2379"], "user": "root", "password": "x"}"#,
            "client: the credentials could be read by anybody on the way to http://10.0.0.1:2379: \
             use https://, or accept it with `allow_insecure_auth`",
        ),
    ] {
        let config: ClientConfig = serde_json::from_str(file).unwrap();
        let built = config.builder(ScriptedTransport::new([]));
        let error = built.and_then(|builder| builder.build()).unwrap_err();
        assert_eq!(error.to_string(), reason);
    }
}

#[test]
fn an_attempt_takes_no_longer_than_the_call() {
    let config = from(&[
        ("ETCDCTL_ENDPOINTS", "a:1"),
        ("ETCDCTL_COMMAND_TIMEOUT", "5s"),
    ]);
    let transport = ScriptedTransport::new([Step::Silence]);
    let client = config.builder(transport).unwrap().build().unwrap();
    let error = block_on(client.v2().get("x")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v2.keys.get at http://a:1: no response within 5s"
    );
    // It counts as a failure of the endpoint.
    assert!(!client.endpoints()[0].is_up);
}

/// A transport that is made from settings, and knows no certificates.
#[derive(Debug)]
struct Plain(ScriptedTransport);

impl FromSettings for Plain {
    fn from_settings(settings: &TransportSettings) -> Result<Self, TransportError> {
        if settings.has_tls() {
            return Err(TransportError::rejected("built without TLS"));
        }
        Ok(Self(ScriptedTransport::new([ok()])))
    }
}

#[async_trait]
impl Transport for Plain {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.0.send(request).await
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }

    fn now(&self) -> std::time::Instant {
        self.0.now()
    }
}

#[test]
fn a_client_is_made_with_its_transport() {
    let client = Client::<Plain>::from_config(&from(&[("ETCDCTL_ENDPOINTS", "a:1")])).unwrap();
    block_on(client.v2().get("x")).unwrap();
    assert_eq!(client.transport().0.seen(), ["GET a/v2/keys/x"]);
    let file = r#"{"endpoints": ["https://a:1"], "ca_file": "/ca.pem"}"#;
    let error = Client::<Plain>::from_config(&serde_json::from_str(file).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "client: built without TLS");
}

#[test]
fn credentials_in_endpoints_are_not_shown() {
    let error = refused(&[("ETCDCTL_ENDPOINTS", "http://root:a,b@10.0.0.1:2379")]);
    assert!(error.contains("ETCDCTL_USER"), "{error}");
    assert!(!error.contains("root"), "{error}");
    let file = r#"{"endpoints": ["http://root:secret@10.0.0.1:2379"]}"#;
    let config: ClientConfig = serde_json::from_str(file).unwrap();
    let shown = format!("{config:?}");
    assert!(
        shown.contains("10.0.0.1:2379") && !shown.contains("secret"),
        "{shown}"
    );
}
