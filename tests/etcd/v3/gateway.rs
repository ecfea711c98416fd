//! The JSON gateway itself, independent of the call: paths, JSON, headers.

use std::time::Duration;

use etcd_http::{
    Client, Error, EtcdErrorKind, Outcome,
    transport::{Transport, http::Method},
    v3::{Put, Range},
};
use harness::{
    case::Etcd,
    cases,
    raw_http::{Answer, base64, post},
};
use serde_json::{Value, json};

use crate::refused;

cases! {
    Shared {
        v3_1_calls_are_under_v3_whatever_they_were_under_before,
        v3_3_calls_of_leases_have_two_paths,
        v3_4_7_40_a_key_is_read_as_documented_whatever_the_spacing,
        v3_5_what_is_sent_may_be_written_in_several_ways,
        v3_6_gateways_differ_in_what_they_take,
        v3_8_the_content_type_is_json_and_an_error_may_end_in_a_trailer,
    }
}

/// Sends a raw request, and returns the response.
async fn ask<T: Transport>(etcd: &Etcd<T>, path: &str, body: Value) -> Result<Value, Error> {
    let request = etcd.request(Method::POST, path).json(&body);
    etcd.send(request).await?.json()
}

/// Does the same with any body.
async fn answer<T: Transport>(etcd: &Etcd<T>, path: &str, body: &str) -> Answer {
    let request = post(&etcd.url(), path, body.to_owned());
    Answer::to(Client::transport(etcd), request).await
}

/// Returns whether the gateway is of the second generation, which some builds of 3.5 have: only its errors lack
/// `error`.
async fn is_second<T: Transport>(etcd: &Etcd<T>) -> bool {
    let refusal = answer(etcd, "/v3/kv/range", "{}").await;
    refusal.json().get("error").is_none()
}

async fn v3_1_calls_are_under_v3_whatever_they_were_under_before<T: Transport>(etcd: Etcd<T>) {
    let body = json!({"key": base64(etcd.key("a"))});
    ask(&etcd, "/v3/kv/range", body.clone()).await.unwrap();
    ask(&etcd, "/v3beta/kv/range", body.clone()).await.unwrap();
    let alpha = ask(&etcd, "/v3alpha/kv/range", body).await.unwrap_err();
    assert_eq!(alpha.outcome(), Outcome::Rejected, "{alpha}");
}

async fn v3_3_calls_of_leases_have_two_paths<T: Transport>(etcd: Etcd<T>) {
    let minute = Duration::from_secs(60);
    for calls in ["/v3/lease", "/v3/kv/lease"] {
        let lease = etcd.v3().leases().grant(minute).await.unwrap().id;
        let of_lease = || json!({"ID": lease.get().to_string()});
        let path = |call: &str| format!("{calls}/{call}");
        let left = ask(&etcd, &path("timetolive"), of_lease()).await.unwrap();
        assert_eq!(left["grantedTTL"], "60", "{left}");
        let all = ask(&etcd, &path("leases"), json!({})).await.unwrap();
        assert!(all["leases"].as_array().unwrap().contains(&of_lease()));
        ask(&etcd, &path("revoke"), of_lease()).await.unwrap();
        let again = ask(&etcd, &path("revoke"), of_lease()).await;
        assert_eq!(refused(again), EtcdErrorKind::LeaseNotFound);
    }
}

