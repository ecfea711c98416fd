//! Faults, as a caller of the transport sees them, and what the server has done.

use std::{pin::pin, time::Duration};

use etcd_http_fake::{FakeEtcd, Fault, Outcome, When};
use etcd_transport::{
    Body, Request, Response, Transport, TransportError, TransportErrorKind, http,
};
use futures::{FutureExt, executor::block_on};

fn request(method: &str, url: &str) -> Request {
    let url = if url.starts_with('/') {
        format!("http://localhost:2379{url}")
    } else {
        url.to_owned()
    };
    let request = http::Request::builder().method(method).uri(url);
    request.body(Body::empty()).unwrap()
}

fn send(etcd: &FakeEtcd, method: &str, url: &str) -> Result<Response, TransportError> {
    etcd.send(request(method, url))
        .now_or_never()
        .expect("the request waits")
}

fn kind(result: Result<Response, TransportError>) -> TransportErrorKind {
    result.unwrap_err().kind()
}

fn body(response: Response) -> String {
    let body = block_on(response.into_body().collect(1 << 20)).unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn a_refused_connection_is_a_connect_error_and_the_server_saw_nothing() {
    let etcd = FakeEtcd::new();
    etcd.inject(When::any().once(), Fault::refuse());
    let kind = kind(send(&etcd, "PUT", "/v2/keys/a?value=x"));
    assert_eq!(kind, TransportErrorKind::Connect);
    assert_eq!(etcd.index(), 3);
    assert!(send(&etcd, "PUT", "/v2/keys/a?value=x").is_ok());
}

#[test]
fn a_break_before_the_server_acts_leaves_nothing_behind() {
    let etcd = FakeEtcd::new();
    etcd.inject(When::any().once(), Fault::break_before());
    let kind = kind(send(&etcd, "PUT", "/v2/keys/a?value=x"));
    assert_eq!(kind, TransportErrorKind::Interrupted);
    assert_eq!(etcd.value("a"), None);
}

#[test]
fn a_break_after_the_server_acted_leaves_the_write_behind() {
    let etcd = FakeEtcd::new();
    etcd.inject(When::any().once(), Fault::break_after());
    let kind = kind(send(&etcd, "PUT", "/v2/keys/a?value=x"));
    assert_eq!(kind, TransportErrorKind::Interrupted);
    assert_eq!(etcd.value("a").unwrap(), b"x");
}

#[test]
fn a_body_breaks_off_at_any_byte() {
    let etcd = FakeEtcd::new();
    send(&etcd, "PUT", "/v2/keys/a?value=x").unwrap();
    let whole = body(send(&etcd, "GET", "/v2/keys/a").unwrap());
    for bytes in 0..whole.len() {
        etcd.inject(When::any().once(), Fault::break_body(bytes));
        let mut answer = send(&etcd, "GET", "/v2/keys/a").unwrap().into_body();
        let mut read = Vec::new();
        let error = loop {
            match block_on(answer.frame()).expect("a break is no end") {
                Ok(frame) => read.extend(frame.into_data().unwrap()),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), TransportErrorKind::Interrupted);
        assert_eq!(read, whole.as_bytes()[..bytes]);
    }
}

#[test]
fn a_stream_breaks_between_two_events() {
    let etcd = FakeEtcd::new();
    etcd.inject(When::method("GET").once(), Fault::break_after_events(2));
    let mut watch = send(&etcd, "GET", "/v2/keys/a?wait=true&stream=true")
        .unwrap()
        .into_body();
    for value in 0..3 {
        send(&etcd, "PUT", &format!("/v2/keys/a?value={value}")).unwrap();
    }
    for value in 0..2 {
        let event = block_on(watch.frame())
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        let text = format!("\"value\":\"{value}\"");
        assert!(String::from_utf8_lossy(&event).contains(&text));
    }
    assert!(block_on(watch.frame()).unwrap().is_err());
}

#[test]
fn silence_lasts_until_the_drop() {
    let etcd = FakeEtcd::new();
    for (fault, value) in [
        (Fault::silence(), None),
        (Fault::silence_after(), Some(b"x".to_vec())),
    ] {
        etcd.inject(When::any().once(), fault);
        let mut waits = Box::pin(etcd.send(request("PUT", "/v2/keys/a?value=x")));
        assert!(waits.as_mut().now_or_never().is_none());
        etcd.advance(Duration::from_secs(1 << 30));
        assert!(waits.as_mut().now_or_never().is_none());
        assert_eq!(etcd.value("a"), value);
        assert_eq!(etcd.open_exchanges(), 1);
        drop(waits);
        assert_eq!(etcd.open_exchanges(), 0);
        assert_eq!(etcd.log().last().unwrap().outcome(), Outcome::Dropped);
    }
}

#[test]
fn a_body_falls_silent() {
    let etcd = FakeEtcd::new();
    etcd.inject(When::any().once(), Fault::silence_body(5));
    let mut answer = send(&etcd, "GET", "/version").unwrap().into_body();
    let frame = block_on(answer.frame()).unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "{\"etc");
    assert!(pin!(answer.frame()).now_or_never().is_none());
}

