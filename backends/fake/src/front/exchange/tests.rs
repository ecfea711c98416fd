use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::{Wake, Waker},
};

use etcd_transport::{PolledFrame, TransportErrorKind};
use futures::{
    FutureExt, StreamExt,
    channel::mpsc::{UnboundedReceiver, unbounded},
};
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body::Frame;

use super::*;
use crate::{cluster::when::When, control::faults::Fault, fake::FakeEtcd};

/// A request of a stream: its response is a body that repeats the messages of the request.
struct Echo {
    uri: Uri,
    request: Option<Body>,
}

impl Call for Echo {
    fn uri(&self) -> &Uri {
        &self.uri
    }

    fn exchange(&self, texts: &mut Texts) -> Exchange {
        Exchange::new(
            &Method::POST,
            &self.uri,
            &HeaderMap::new(),
            &Bytes::new(),
            texts,
        )
    }

    fn answer(
        &mut self,
        shared: &Arc<EtcdShared>,
        core: &mut EtcdCore,
        endpoint: usize,
        _timed_out: bool,
    ) -> Option<Answered> {
        let id = core.exchanges.next_id();
        core.exchanges.open(id, endpoint);
        let shared = Arc::clone(shared);
        let request = self.request.take()?;
        let server_run = core.server_run(endpoint);
        let echo = EchoBody {
            shared,
            id,
            endpoint,
            server_run,
            request,
        };
        Some(Ok(Response::new(Body::stream(echo))))
    }

    fn time_out(&self, _: &mut EtcdCore) -> Response {
        Response::new(Body::empty())
    }
}

struct EchoBody {
    shared: Arc<EtcdShared>,
    id: ExchangeId,
    endpoint: usize,
    server_run: ServerRun,
    request: Body,
}

impl http_body::Body for EchoBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let this = &mut *self;
        let is_running = this.shared.with(|core| {
            core.wait_for_event(this.id, cx.waker());
            core.server_run(this.endpoint) == this.server_run
        });
        if !is_running {
            let stopped = TransportError::interrupted("the server stopped");
            return Poll::Ready(Some(Err(stopped)));
        }
        Pin::new(&mut this.request).poll_frame(cx)
    }
}

impl Drop for EchoBody {
    fn drop(&mut self) {
        self.shared.with(|core| core.close_exchange(self.id));
    }
}

/// Whether a waker was woken.
struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Messages(UnboundedReceiver<&'static str>);

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let message = std::task::ready!(self.0.poll_next_unpin(cx));
        Poll::Ready(message.map(|message| Ok(Frame::data(message.into()))))
    }
}

fn send(etcd: &FakeEtcd, request: Body) -> Answered {
    let mut call = Echo {
        uri: Uri::from_static("http://localhost:2379/stream"),
        request: Some(request),
    };
    let answered = answer(&etcd.shared, &mut call).now_or_never();
    answered.expect("the request waits")
}

#[test]
fn the_body_of_a_response_can_read_that_of_its_request() {
    let etcd = FakeEtcd::new();
    let (sender, messages) = unbounded();
    let mut answer = send(&etcd, Body::stream(Messages(messages))).unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = answer.body_mut();
    assert!(body.frame().now_or_never().is_none());
    for message in ["one", "two"] {
        sender.unbounded_send(message).unwrap();
        let frame = body.frame().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), message);
    }
    assert_eq!(etcd.open_exchanges(), 1);
    drop(answer);
    assert_eq!(etcd.open_exchanges(), 0);
}

#[test]
fn the_end_of_the_server_wakes_an_open_stream() {
    let etcd = FakeEtcd::new();
    let (_sender, messages) = unbounded();
    let mut answer = send(&etcd, Body::stream(Messages(messages))).unwrap();
    let flag = Arc::new(WakeFlag(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut cx = Context::from_waker(&waker);
    let mut body = Pin::new(answer.body_mut());
    assert!(http_body::Body::poll_frame(body.as_mut(), &mut cx).is_pending());
    etcd.restart();
    assert!(flag.0.load(Ordering::Relaxed));
    let Poll::Ready(Some(Err(error))) = http_body::Body::poll_frame(body, &mut cx) else {
        panic!("the stream goes on");
    };
    assert_eq!(error.kind(), TransportErrorKind::Interrupted);
}

#[test]
fn faults_affect_streams() {
    let etcd = FakeEtcd::new();
    etcd.inject(When::any(), Fault::break_after_events(1));
    let (sender, messages) = unbounded();
    let mut answer = send(&etcd, Body::stream(Messages(messages))).unwrap();
    sender.unbounded_send("one").unwrap();
    let frame = |answer: &mut Response| answer.body_mut().frame().now_or_never().flatten();
    assert!(matches!(frame(&mut answer), Some(Ok(_))));
    assert!(matches!(frame(&mut answer), Some(Err(_))));
}
