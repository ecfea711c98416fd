//! Raw requests: paths without an operation.

use etcd_http::{
    Error, Outcome,
    transport::{
        Transport,
        http::{Method, StatusCode},
    },
};
use harness::{
    case::{Etcd, refusal},
    cases,
};
use serde_json::{Value, json};

cases! {
    any {
        Shared {
            json_is_answered_as_json,
            text_is_answered_as_text,
            a_query_and_a_form_are_encoded,
            v2_16_a_body_that_is_no_form_is_not_read_by_the_keys_api,
            a_head_request_has_no_response_body,
            an_error_response_of_etcd_is_an_error,
            v2_1_a_path_that_etcd_does_not_have_is_an_http_error,
            v2_6_a_method_that_etcd_does_not_have_is_an_http_error,
            v2_2_a_path_with_a_broken_escape_is_an_http_error,
            v2_3_a_redirect_is_followed_within_the_api_and_not_out_of_it,
            v2_3_a_redirect_of_a_write_is_not_followed,
        }
    }
    http {
        Shared {
            a_json_body_is_sent_to_the_v3_gateway,
        }
    }
}

async fn json<T: Transport>(etcd: &Etcd<T>, method: Method, path: impl AsRef<str>) -> Value {
    let response = etcd.send(etcd.request(method, path)).await.unwrap();
    response.json().unwrap()
}

fn path<T: Transport>(etcd: &Etcd<T>, name: &str) -> String {
    format!("/v2/keys{}", etcd.key(name))
}

async fn json_is_answered_as_json<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    let answer = json(&etcd, Method::GET, path(&etcd, "a")).await;
    assert_eq!(answer["action"], "get");
    assert_eq!(answer["node"]["value"], "1");
    // Regardless of the content type: etcd sends this one as text.
    assert_eq!(json(&etcd, Method::GET, "/health").await["health"], "true");
}

async fn text_is_answered_as_text<T: Transport>(etcd: Etcd<T>) {
    let machines = etcd.request(Method::GET, "/v2/machines");
    let machines = etcd.send(machines).await.unwrap();
    assert!(machines.json::<Value>().is_err());
    assert_eq!(
        machines.text(),
        etcd.v2().list_machines().await.unwrap().join(", ")
    );
}

async fn a_query_and_a_form_are_encoded<T: Transport>(etcd: Etcd<T>) {
    let awkward = "a b&c=d;e+f%2F#g?é\r\n";
    let by_query = etcd
        .request(Method::PUT, path(&etcd, "query"))
        .query("value", awkward);
    let by_form = etcd
        .request(Method::PUT, path(&etcd, "form"))
        .form("value", awkward)
        .form("ttl", "100");
    etcd.send(by_query).await.unwrap();
    etcd.send(by_form).await.unwrap();
    for name in ["query", "form"] {
        let node = etcd.v2().get(etcd.key(name)).await.unwrap().node;
        assert_eq!(node.value.as_deref(), Some(awkward), "{name}");
        assert_eq!(node.ttl.is_some(), name == "form");
    }
    let listing = etcd
        .request(Method::GET, format!("/v2/keys{}?sorted=true", etcd.root()))
        .query("recursive", "true");
    let listing: Value = etcd.send(listing).await.unwrap().json().unwrap();
    assert_eq!(listing["node"]["nodes"][0]["key"], etcd.key("form"));
}

async fn v2_16_a_body_that_is_no_form_is_not_read_by_the_keys_api<T: Transport>(etcd: Etcd<T>) {
    let put = etcd
        .request(Method::PUT, path(&etcd, "a"))
        .json(&json!({"value": "lost"}));
    etcd.send(put).await.unwrap();
    let node = etcd.v2().get(etcd.key("a")).await.unwrap().node;
    assert_eq!(node.value.as_deref(), Some(""));
}

async fn a_head_request_has_no_response_body<T: Transport>(etcd: Etcd<T>) {
    let head = etcd.request(Method::HEAD, "/v2/keys");
    let answer = etcd.send(head).await.unwrap();
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (StatusCode::OK, "")
    );
    assert!(answer.headers.contains_key("x-etcd-index"));
}