#[test]
fn a_delay_is_by_the_fakes_clock() {
    let second = Duration::from_secs(1);
    for (fault, done_at_once) in [
        (Fault::delay(second), false),
        (Fault::delay_response(second), true),
    ] {
        let etcd = FakeEtcd::new();
        etcd.inject(When::any().once(), fault);
        let mut waits = Box::pin(etcd.send(request("PUT", "/v2/keys/a?value=x")));
        assert!(waits.as_mut().now_or_never().is_none());
        assert_eq!(etcd.value("a").is_some(), done_at_once);
        etcd.advance(second);
        assert_eq!(
            waits.as_mut().now_or_never().unwrap().unwrap().status(),
            201
        );
        assert!(etcd.value("a").is_some());
    }
}

#[test]
fn something_else_answers() {
    let etcd = FakeEtcd::new();
    etcd.inject(When::any().once(), Fault::status(503));
    let answer = send(&etcd, "PUT", "/v2/keys/a?value=x").unwrap();
    assert_eq!((answer.status().as_u16(), etcd.index()), (503, 3));
    etcd.inject(When::any().once(), Fault::html(502));
    let answer = send(&etcd, "PUT", "/v2/keys/a?value=x").unwrap();
    assert_eq!(answer.headers()["content-type"], "text/html");
    assert!(body(answer).starts_with("<html>"));
    etcd.inject(
        When::any().once(),
        Fault::redirect(307, "http://elsewhere/"),
    );
    let answer = send(&etcd, "PUT", "/v2/keys/a?value=x").unwrap();
    assert_eq!(answer.headers()["location"], "http://elsewhere/");
    let lost = http::Response::builder()
        .status(500)
        .body(b"lost".to_vec())
        .unwrap();
    etcd.inject(When::any().once(), Fault::respond_after(lost));
    let answer = send(&etcd, "PUT", "/v2/keys/a?value=x").unwrap();
    assert_eq!((answer.status().as_u16(), etcd.index()), (500, 4));
}

#[test]
fn json_is_cut_short_or_goes_on_and_the_length_agrees() {
    let etcd = FakeEtcd::new();
    let whole = body(send(&etcd, "GET", "/version").unwrap());
    for (fault, expected) in [
        (Fault::truncate(7), whole[..7].to_owned()),
        (Fault::append("}{"), format!("{whole}}}{{")),
    ] {
        etcd.inject(When::any().once(), fault);
        let answer = send(&etcd, "GET", "/version").unwrap();
        assert_eq!(
            answer.headers()["content-length"],
            expected.len().to_string().as_str()
        );
        assert_eq!(body(answer), expected);
    }
}

