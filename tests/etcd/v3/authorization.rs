//! How a token is sent, how long it is valid, and what requires one.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use etcd_http::{
    Client, EtcdErrorKind, Outcome, Protocol,
    transport::{
        Request, Response, Transport, TransportError, async_trait, http::header::AUTHORIZATION,
    },
    v3::{KeyRange, Permission, Put, Snapshot},
};
use futures::StreamExt;
use harness::{
    case::Etcd,
    cases_and_grpc,
    raw_http::{Answer, post, with},
};
use serde_json::json;

use crate::{auth::enable, refused};

cases_and_grpc! {
    any {
        Alone {
            v3_11_headers_become_metadata,
            v3_111_a_token_is_shown_bare,
            v3_112_a_token_is_lost_when_its_server_restarts,
            v3_120_some_calls_go_without_a_token_where_etcd_is_old,
        }
        Three {
            v3_112_a_token_is_good_at_every_member,
        }
        Alone {
            v3_10_121_maintenance_without_permission_has_an_error_of_its_own,
        }
    }
}

/// A transport that records the header `Authorization`.
#[derive(Debug)]
struct Shown<T> {
    inner: T,
    tokens: Mutex<Vec<String>>,
}

#[async_trait]
impl<T: Transport> Transport for Shown<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if let Some(token) = request.headers().get(AUTHORIZATION) {
            let token = token.to_str().unwrap().to_owned();
            self.tokens.lock().unwrap().push(token);
        }
        self.inner.send(request).await
    }

    async fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }
}

/// Sends a read of `/a` with this header, and returns the response.
async fn read<T: Transport>(
    etcd: &Etcd<T>,
    url: &str,
    header: Option<(&'static str, &str)>,
) -> Answer {
    let mut request = post(url, "/v3/kv/range", r#"{"key":"L2E="}"#);
    if let Some((name, value)) = header {
        request = with(request, name, value);
    }
    Answer::to(&etcd.transport(), request).await
}

/// The messages for an unknown token and for a missing one.
const INVALID: (u64, &str) = (16, "etcdserver: invalid auth token");
const NO_USER: (u64, &str) = (3, "etcdserver: user name is empty");

#[track_caller]
fn assert_refused(answer: &Answer, (code, words): (u64, &str)) {
    assert_eq!(answer.refusal(), (code, words.to_owned()), "{answer:?}");
}

async fn token<T: Transport>(etcd: &Etcd<T>, user: &str, password: &str) -> String {
    let auth = etcd.v3().auth();
    auth.authenticate(user, password).await.unwrap().token
}

async fn v3_11_headers_become_metadata<T: Transport>(etcd: Etcd<T>) {
    enable(&etcd).await;
    let (url, token) = (etcd.url(), token(&etcd, "root", "r").await);
    for name in ["authorization", "grpc-metadata-token"] {
        let answer = read(&etcd, &url, Some((name, &token))).await;
        assert!(answer.status.is_success(), "{name}: {answer:?}");
    }
    let other = read(&etcd, &url, Some(("token", &token))).await;
    assert_refused(&other, NO_USER);
}

async fn v3_111_a_token_is_shown_bare<T: Transport>(etcd: Etcd<T>) {
    enable(&etcd).await;
    let shown = Shown {
        inner: etcd.transport(),
        tokens: Mutex::default(),
    };
    let client = Client::builder(shown)
        .endpoints(etcd.urls())
        .protocol(Protocol::Gateway);
    let client = client.v3_auth("root", "r").build().unwrap();
    client.v3().kv().get("/a").await.unwrap();
    let tokens = client.transport().tokens.lock().unwrap().clone();
    let [token] = &tokens[..] else {
        panic!("{} were shown", tokens.len());
    };

    let url = etcd.url();
    let bare = read(&etcd, &url, Some(("authorization", token))).await;
    assert!(bare.status.is_success(), "{bare:?}");
    let bearer = format!("Bearer {token}");
    let bearer = read(&etcd, &url, Some(("authorization", &bearer))).await;
    assert_refused(&bearer, INVALID);
    assert_eq!(bearer.status, 401);
    let none = read(&etcd, &url, None).await;
    assert_refused(&none, NO_USER);
    assert_eq!(none.status, 400);
    let error = etcd.v3().kv().get("/a").await.unwrap_err();
    assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::UserNameEmpty));
    assert!(error.is_unauthorized(), "{error}");
}

async fn v3_112_a_token_is_lost_when_its_server_restarts<T: Transport>(etcd: Etcd<T>) {
    let root = enable(&etcd).await;
    let (url, token) = (etcd.url(), token(&etcd, "root", "r").await);
    let (letters, index) = token.split_once('.').unwrap();
    assert!(letters.len() == 16 && letters.bytes().all(|byte| byte.is_ascii_alphabetic()));
    assert!(index.parse::<u64>().unwrap() > 0);
    let before = read(&etcd, &url, Some(("authorization", &token))).await;
    assert!(before.status.is_success(), "{before:?}");
    root.v3().kv().put("/a", "1").await.unwrap();

    etcd.meanwhile(|server| server.restart()).await;
    let after = read(&etcd, &etcd.url(), Some(("authorization", &token))).await;
    assert_refused(&after, INVALID);
    // The client, which had a token, too, fetches another one.
    let kv = root.v3().kv().get("/a").await.unwrap().unwrap();
    assert_eq!((&kv.value[..], kv.version), (&b"1"[..], 1));
}

