//! WebSocket connections at the gateway's paths. As the proxy that etcd has before its gateway, this makes each message of the client a line
//! of a request's body, and each line of the response a message.

use std::{pin::Pin, task::Context};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use etcd_transport::{Body, PolledFrame, Request, Response, Transport, TransportError};
use futures_util::{SinkExt, StreamExt};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_TYPE, COOKIE, DATE, SEC_WEBSOCKET_ACCEPT,
        SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TE, UPGRADE,
    },
};
use http_body::Frame;
use hyper::{
    body::Incoming,
    upgrade::{self, Upgraded},
};
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use super::gateway::duplex::{Duplex, is_served, last_line};
use crate::{fake::FakeEtcd, go::reply::Reply, profile::Profile};

/// What RFC 6455 puts behind a client's key.
const ACCEPTED: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The bytes before a message of gRPC.
const PREFIX: usize = 5;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether a request asks for a WebSocket where etcd has one, rightly or not.
pub(super) fn is_asked_for(request: &hyper::Request<Incoming>) -> bool {
    let (path, headers) = (request.uri().path(), request.headers());
    (path.starts_with("/v3/") || path.starts_with("/v3beta/"))
        && request.version() == Version::HTTP_11
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter();
    let mut tokens = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tokens.any(|other| other.trim().eq_ignore_ascii_case(token))
}

/// The status with which etcd refuses what is no handshake of RFC 6455.
fn refusal(request: &hyper::Request<Incoming>, profile: Profile) -> Option<StatusCode> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    let is_complete = has_token(headers, &SEC_WEBSOCKET_VERSION, "13")
        && headers
            .get(SEC_WEBSOCKET_KEY)
            .is_some_and(|key| is_key(key.as_bytes(), profile));
    (!is_complete).then_some(StatusCode::BAD_REQUEST)
}

/// Whether a text is a client's key: 16 bytes in base64, which 3.4 does not look at.
fn is_key(text: &[u8], profile: Profile) -> bool {
    match profile {
        Profile::V3_4 => !text.is_empty(),
        Profile::V3_5 => STANDARD.decode(text).is_ok_and(|key| key.len() == 16),
    }
}

fn refused(status: StatusCode, method: &Method, date: HeaderValue) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut reply = Reply::new().text(status.as_u16(), reason);
    let version = HeaderValue::from_static("13");
    reply.headers.insert(SEC_WEBSOCKET_VERSION, version);
    let mut response = reply.finish(method).map(Body::from);
    response.headers_mut().insert(DATE, date);
    response
}

/// Opens the WebSocket that a request asks for, or refuses it. A task of its own serves it until the client has gone, the response has ended, or
/// the server stops.
pub(super) fn open(
    etcd: FakeEtcd,
    url: &str,
    request: hyper::Request<Incoming>,
    mut stopped: watch::Receiver<()>,
) -> Response {
    let (profile, date) = (etcd.shared).with(|core| (core.cluster.profile, core.date()));
    if let Some(status) = refusal(&request, profile) {
        return refused(status, request.method(), date);
    }
    let response = switching(request.headers());
    let call = Call {
        url: url.to_owned(),
        path: request.uri().path().to_owned(),
        authorization: authorization(request.headers()),
        profile,
        etcd,
    };
    tokio::spawn(async move {
        // A client that goes before the upgrade needs nothing.
        let Ok(upgraded) = upgrade::on(request).await else {
            return;
        };
        let upgraded = TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, None).await;
        tokio::select! {
            _ = call.serve(socket) => {}
            _ = stopped.changed() => {}
        }
    });
    response
}

/// The response that changes the protocol.
fn switching(headers: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answered = response.headers_mut();
    answered.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answered.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let key = headers.get(SEC_WEBSOCKET_KEY);
    let key = key.map_or(&b""[..], HeaderValue::as_bytes);
    let digest = Sha1::digest([key, ACCEPTED].concat());
    if let Ok(accepted) = HeaderValue::try_from(STANDARD.encode(digest)) {
        answered.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    }
    if text(headers, SEC_WEBSOCKET_PROTOCOL).is_some_and(|value| value.starts_with("Bearer")) {
        let bearer = HeaderValue::from_static("Bearer");
        answered.insert(SEC_WEBSOCKET_PROTOCOL, bearer);
    }
    response
}