#[test]
fn a_fault_affects_only_matching_requests() {
    let etcd = FakeEtcd::builder().members(2).build();
    let urls = etcd.endpoints();
    let ask = |method: &str, path: &str, endpoint: usize| {
        send(&etcd, method, &format!("{}{path}", urls[endpoint])).is_ok()
    };
    etcd.inject(
        When::method("PUT").path("/v2/keys/a b*").endpoint(1).nth(2),
        Fault::refuse(),
    );
    assert!(ask("PUT", "/v2/keys/a%20bc", 1), "the first of two");
    assert!(ask("GET", "/v2/keys/a%20bc", 1), "another method");
    assert!(ask("PUT", "/v2/keys/other", 1), "another path");
    assert!(ask("PUT", "/v2/keys/a%20bc", 0), "another endpoint");
    assert!(!ask("PUT", "/v2/keys/a%20bc", 1), "the second");
    assert!(ask("PUT", "/v2/keys/a%20bc", 1), "the third");
    assert_eq!(etcd.pending_faults(), 0);

    let waits = When::any().matching(|exchange| exchange.parameter("wait").is_some());
    etcd.inject(waits, Fault::refuse());
    assert!(!ask("GET", "/v2/keys/a?wait=true", 0));
    assert!(ask("GET", "/v2/keys/a%20bc", 0));
    etcd.clear_faults();
    etcd.inject(When::any().every(3), Fault::refuse());
    let answers: Vec<bool> = (0..6).map(|_| ask("GET", "/version", 0)).collect();
    assert_eq!(answers, [true, true, false, true, true, false]);
}

#[test]
fn chance_follows_the_seed() {
    let struck = |seed| -> Vec<bool> {
        let etcd = FakeEtcd::builder().seed(seed).build();
        etcd.inject(When::any().with_chance(0.5), Fault::refuse());
        (0..64)
            .map(|_| send(&etcd, "GET", "/version").is_err())
            .collect()
    };
    assert_eq!(struck(1), struck(1));
    assert_ne!(struck(1), struck(2));
    let count = struck(1).into_iter().filter(|&struck| struck).count();
    assert!((16..48).contains(&count), "{count}");
}

#[test]
fn an_endpoint_that_is_down_refuses_and_breaks_what_is_open() {
    let etcd = FakeEtcd::builder().members(3).build();
    let urls = etcd.endpoints();
    let watch = format!("{}/v2/keys/a?wait=true", urls[1]);
    let mut watch = send(&etcd, "GET", &watch).unwrap().into_body();
    etcd.endpoint(1).stop();
    let broken = block_on(watch.frame()).unwrap().unwrap_err();
    assert_eq!(broken.kind(), TransportErrorKind::Interrupted);
    let version = format!("{}/version", urls[1]);
    assert_eq!(
        kind(send(&etcd, "GET", &version)),
        TransportErrorKind::Connect
    );
    assert!(send(&etcd, "GET", &format!("{}/version", urls[2])).is_ok());
    etcd.endpoint(1).start();
    assert!(send(&etcd, "GET", &version).is_ok());
    let elsewhere = kind(send(&etcd, "GET", "http://nobody:2379/version"));
    assert_eq!(elsewhere, TransportErrorKind::Connect);
}

