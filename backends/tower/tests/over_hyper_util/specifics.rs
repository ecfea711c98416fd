//! Behavior that the contract does not specify.

use std::{
    convert::Infallible,
    error::Error,
    future::{Ready, pending, ready},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use etcd_transport::{
    Body, CollectError, Duplex, LongLived, Request, Response, Transport, TransportErrorKind,
    bytes::Bytes,
    http::{self, Uri, Version},
};
use etcd_transport_conformance::on_tokio::put;
use etcd_transport_tower::{Clock, HttpService, TowerTransport, tower_service::Service};
use futures::{FutureExt, executor::block_on};
use http_body_util::Full;
use tower::{BoxError, ServiceBuilder, ServiceExt, load_shed::error::Overloaded, service_fn};

/// A service that is never ready, and one that fails when it is called.
#[derive(Clone)]
struct Failing {
    is_ready: bool,
}

impl Service<Request> for Failing {
    type Response = Response;
    type Error = &'static str;
    type Future = Ready<Result<Response, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(if self.is_ready { Ok(()) } else { Err("closed") })
    }

    fn call(&mut self, _: Request) -> Self::Future {
        assert!(self.is_ready, "a service that is not ready is not called");
        ready(Err("broken"))
    }
}

fn to(version: Version) -> Request {
    let mut request = put(Uri::from_static("http://etcd:2379/"));
    *request.version_mut() = version;
    request
}

/// Returns the text of the response.
fn text(transport: &TowerTransport, request: Request) -> String {
    let response = block_on(transport.send(request)).unwrap();
    let body = block_on(response.into_body().collect(100)).unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// A service whose responses have this text.
fn says(text: &'static str) -> impl HttpService {
    service_fn(move |_: Request| ready(Ok::<_, Infallible>(Response::new(Body::from(text)))))
}

fn over(service: impl HttpService) -> TowerTransport {
    TowerTransport::new(service, |_| pending())
}

#[test]
fn a_service_that_fails_before_it_is_ready_has_sent_nothing() {
    let transport = over(Failing { is_ready: false });
    let send = || block_on(transport.send(to(Version::HTTP_11))).unwrap_err();
    let error = send();
    assert_eq!(error.kind(), TransportErrorKind::Connect, "{error:?}");
    assert_eq!(error.source().unwrap().to_string(), "closed");
    // What a classifier does not know to be unsent is unsent nevertheless.
    for (said, kind) in [
        (TransportErrorKind::Interrupted, TransportErrorKind::Connect),
        (TransportErrorKind::Rejected, TransportErrorKind::Rejected),
        (TransportErrorKind::Untrusted, TransportErrorKind::Untrusted),
    ] {
        let transport = over(Failing { is_ready: false }).classify(move |_| said);
        let error = block_on(transport.send(to(Version::HTTP_11))).unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
    }
}

#[test]
fn nothing_is_known_of_a_call_that_fails_unless_the_classifier_knows_it() {
    let transport = over(Failing { is_ready: true });
    let error = block_on(transport.send(to(Version::HTTP_11))).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Interrupted, "{error:?}");
    let transport = transport.classify(|error| match error.to_string().as_str() {
        "broken" => TransportErrorKind::Unprocessed,
        _ => TransportErrorKind::Interrupted,
    });
    let error = block_on(transport.send(to(Version::HTTP_11))).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Unprocessed, "{error:?}");
}

#[test]
fn the_error_of_a_layer_reaches_the_classifier() {
    let full = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(1)
        .service(service_fn(|_: Request| {
            pending::<Result<Response, BoxError>>()
        }));
    let transport = over(full).classify(|error| {
        if error.is::<Overloaded>() {
            TransportErrorKind::Unprocessed
        } else {
            TransportErrorKind::Interrupted
        }
    });
    let mut first = transport.send(to(Version::HTTP_11));
    assert!(first.as_mut().now_or_never().is_none());
    let error = block_on(transport.send(to(Version::HTTP_11))).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Unprocessed, "{error:?}");
    // Dropping it cancels, and makes room.
    drop(first);
    assert!(
        transport
            .send(to(Version::HTTP_11))
            .now_or_never()
            .is_none()
    );
}

#[test]
fn requests_for_http2_and_long_lived_ones_have_services_of_their_own() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let transport = over(says("usual"))
        .with_long_lived(says("long-lived"))
        .with_http2_of(2, move || {
            count.fetch_add(1, Relaxed);
            says("http2")
        });
    assert_eq!(text(&transport, to(Version::HTTP_11)), "usual");
    assert_eq!(text(&transport, to(Version::HTTP_2)), "http2");
    assert_eq!(made.load(Relaxed), 1);
    let long_lived = |version| {
        let mut request = to(version);
        request.extensions_mut().insert(LongLived);
        request
    };
    assert_eq!(text(&transport, long_lived(Version::HTTP_11)), "long-lived");
    let open: Vec<_> = (0..5)
        .map(|_| block_on(transport.send(long_lived(Version::HTTP_2))).unwrap())
        .collect();
    assert_eq!(made.load(Relaxed), 1 + 3);
    // A body that ends, or is dropped, makes room.
    drop(open);
    for _ in 0..10 {
        assert_eq!(text(&transport, long_lived(Version::HTTP_2)), "http2");
    }
    assert_eq!(made.load(Relaxed), 1 + 3);
}

#[test]
fn what_no_service_can_carry_is_rejected() {
    let transport = over(says("usual"));
    let error = block_on(transport.send(to(Version::HTTP_2))).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Rejected, "{error:?}");
    let transport = transport.with_http2(|| says("http2")).half_duplex();
    assert_eq!(text(&transport, to(Version::HTTP_2)), "http2");
    let mut duplex = to(Version::HTTP_2);
    duplex.extensions_mut().insert(Duplex);
    let error = block_on(transport.send(duplex)).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Rejected, "{error:?}");
    let credentials = put(Uri::from_static("http://root:secret@etcd:2379/"));
    let error = block_on(transport.send(credentials)).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Rejected, "{error:?}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

/// A service that takes a body of its own, and responds with another.
#[test]
fn bodies_of_other_types_are_converted_and_their_length_is_known() {
    let service = service_fn(|request: http::Request<String>| {
        let text = Bytes::from(request.into_body());
        ready(Ok::<_, Infallible>(http::Response::new(Full::new(text))))
    });
    let service = service.map_request(|request: Request| request.map(|body| format!("{body:?}")));
    let transport = over(service);
    let send = || {
        block_on(transport.send(to(Version::HTTP_11)))
            .unwrap()
            .into_body()
    };
    let expected = format!("{:?}", to(Version::HTTP_11).body());
    assert_eq!(block_on(send().collect(expected.len())).unwrap(), expected);
    // It is announced, so that a body that is too large is not read.
    let error = block_on(send().collect(expected.len() - 1)).unwrap_err();
    assert!(matches!(error, CollectError::TooLarge { .. }), "{error:?}");
}

#[test]
fn the_clock_is_the_one_that_was_given() {
    struct Stopped(Instant);

    impl Clock for Stopped {
        fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            assert_eq!(duration, Duration::from_secs(3600));
            Box::pin(ready(()))
        }

        fn now(&self) -> Instant {
            self.0
        }
    }

    let now = Instant::now() + Duration::from_secs(100);
    let transport = TowerTransport::new(says(""), Stopped(now));
    assert_eq!(transport.now(), now);
    block_on(transport.sleep(Duration::from_secs(3600)));
}