async fn v3_112_a_token_is_good_at_every_member<T: Transport>(etcd: Etcd<T>) {
    enable(&etcd).await;
    let urls = etcd.urls();
    let first = etcd.client_of(&urls[0]);
    let token = first.v3().auth().authenticate("root", "r").await.unwrap();
    for url in &urls {
        // When this member has applied the change.
        etcd.until(async || {
            let answer = read(&etcd, url, Some(("authorization", &token.token))).await;
            if !answer.status.is_success() {
                assert_refused(&answer, INVALID);
            }
            answer.status.is_success()
        })
        .await;
    }
    // One token for all members: the client fetches no other.
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let client = etcd.client(|builder| {
        builder.v3_auth("root", "r").observe(move |attempt| {
            if attempt.operation == "v3.auth.authenticate" {
                counter.fetch_add(1, Relaxed);
            }
        })
    });
    for url in &urls {
        client.v3().kv().put("/a", url.as_str()).await.unwrap();
    }
    assert_eq!(asked.load(Relaxed), 1);
}

/// A user who may write keys with the prefix `/own`, and no others.
async fn with_user<T: Transport>(etcd: &Etcd<T>, root: &Client<T>) -> Client<T> {
    let auth = root.v3().auth();
    auth.add_user("u", "p").await.unwrap();
    auth.add_role("r").await.unwrap();
    auth.grant_role("u", "r").await.unwrap();
    let own = Permission::write(KeyRange::prefix("/own"));
    auth.grant_permission("r", own).await.unwrap();
    etcd.client(|builder| builder.v3_auth("u", "p"))
}

async fn v3_120_some_calls_go_without_a_token_where_etcd_is_old<T: Transport>(etcd: Etcd<T>) {
    let root = enable(&etcd).await;
    let user = with_user(&etcd, &root).await;
    let (nobody, minute) = (etcd.v3(), Duration::from_secs(60));
    let lease = root.v3().leases().grant(minute).await.unwrap().id;
    // Late releases of 3.5 require a token for all of these; 3.4 and 3.5.16 require none.
    let is_open = nobody.leases().grant(minute).await.is_ok();
    assert!(is_open || etcd.is_3_5());
    for (call, result) in [
        (
            "keepalive",
            nobody.leases().keep_alive_once(lease).await.map(drop),
        ),
        ("members", nobody.cluster().list_members().await.map(drop)),
        ("status", nobody.maintenance().get_status().await.map(drop)),
        ("alarms", nobody.maintenance().list_alarms().await.map(drop)),
        ("revoke", nobody.leases().revoke(lease).await.map(drop)),
        ("compaction", nobody.kv().compact(1).await.map(drop)),
    ] {
        match result {
            Ok(()) => assert!(is_open, "{call}"),
            Err(error) => {
                assert!(!is_open && error.is_unauthorized(), "{call}: {error}");
                assert_eq!(error.outcome(), Outcome::Rejected);
            }
        }
    }
    // Revoking a lease requires permission to write all of its keys.
    let lease = root.v3().leases().grant(minute).await.unwrap().id;
    for key in ["/own/a", "/b"] {
        root.send(Put::new(key, "").lease(lease)).await.unwrap();
    }
    let denied = user.v3().leases().revoke(lease).await;
    assert_eq!(refused(denied), EtcdErrorKind::PermissionDenied);
    root.v3().kv().delete("/b").await.unwrap();
    user.v3().leases().revoke(lease).await.unwrap();
    assert_eq!(root.v3().kv().get("/own/a").await.unwrap(), None);
}

async fn v3_10_121_maintenance_without_permission_has_an_error_of_its_own<T: Transport>(
    etcd: Etcd<T>,
) {
    let root = enable(&etcd).await;
    let user = with_user(&etcd, &root).await;
    let maintenance = user.v3().maintenance();
    let snapshot = user.open(Snapshot::new()).next().await.unwrap();
    for (call, denied) in [
        ("hash", maintenance.get_hash().await.map(drop)),
        ("defragment", maintenance.defragment().await.map(drop)),
        ("snapshot", snapshot.map(drop)),
    ] {
        let error = denied.unwrap_err();
        let etcd = error.as_etcd().unwrap();
        // The code is "unknown", and the gateway's status looks like a server error.
        let said = (etcd.code().map(|code| code.number()), etcd.message());
        assert_eq!(said, (Some(2), "auth: permission denied"), "{call}");
        let status = etcd.http_status().map_or(500, |status| status.as_u16());
        assert_eq!(status, 500, "{call}");
        assert_eq!(etcd.kind(), EtcdErrorKind::PermissionDenied);
        assert_eq!(error.outcome(), Outcome::Rejected);
    }
    // Nothing of the stream was sent before: the status is the error's, and it is in the shape of a stream's.
    let token = token(&etcd, "u", "p").await;
    let snapshot = post(&etcd.url(), "/v3/maintenance/snapshot", "{}");
    let snapshot = with(snapshot, "authorization", &token);
    let answer = Answer::to(&etcd.transport(), snapshot).await;
    assert_eq!(answer.status, 500);
    let error = &answer.json()["error"];
    let denied = "auth: permission denied";
    let first = json!({
        "grpc_code": 2, "http_code": 500, "message": denied, "http_status": "Internal Server Error",
    });
    let second = json!({"code": 2, "message": denied});
    assert!([first, second].contains(error), "{error}");
}