#[test]
fn v2_41_a_lagging_endpoint_reads_old_data_and_its_watches_are_late() {
    let etcd = FakeEtcd::builder().members(3).build();
    let urls = etcd.endpoints();
    let ask = |method: &str, endpoint: usize, target: &str| {
        body(
            send(
                &etcd,
                method,
                &format!("{}/v2/keys/{target}", urls[endpoint]),
            )
            .unwrap(),
        )
    };
    let before = format!("{}/v2/keys/a?wait=true", urls[2]);
    let mut before = send(&etcd, "GET", &before).unwrap().into_body();
    ask("PUT", 0, "b?value=1");
    etcd.endpoint(2).lag();
    ask("PUT", 0, "a?value=1");
    ask("PUT", 0, "b?value=2");
    assert_eq!(etcd.endpoint(2).missed(), 2);
    assert!(ask("GET", 2, "b").contains("\"value\":\"1\""));
    assert!(ask("GET", 1, "b").contains("\"value\":\"2\""));
    let mut late = send(&etcd, "GET", &format!("{}/v2/keys/b?wait=true", urls[2]))
        .unwrap()
        .into_body();
    assert!(pin!(before.frame()).now_or_never().is_none());
    etcd.endpoint(2).catch_up_by(1);
    assert!(pin!(before.frame()).now_or_never().is_some());
    assert!(pin!(late.frame()).now_or_never().is_none());
    // A quorum read makes it catch up.
    assert!(ask("GET", 2, "b?quorum=true").contains("\"value\":\"2\""));
    assert_eq!(etcd.endpoint(2).missed(), 0);
    assert!(pin!(late.frame()).now_or_never().is_some());
    drop((before, late));
    assert_eq!(etcd.open_exchanges(), 0);
}