async fn v3_4_7_40_a_key_is_read_as_documented_whatever_the_spacing<T: Transport>(etcd: Etcd<T>) {
    let key = etcd.key("a");
    let lease = etcd.v3().leases().grant(Duration::from_secs(60)).await;
    let lease = lease.unwrap().id;
    for (value, lease) in [("", None), ("b", Some(lease))] {
        let put = Put::new(&*key, value);
        let put = match lease {
            Some(lease) => put.lease(lease),
            None => put,
        };
        etcd.send(put).await.unwrap();
        let body = json!({"key": base64(&key)}).to_string();
        let reported = answer(&etcd, "/v3/kv/range", &body).await;
        let read = etcd.send(Range::new(&*key)).await.unwrap();
        let kv = read.first().unwrap();
        assert_eq!((&kv.value[..], read.more), (value.as_bytes(), false));

        // Zeros are omitted: no value, no lease, no `more`.
        let value = match value {
            "" => String::new(),
            value => format!(r#","value":"{}""#, base64(value)),
        };
        let lease = match lease {
            None => String::new(),
            Some(lease) => format!(r#","lease":"{}""#, lease.get()),
        };
        let key = base64(&key);
        let (create, modified) = (kv.create_revision, kv.mod_revision);
        let fields = format!(
            r#""kvs":[{{"key":"{key}","create_revision":"{create}","mod_revision":"{modified}","version":"{}"{value}{lease}}}],"count":"1"}}"#,
            kv.version
        );
        // Nothing in it has a space of its own.
        let reported = reported.text.replace(' ', "");
        assert!(reported.ends_with(&fields), "{reported} is not {fields}");
    }
}

async fn v3_5_what_is_sent_may_be_written_in_several_ways<T: Transport>(etcd: Etcd<T>) {
    for name in ["a", "b", "c"] {
        etcd.send(Put::new(etcd.key(name), name)).await.unwrap();
    }
    let (key, end) = (base64(etcd.key("a")), base64(etcd.key("z")));
    let ours = format!(
        r#"{{"key":"{key}","range_end":"{end}","limit":"1","sort_order":"DESCEND","sort_target":"VALUE"}}"#
    );
    let others = [
        format!(
            r#"{{"key":"{key}","rangeEnd":"{end}","limit":1,"sortOrder":2,"sortTarget":4,"unknown":[null]}}"#
        ),
        format!(" {ours} {{\"what\":\"comes after it\"}}"),
    ];
    let found = answer(&etcd, "/v3/kv/range", &ours).await.json()["kvs"].take();
    assert_eq!(found[0]["value"], base64("c"), "{found}");
    for other in others {
        let answer = answer(&etcd, "/v3/kv/range", &other).await;
        assert_eq!(answer.json()["kvs"], found, "{other}");
    }
    // An empty body counts as an empty message.
    for nothing in ["", "{}"] {
        let list = answer(&etcd, "/v3/lease/leases", nothing).await;
        assert!(list.status.is_success(), "{list:?}");
    }
}

async fn v3_6_gateways_differ_in_what_they_take<T: Transport>(etcd: Etcd<T>) {
    let is_second = is_second(&etcd).await;
    let range = |fields: &str| format!(r#"{{"key":"YQ=="{fields}}}"#);
    for (body, first, second) in [
        // Every gateway accepts what the client sends.
        (range(""), true, true),
        (range(r#","sort_order":"ASCEND""#), true, true),
        // Base64 without its padding, and for URLs.
        (r#"{"key":"YQ"}"#.to_owned(), false, true),
        (r#"{"key":"_-8="}"#.to_owned(), false, true),
        (range(r#","sort_order":"NONSENSE""#), false, true),
        (range(r#","limit":"nonsense""#), false, false),
    ] {
        let taken = answer(&etcd, "/v3/kv/range", &body).await;
        let expected = if is_second { second } else { first };
        assert_eq!(taken.status.is_success(), expected, "{body}: {taken:?}");
        if !expected {
            assert_eq!((taken.status.as_u16(), taken.refusal().0), (400, 3));
        }
    }
    // Which of the two the first generation uses changes from request to request.
    let (key, other) = (base64(etcd.key("a")), base64(etcd.key("b")));
    let both = format!(
        r#"{{"success":[{{"request_range":{{"key":"{key}"}},"request_put":{{"key":"{other}"}}}}]}}"#
    );
    let taken = answer(&etcd, "/v3/kv/txn", &both).await;
    assert_eq!(taken.status.is_success(), !is_second, "{taken:?}");
    // `null` is an empty message to the first, and no message to the second.
    let null = answer(&etcd, "/v3/lease/leases", "null").await;
    assert_eq!(null.status.is_success(), !is_second, "{null:?}");
}

async fn v3_8_the_content_type_is_json_and_an_error_may_end_in_a_trailer<T: Transport>(
    etcd: Etcd<T>,
) {
    let fine = answer(&etcd, "/v3/lease/leases", "{}").await;
    let header = |answer: &Answer, name: &str| {
        let value = answer.headers.get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let is = |text: &str| Some(text.to_owned());
    assert_eq!(header(&fine, "content-type"), is("application/json"));
    let metadata = header(&fine, "grpc-metadata-content-type");
    assert_eq!(metadata, is("application/grpc"));
    assert_eq!(header(&fine, "access-control-allow-origin"), is("*"));
    assert_eq!(header(&fine, "x-etcd-index"), None);
    let trailer = match is_second(&etcd).await {
        false => is("Grpc-Trailer-Content-Type"),
        true => None,
    };
    // Three times, since another response follows a trailer.
    for _ in 0..3 {
        let refusal = answer(&etcd, "/v3/lease/revoke", r#"{"ID":"2989"}"#).await;
        assert_eq!(header(&refusal, "content-type"), is("application/json"));
        assert_eq!(header(&refusal, "trailer"), trailer);
        assert_eq!(refusal.refusal().0, 5);
        let gone = etcd.v3().leases().revoke(2989).await;
        assert_eq!(refused(gone), EtcdErrorKind::LeaseNotFound);
    }
}
