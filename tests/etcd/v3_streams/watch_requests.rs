//! Requests for watches and their responses, as they are on the wire.

use std::pin::pin;

use etcd_http::{
    Outcome,
    transport::{Body, Transport, TransportErrorKind, bytes::Bytes, http_body::Frame},
    v3::{Compact, KeyRange, Put, Watch},
};
use futures::{
    StreamExt,
    channel::mpsc,
    future::{Either, select},
};
use harness::{
    case::Etcd,
    cases_and_grpc,
    json_lines::JsonLines,
    raw_http::{base64, post, with},
};
use http_body_util::StreamBody;
use serde_json::{Value, json};

cases_and_grpc! {
    any {
        Shared {
            v3_71_72_an_id_is_ours_or_the_next_that_is_free_and_is_taken_once,
            v3_83_only_the_canceled_watch_reports_that_it_ended,
            v3_84_progress_is_reported_for_no_watch_in_particular,
            v3_86_nothing_is_answered_before_the_request_has_ended,
        }
        Alone {
            v3_76_a_watch_from_below_the_first_revision_has_its_history_compacted,
        }
    }
    http {
        Alone {
            v3_91_a_server_that_stops_or_dies_breaks_the_stream_off,
        }
    }
}

/// A request to watch the case's keys, with these fields, too.
fn create<T: Transport>(etcd: &Etcd<T>, fields: Value) -> Value {
    let mut create = json!({"key": base64(etcd.key(""))});
    create
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    json!({"create_request": create})
}

/// Returns the response to these requests.
async fn watch<T: Transport>(etcd: &Etcd<T>, requests: &[Value]) -> JsonLines {
    let body: String = requests.iter().map(Value::to_string).collect();
    let request = post(&etcd.url(), "/v3/watch", body);
    // Otherwise etcd's server may discard the unread rest when it begins to respond (V3-86).
    let request = with(request, "connection", "close");
    JsonLines::of(&etcd.transport(), request).await.unwrap()
}

/// Returns whether nothing more arrives for a while.
async fn is_silent<T: Transport>(etcd: &Etcd<T>, lines: &mut JsonLines) -> bool {
    let (next, silence) = (pin!(lines.next()), pin!(etcd.sleep(500)));
    matches!(select(next, silence).await, Either::Right(_))
}

/// Returns a message without its header.
fn said(mut message: Value) -> Value {
    let header = message.as_object_mut().unwrap().remove("header");
    assert!(header.is_some(), "{message}");
    message
}

async fn v3_71_72_an_id_is_ours_or_the_next_that_is_free_and_is_taken_once<T: Transport>(
    etcd: Etcd<T>,
) {
    let ids = [Some(7), None, Some(7), Some(1), None, None];
    let creates = ids.map(|id| match id {
        Some(id) => create(&etcd, json!({"watch_id": id.to_string()})),
        None => create(&etcd, json!({})),
    });
    let mut lines = watch(&etcd, &creates).await;
    assert_eq!(lines.status, 200);
    let taken = json!({
        "watch_id": "-1", "created": true, "canceled": true,
        "cancel_reason": "mvcc: duplicate watch ID provided on the WatchStream",
    });
    for expected in [
        json!({"watch_id": "7", "created": true}),
        // Zero.
        json!({"created": true}),
        taken,
        json!({"watch_id": "1", "created": true}),
        json!({"watch_id": "2", "created": true}),
        json!({"watch_id": "3", "created": true}),
    ] {
        assert_eq!(said(lines.result().await), expected);
    }
}

async fn v3_83_only_the_canceled_watch_reports_that_it_ended<T: Transport>(etcd: Etcd<T>) {
    let cancel = |id: &str| json!({"cancel_request": {"watch_id": id}});
    let requests = [
        create(&etcd, json!({"watch_id": "7"})),
        cancel("7"),
        cancel("9"),
        create(&etcd, json!({"watch_id": "8"})),
    ];
    let mut lines = watch(&etcd, &requests).await;
    for expected in [
        json!({"watch_id": "7", "created": true}),
        json!({"watch_id": "7", "canceled": true}),
        json!({"watch_id": "8", "created": true}),
    ] {
        assert_eq!(said(lines.result().await), expected);
    }
    etcd.v3().kv().put(etcd.key(""), "1").await.unwrap();
    assert_eq!(lines.result().await["watch_id"], "8");
    assert!(is_silent(&etcd, &mut lines).await);
}

