//! The settings of a client as data: from a file, and from etcdctl's variables.

use std::time::Duration;

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

#[test]
fn endpoints_without_a_scheme_get_the_one_that_etcdctl_dials() {
    let both = "10.0.0.1:2379,https://10.0.0.2:2379";
    let plain = ["http://10.0.0.1:2379", "https://10.0.0.2:2379"];
    let secure = ["https://10.0.0.1:2379", "https://10.0.0.2:2379"];
    let named = |more: &[(&'static str, &'static str)]| {
        let mut variables = vec![("ETCDCTL_ENDPOINTS", both)];
        variables.extend_from_slice(more);
        from(&variables).endpoints().to_vec()
    };
    assert_eq!(named(&[]), plain);
    assert_eq!(named(&[("ETCDCTL_INSECURE_TRANSPORT", "true")]), plain);
    assert_eq!(named(&[("ETCDCTL_INSECURE_TRANSPORT", "false")]), secure);
    assert_eq!(named(&[("ETCDCTL_CACERT", "/ca.pem")]), secure);
    assert_eq!(
        named(&[("ETCDCTL_CERT", "/c.pem"), ("ETCDCTL_KEY", "/k.pem")]),
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
fn the_transport_gets_what_belongs_to_it() {
    let config = from(&[
        ("ETCDCTL_DIAL_TIMEOUT", "1500ms"),
        ("ETCDCTL_KEEPALIVE_TIME", "1m"),
        ("ETCDCTL_KEEPALIVE_TIMEOUT", "6s"),
        ("ETCDCTL_CACERT", "/ca.pem"),
        ("ETCDCTL_CERT", "/client.pem"),
        ("ETCDCTL_KEY", "/client-key.pem"),
    ]);
    let mut expected = TransportSettings::default();
    expected.connect_timeout = Some(Duration::from_millis(1500));
    expected.keepalive_interval = Some(Duration::from_secs(60));
    expected.keepalive_timeout = Some(Duration::from_secs(6));
    expected.ca_file = Some("/ca.pem".into());
    expected.cert_file = Some("/client.pem".into());
    expected.key_file = Some("/client-key.pem".into());
    assert_eq!(config.transport_settings(), expected);
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
    ] {
        assert_eq!(refused(&[variables]), reason);
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
    let error = Client::<Plain>::from_config(&from(&[("ETCDCTL_CACERT", "/ca.pem")])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "client: the HTTP stack refused the request: built without TLS"
    );
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