async fn an_error_response_of_etcd_is_an_error<T: Transport>(etcd: Etcd<T>) {
    let get = etcd.request(Method::GET, path(&etcd, "none"));
    let error = etcd.send(get).await.unwrap_err();
    assert!(error.is_key_not_found());
    let shown = format!("request GET {} at http", path(&etcd, "none"));
    assert!(error.to_string().starts_with(&shown), "{error}");
    let get = etcd.request(Method::GET, "/v2/members/none");
    let error = etcd.send(get).await.unwrap_err();
    assert_eq!(error.as_etcd().unwrap().message(), "Not found");
}

async fn v2_1_a_path_that_etcd_does_not_have_is_an_http_error<T: Transport>(etcd: Etcd<T>) {
    for path in ["/v2/keysfoo", "/v2", "/none", "/"] {
        let error = etcd.send(etcd.request(Method::GET, path)).await;
        let Err(Error::Http(error)) = error else {
            panic!("{error:?}");
        };
        assert_eq!(error.status(), StatusCode::NOT_FOUND);
        assert_eq!(error.excerpt(), "404 page not found\n");
        let url = etcd.url();
        assert_eq!(
            error.to_string(),
            format!(
                "request GET {path} at {url}: HTTP status 404 Not Found, not an etcd error response: \
                 \"404 page not found\\n\": is the path of this endpoint wrong, or is this a peer port?"
            )
        );
    }
}

async fn v2_6_a_method_that_etcd_does_not_have_is_an_http_error<T: Transport>(etcd: Etcd<T>) {
    let patch = etcd.request(Method::PATCH, path(&etcd, "a"));
    let error = etcd.send(patch).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected);
    let Error::Http(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(error.excerpt(), "Method Not Allowed\n");
}

async fn v2_2_a_path_with_a_broken_escape_is_an_http_error<T: Transport>(etcd: Etcd<T>) {
    let get = etcd.request(Method::GET, path(&etcd, "%zz"));
    let error = etcd.send(get).await.unwrap_err();
    assert!(
        matches!(&error, Error::Http(error) if error.status() == StatusCode::BAD_REQUEST),
        "{error:?}"
    );
}

async fn v2_3_a_redirect_is_followed_within_the_api_and_not_out_of_it<T: Transport>(etcd: Etcd<T>) {
    etcd.v2().set(etcd.key("a"), "1").await.unwrap();
    let unclean = format!("/v2/keys/{}", etcd.key("a"));
    let answer = json(&etcd, Method::GET, unclean).await;
    assert_eq!(answer["node"]["key"], etcd.key("a"));
    let out = etcd.request(Method::GET, "/v2//..%2Fversion");
    let error = etcd.send(out).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("redirected to \"/version\", which is outside the API of the call"),
        "{error}"
    );
}

async fn v2_3_a_redirect_of_a_write_is_not_followed<T: Transport>(etcd: Etcd<T>) {
    let put = etcd
        .request(Method::PUT, format!("/v2/keys/{}", etcd.key("a")))
        .query("value", "1");
    let error = etcd.send(put).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert!(
        error
            .to_string()
            .ends_with("which is not followed for a write"),
        "{error}"
    );
    assert!(!etcd.v2().exists(etcd.key("a")).await.unwrap());
    let (_, code, _) = refusal(etcd.v2().get(etcd.key("a")).await);
    assert_eq!(code, Some(100));
}

async fn a_json_body_is_sent_to_the_v3_gateway<T: Transport>(etcd: Etcd<T>) {
    // "key" and "value", in base64.
    let put = etcd
        .request(Method::POST, "/v3/kv/put")
        .json(&json!({"key": "a2V5", "value": "dmFsdWU="}));
    etcd.send(put).await.unwrap();
    let range = etcd
        .request(Method::POST, "/v3/kv/range")
        .json(&json!({"key": "a2V5"}));
    let answer: Value = etcd.send(range).await.unwrap().json().unwrap();
    assert_eq!(answer["kvs"][0]["value"], "dmFsdWU=");
}