async fn v3_84_progress_is_reported_for_no_watch_in_particular<T: Transport>(etcd: Etcd<T>) {
    let revision = etcd.send(Put::new(etcd.key(""), "1")).await.unwrap();
    let revision = revision.header.revision;
    let progress = || json!({"progress_request": {}});
    let mut lines = watch(&etcd, &[create(&etcd, json!({})), progress()]).await;
    // Which comes first differs.
    let messages = [lines.result().await, lines.result().await];
    let of_none = messages.iter().find(|it| it["watch_id"] == "-1").unwrap();
    let reported: i64 = of_none["header"]["revision"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(reported >= revision);
    assert_eq!(said(of_none.clone()), json!({"watch_id": "-1"}));
    assert!(messages.iter().any(|message| message["created"] == true));

    // Without a watch, 3.5 sends nothing, not even the head of the response.
    let alone = post(&etcd.url(), "/v3/watch", progress().to_string());
    let transport = etcd.transport();
    let answer = JsonLines::of(&transport, alone);
    if etcd.is_3_5() {
        let silence = pin!(etcd.sleep(1_000));
        assert!(matches!(
            select(pin!(answer), silence).await,
            Either::Right(_)
        ));
    } else {
        let mut lines = answer.await.unwrap();
        assert_eq!(lines.result().await["watch_id"], "-1");
    }
}

async fn v3_86_nothing_is_answered_before_the_request_has_ended<T: Transport>(etcd: Etcd<T>) {
    let (body, pieces) = mpsc::unbounded::<Bytes>();
    let pieces = pieces.map(|piece| Ok(Frame::data(piece)));
    let request = post(
        &etcd.url(),
        "/v3/watch",
        Body::stream(StreamBody::new(pieces)),
    );
    let transport = etcd.transport();
    let answer = Box::pin(JsonLines::of(&transport, request));
    body.unbounded_send(create(&etcd, json!({})).to_string().into())
        .unwrap();
    let silence = pin!(etcd.sleep(1_000));
    let answer = match select(answer, silence).await {
        Either::Left((answer, _)) => panic!("answered: {:?}", answer.map(|lines| lines.status)),
        Either::Right(((), answer)) => answer,
    };
    drop(body);
    let mut lines = answer.await.unwrap();
    assert_eq!(lines.result().await["created"], true);
}

async fn v3_76_a_watch_from_below_the_first_revision_has_its_history_compacted<T: Transport>(
    etcd: Etcd<T>,
) {
    let before = create(&etcd, json!({"start_revision": "-1"}));
    let mut waits = watch(&etcd, std::slice::from_ref(&before)).await;
    assert_eq!(waits.result().await["created"], true);
    assert!(is_silent(&etcd, &mut waits).await);

    let put = etcd.send(Put::new(etcd.key(""), "1")).await.unwrap();
    let revision = put.header.revision;
    etcd.send(Compact::new(revision)).await.unwrap();
    let mut lines = watch(&etcd, std::slice::from_ref(&before)).await;
    let compacted = json!({"canceled": true, "compact_revision": revision.to_string()});
    let first = said(lines.result().await);
    if first["canceled"] == true {
        // Late releases of 3.5 say so at once.
        assert!(etcd.is_3_5() && first["watch_id"] == "-1", "{first}");
    } else {
        assert_eq!(first, json!({"created": true}));
        assert_eq!(said(lines.result().await), compacted);
    }
    // The stream has no watch any more, but does not end.
    assert!(is_silent(&etcd, &mut lines).await);

    // The client does not send this.
    let all = Watch::new(KeyRange::all()).from_revision(-1);
    let error = etcd.open(all).next().await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
}

async fn v3_91_a_server_that_stops_or_dies_breaks_the_stream_off<T: Transport>(etcd: Etcd<T>) {
    let mut lines = watch(&etcd, &[create(&etcd, json!({}))]).await;
    assert_eq!(lines.result().await["created"], true);
    let to_end = async {
        let mut last = lines.next().await;
        if let Some(Ok(line)) = last {
            let error = &line["error"];
            let code = error.get("grpc_code").unwrap_or(&error["code"]);
            assert_eq!(code, 14, "{line}");
            last = lines.next().await;
        }
        last
    };
    let (end, ()) = futures::join!(to_end, etcd.meanwhile(|server| server.restart()));
    assert!(end.is_none(), "{end:?}");

    let mut lines = watch(&etcd, &[create(&etcd, json!({}))]).await;
    assert_eq!(lines.result().await["created"], true);
    let (end, ()) = futures::join!(lines.next(), etcd.meanwhile(|server| server.kill(0)));
    let error = end.unwrap().unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Interrupted, "{error}");
}
