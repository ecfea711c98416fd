//! Responses that are encoded, or too large.

use etcd_http::{
    Client, Outcome,
    transport::http::Method,
    v2::{Get, Set},
};
use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step, keys, with_headers},
};

use crate::v2_calls::{get, ok};

fn client(steps: impl IntoIterator<Item = Step>) -> Client<ScriptedTransport> {
    Client::new(ScriptedTransport::new(steps), ["http://a"]).unwrap()
}

fn encoded(step: Step) -> Step {
    with_headers(step, &[("content-encoding", "gzip")])
}

#[test]
fn an_encoded_response_is_an_error() {
    let client = client([encoded(ok()), encoded(ok())]);
    assert_eq!(
        get(&client).unwrap_err().to_string(),
        "v2.keys.get at http://a: the response is encoded (\"gzip\"), which this client never requests"
    );
    let error = block_on(client.send(Set::new("x", "y"))).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(client.transport().seen().len(), 2);
}

#[test]
fn an_encoded_page_of_a_proxy_without_a_server_behind_it_is_requested_again() {
    let page = encoded(Step::Respond(502, vec![], Ending::Whole("\x1f".into())));
    assert_eq!(get(&client([page, ok()])).unwrap(), 7);
}

/// The response is refused for what it is, and another call may have a good one.
#[test]
fn an_endpoint_is_not_avoided_for_an_encoded_response() {
    let transport = ScriptedTransport::new([encoded(ok()), ok()]);
    let client = Client::new(transport, ["http://a", "http://b"]).unwrap();
    get(&client).unwrap_err();
    assert!(client.endpoints()[0].is_up);
    get(&client).unwrap();
    assert_eq!(client.transport().seen(), ["GET a/v2/keys/x"; 2]);
}

#[test]
fn identity_is_no_encoding() {
    let plain = with_headers(ok(), &[("content-encoding", "Identity")]);
    assert_eq!(get(&client([plain])).unwrap(), 7);
}

#[test]
fn too_many_or_too_large_headers_are_an_error() {
    let many = vec![("x-a", "1"); 98]; // and the two of the answer itself
    assert!(get(&client([with_headers(ok(), &many)])).is_ok());
    let too_many = vec![("x-a", "1"); 99];
    let large = "x".repeat(64 << 10);
    for headers in [too_many, vec![("x-a", &*large)]] {
        assert_eq!(
            get(&client([with_headers(ok(), &headers)]))
                .unwrap_err()
                .to_string(),
            "v2.keys.get at http://a: the response has more than 100 headers, or 65536 bytes of them"
        );
    }
}

#[test]
fn headers_of_64_kib_are_accepted() {
    // Names and values, with those of the response itself.
    let own = "content-type".len() + "application/json".len() + "x-etcd-index".len() + 1;
    let longest = (64 << 10) - own - "x-a".len();
    let with = |length| with_headers(ok(), &[("x-a", &*"x".repeat(length))]);
    assert_eq!(get(&client([with(longest)])).unwrap(), 7);
    get(&client([with(longest + 1)])).unwrap_err();
}

#[test]
fn json_of_any_depth_is_decoded_or_an_error_and_no_stack_overflow() {
    let deep = |start: &str, end: &str| start.repeat(200_000) + &end.repeat(200_000);
    let bodies = [
        deep("[", "]"),
        deep("[", ""),
        deep("{\"a\":", ""),
        deep("{\"node\":", "}"),
        deep("{\"node\":{\"nodes\":[", "]}}"),
        format!("{{\"message\":{}}}", deep("[", "]")),
        format!("{{\"members\":{}}}", deep("[", "]")),
    ];
    for body in bodies {
        for status in [200, 400] {
            let client = client((0..5).map(|_| keys(status, 7, body.clone())));
            assert!(get(&client).is_err());
            assert!(block_on(client.version()).is_err());
            assert!(block_on(client.v2().list_members()).is_err());
            assert!(block_on(client.v2().get_self_stats()).is_err());
            let raw = block_on(client.send(client.request(Method::GET, "/v2/keys/x")));
            match raw {
                Ok(raw) => {
                    assert_eq!(raw.text(), body);
                    assert!(raw.json::<serde_json::Value>().is_err());
                }
                Err(_) => assert_eq!(status, 400),
            }
        }
    }
    // Skipped values may have any depth.
    let unknown = format!(
        r#"{{"action":"get","new":{},"node":{{"key":"/x","modifiedIndex":7,"new":{}}}}}"#,
        deep("[", "]"),
        deep("[", "]"),
    );
    assert_eq!(get(&client([keys(200, 7, unknown)])).unwrap(), 7);
}

#[test]
fn line_breaks_and_nuls_are_never_sent_unescaped() {
    let client = client([ok()]);
    for path in ["/v2/a\r\nX: y", "/v2/a\nb", "/v2/a\0b", "/v2/a b"] {
        let request = client.request(Method::GET, path);
        assert_eq!(
            block_on(client.send(request)).unwrap_err().outcome(),
            Outcome::NotSent
        );
    }
    let escaped = Get::new("a\r\nX: y\0");
    block_on(client.send(escaped)).unwrap();
    assert_eq!(
        client.transport().seen(),
        ["GET a/v2/keys/a%0D%0AX%3A%20y%00"]
    );
}

#[test]
fn a_response_of_tiny_elements_is_refused_before_it_fills_the_memory() {
    let elements = vec!["{}"; 6000].join(",");
    let header = r#""header":{"cluster_id":"7"}"#;
    let members = || keys(200, 7, format!(r#"{{{header},"members":[{elements}]}}"#));
    let client = |limit| {
        let client = Client::builder(ScriptedTransport::new([members()])).endpoints(["http://a"]);
        client.max_response_size(limit).build().unwrap()
    };
    let found = block_on(client(1 << 20).v3().cluster().list_members()).unwrap();
    assert_eq!(found.members.len(), 6000);
    let error = block_on(client(30_000).v3().cluster().list_members()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "v3.cluster.member.list at http://a: decoded, the response takes more than 4 times the client's limit of 30000 \
         bytes: raise `max_response_size`, or ask for less"
    );
}