#[test]
fn a_lagging_endpoint_applies_changes_of_the_members_in_their_order() {
    let etcd = FakeEtcd::builder().members(3).build();
    let urls = etcd.endpoints();
    let index = |endpoint: usize| {
        let answer = send(&etcd, "GET", &format!("{}/v2/keys", urls[endpoint])).unwrap();
        let index = answer.headers()["x-etcd-index"].to_str().unwrap();
        index.parse::<u64>().unwrap()
    };
    etcd.endpoint(2).lag();
    let before = index(2);
    let mut add = request("POST", &format!("{}/v2/members", urls[0]));
    let json = http::HeaderValue::from_static("application/json");
    add.headers_mut().insert(http::header::CONTENT_TYPE, json);
    *add.body_mut() = Body::from(r#"{"peerURLs":["http://127.0.0.1:9380"]}"#);
    let added = etcd.send(add).now_or_never().unwrap().unwrap();
    assert_eq!(added.status(), 201);
    send(&etcd, "PUT", &format!("{}/v2/keys/a?value=1", urls[0])).unwrap();
    assert_eq!((index(0), index(2)), (before + 2, before));
    assert_eq!(etcd.endpoint(2).missed(), 2);
    etcd.endpoint(2).catch_up_by(1);
    assert_eq!(index(2), before + 1);
}

#[test]
fn a_watch_on_an_endpoint_that_has_caught_up_goes_on() {
    let etcd = FakeEtcd::builder().members(3).build();
    let urls = etcd.endpoints();
    etcd.endpoint(1).lag();
    let watch = format!("{}/v2/keys/a?wait=true", urls[1]);
    let mut watch = send(&etcd, "GET", &watch).unwrap().into_body();
    etcd.endpoint(1).catch_up();
    send(&etcd, "PUT", &format!("{}/v2/keys/a?value=1", urls[0])).unwrap();
    assert!(pin!(watch.frame()).now_or_never().is_some());
}

#[test]
fn without_a_quorum_writes_wait_seven_seconds_and_may_be_applied_later() {
    let etcd = FakeEtcd::new();
    etcd.lose_quorum();
    assert_eq!(
        send(&etcd, "GET", "/v2/keys").unwrap().status(),
        200,
        "a plain read is local"
    );
    let stats = body(send(&etcd, "GET", "/v2/stats/leader").unwrap());
    assert_eq!(stats, "{\"message\":\"not current leader\"}");
    let mut write = Box::pin(etcd.send(request("PUT", "/v2/keys/a?value=x")));
    assert!(write.as_mut().now_or_never().is_none());
    etcd.advance(FakeEtcd::QUORUM_TIMEOUT);
    let answer = write.as_mut().now_or_never().unwrap().unwrap();
    assert_eq!(answer.status(), 500);
    let expected = "{\"errorCode\":300,\"message\":\"Raft Internal Error\",\
                    \"cause\":\"etcdserver: request timed out\",\"index\":0}\n";
    assert_eq!(body(answer), expected);
    assert_eq!(etcd.value("a"), None);
    let mut waits = Box::pin(etcd.send(request("PUT", "/v2/keys/b?value=y")));
    assert!(waits.as_mut().now_or_never().is_none());
    etcd.regain_quorum();
    assert_eq!(
        etcd.value("a").unwrap(),
        b"x",
        "the leader had it in its log"
    );
    assert_eq!(
        waits.as_mut().now_or_never().unwrap().unwrap().status(),
        201
    );
}

#[test]
fn during_an_election_there_is_no_leader_and_writes_are_lost() {
    let etcd = FakeEtcd::builder().members(3).build();
    let url = etcd.endpoints()[0].clone();
    etcd.begin_election();
    let leader = send(&etcd, "GET", &format!("{url}/v2/members/leader")).unwrap();
    assert_eq!(leader.status(), 503);
    assert_eq!(body(leader), "{\"message\":\"During election\"}");
    let mut write = Box::pin(etcd.send(request("PUT", &format!("{url}/v2/keys/a?value=x"))));
    assert!(write.as_mut().now_or_never().is_none());
    etcd.advance(FakeEtcd::QUORUM_TIMEOUT);
    let answer = body(write.as_mut().now_or_never().unwrap().unwrap());
    assert!(
        answer.contains("possibly due to previous leader failure"),
        "{answer}"
    );
    etcd.endpoint(1).lead();
    assert!(etcd.endpoint(1).is_leader());
    assert_eq!(etcd.value("a"), None);
    let leader = body(send(&etcd, "GET", &format!("{url}/v2/members/leader")).unwrap());
    assert!(leader.contains("\"name\":\"infra1\""), "{leader}");
}

#[test]
fn a_cleared_history_is_error_401() {
    let etcd = FakeEtcd::new();
    for value in 0..5 {
        send(&etcd, "PUT", &format!("/v2/keys/a?value={value}")).unwrap();
    }
    etcd.clear_history();
    let answer = body(send(&etcd, "GET", "/v2/keys/a?wait=true&waitIndex=5").unwrap());
    assert!(
        answer.contains("the requested history has been cleared [8/5]"),
        "{answer}"
    );
}

#[test]
fn a_restart_keeps_the_data_and_breaks_what_is_open() {
    let etcd = FakeEtcd::new();
    send(&etcd, "PUT", "/v2/keys/a?value=x").unwrap();
    let mut watch = send(&etcd, "GET", "/v2/keys/a?wait=true")
        .unwrap()
        .into_body();
    assert!(pin!(watch.frame()).now_or_never().is_none());
    etcd.restart();
    assert!(block_on(watch.frame()).unwrap().is_err());
    drop(watch);
    let answer = send(&etcd, "GET", "/v2/keys/a").unwrap();
    assert_eq!(
        answer.headers()["x-etcd-index"],
        "5",
        "the member wrote its attributes"
    );
    assert_eq!(answer.headers()["x-raft-term"], "3");
    assert!(body(answer).contains("\"modifiedIndex\":4"));
    assert_eq!((etcd.open_watches(), etcd.open_exchanges()), (0, 0));
}

#[test]
fn a_wipe_starts_from_an_empty_store() {
    let etcd = FakeEtcd::new();
    send(&etcd, "PUT", "/v2/keys/a?value=x").unwrap();
    etcd.wipe();
    assert_eq!((etcd.index(), etcd.value("a")), (3, None));
}

#[test]
fn an_unknown_scheme_is_rejected() {
    let etcd = FakeEtcd::new();
    assert_eq!(
        kind(send(&etcd, "GET", "ftp://localhost/version")),
        TransportErrorKind::Rejected
    );
}