/// The credentials that the proxy passes on: those of a cookie, or of the subprotocol.
fn authorization(headers: &HeaderMap) -> Option<HeaderValue> {
    let cookies = text(headers, COOKIE).into_iter();
    let mut cookies = cookies.flat_map(|cookies| cookies.split(';'));
    let cookie = cookies.find_map(|cookie| cookie.trim().strip_prefix("token="));
    let protocol = || {
        Some(
            text(headers, SEC_WEBSOCKET_PROTOCOL)?
                .split_once("Bearer,")?
                .1
                .trim(),
        )
    };
    let token = cookie.or_else(protocol)?;
    HeaderValue::try_from(format!("Bearer {token}")).ok()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The call that a WebSocket makes.
struct Call {
    etcd: FakeEtcd,
    profile: Profile,
    url: String,
    path: String,
    authorization: Option<HeaderValue>,
}

impl Call {
    /// Serves the client; `None` once it has gone, or the connection breaks.
    async fn serve(self, mut socket: Socket) -> Option<()> {
        match Duplex::find(&self.path, self.profile) {
            Some(duplex) => self.relay_messages(&mut socket, duplex).await,
            None => self.relay_lines(&mut socket).await,
        }
    }

    /// Sends the first message as the body of a request, and the lines of the response.
    async fn relay_lines(&self, socket: &mut Socket) -> Option<()> {
        let body = match is_served(&self.path, self.profile) {
            true => next(socket).await?,
            false => Bytes::new(),
        };
        let request = self.request(&self.path, body.into());
        let mut body = self.etcd.send(request).await.ok()?.into_body();
        loop {
            let frame = tokio::select! {
                frame = body.frame() => frame?.ok()?,
                more = next(socket) => {
                    // A call with one request ignores what follows it.
                    more?;
                    continue;
                }
            };
            if let Ok(data) = frame.into_data() {
                send_lines(socket, &data).await?;
            }
        }
    }

    /// Sends each message as one of gRPC, and shows those of the response.
    async fn relay_messages(&self, socket: &mut Socket, duplex: Duplex) -> Option<()> {
        let (requests, receiver) = mpsc::unbounded_channel();
        let mut requests = Some(requests);
        let mut ask = |json: &[u8]| {
            let message = duplex.read(json, self.profile);
            let sent = message.and_then(|message| requests.as_ref()?.send(message.into()).ok());
            // What cannot be read silently ends the requests.
            if sent.is_none() {
                requests = None;
            }
        };
        let body = Body::stream(Requests(receiver));
        let mut request = self.request(duplex.path, body);
        *request.version_mut() = Version::HTTP_2;
        let grpc = HeaderValue::from_static("application/grpc");
        request.headers_mut().insert(CONTENT_TYPE, grpc);
        request
            .headers_mut()
            .insert(TE, HeaderValue::from_static("trailers"));
        // The response begins with its first message, for which there must be requests.
        let response = {
            let mut sent = self.etcd.send(request);
            loop {
                tokio::select! {
                    response = &mut sent => break response.ok()?,
                    json = next(socket) => ask(&json?),
                }
            }
        };
        let (head, mut body) = response.into_parts();
        if let Some(line) = self.last_line(&head.headers) {
            return send_lines(socket, &line).await;
        }
        loop {
            let frame = tokio::select! {
                frame = body.frame() => frame?.ok()?,
                json = next(socket) => {
                    ask(&json?);
                    continue;
                }
            };
            let line = match frame.into_data() {
                // In process, each message is a frame.
                Ok(data) => duplex.show(data.get(PREFIX..)?, self.profile)?,
                Err(frame) => self.last_line(&frame.into_trailers().ok()?)?,
            };
            send_lines(socket, &line).await?;
        }
    }

    fn request(&self, path: &str, body: Body) -> Request {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        if let Ok(uri) = format!("{}{path}", self.url).parse() {
            *request.uri_mut() = uri;
        }
        if let Some(authorization) = &self.authorization {
            let headers = request.headers_mut();
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        request
    }

    /// The line with which a call ends whose status is this, if that is an error.
    fn last_line(&self, headers: &HeaderMap) -> Option<Vec<u8>> {
        let status = text(headers, HeaderName::from_static("grpc-status"))?;
        let code = status.parse().ok().filter(|&code| code > 0)?;
        let message = text(headers, HeaderName::from_static("grpc-message")).unwrap_or_default();
        Some(last_line(code, message, self.profile))
    }
}

/// The next message of the client; `None` when it has gone.
async fn next(socket: &mut Socket) -> Option<Bytes> {
    loop {
        match socket.next().await?.ok()? {
            Message::Text(text) => return Some(text.into()),
            Message::Binary(data) => return Some(data),
            // The socket responds to these itself.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
        }
    }
}

async fn send_lines(socket: &mut Socket, data: &[u8]) -> Option<()> {
    for line in data.split(|&byte| byte == b'\n') {
        if !line.is_empty() {
            let line = String::from_utf8_lossy(line).into_owned();
            socket.send(Message::text(line)).await.ok()?;
        }
    }
    Some(())
}

/// The requests of a stream.
struct Requests(mpsc::UnboundedReceiver<Bytes>);

impl http_body::Body for Requests {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        let request = self.0.poll_recv(cx);
        request.map(|request| request.map(|request| Ok(Frame::data(request))))
    }
}
