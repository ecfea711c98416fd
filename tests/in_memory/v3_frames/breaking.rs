//! A transport whose next exchange breaks off.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Protocol,
    fake::FakeEtcd,
    transport::{
        Body, Request, Response, Transport, TransportError, async_trait,
        http::HeaderMap,
        http_body::{Body as _, Frame},
    },
};
use sha2::{Digest, Sha256};

use crate::support::jumping;

/// Where an exchange ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Nothing is connected to.
    Refused,
    /// The server says that it has not processed the request.
    Unprocessed,
    /// The server has not seen the request.
    BeforeRequest,
    /// The server has acted.
    BeforeHead,
    /// The server has acted. So many bytes of the response arrive.
    Body(usize, Ending),
    /// So many bytes of the request arrive, which may go on while it is answered.
    Request(usize, Ending),
}

/// What follows the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Reset,
    /// The end of the stream, as a proxy may make it.
    Clean,
}

impl Cut {
    /// Whether the server has seen nothing, and the client knows this.
    pub(super) fn is_unsent(self) -> bool {
        matches!(self, Self::Refused | Self::Unprocessed)
    }

    /// Whether the server has received the end of a request too early, which it says. As with any refusal, nothing is sent again.
    pub(super) fn is_refused(self) -> bool {
        matches!(self, Self::Request(_, Ending::Clean))
    }

    /// All places of a request for which `happens` tells whether the response was long enough for the place.
    pub(super) fn each(mut happens: impl FnMut(Self) -> bool) {
        for cut in [
            Self::Refused,
            Self::Unprocessed,
            Self::BeforeRequest,
            Self::BeforeHead,
        ] {
            assert!(happens(cut), "{cut:?}");
        }
        for ending in [Ending::Reset, Ending::Clean] {
            let place = (0..).find(|&bytes| !happens(Self::Body(bytes, ending)));
            // A prefix and a message at least.
            assert!(place.is_some_and(|bytes| bytes > 5), "{place:?}");
            let place = (0..).find(|&bytes| !happens(Self::Request(bytes, ending)));
            // The message may be empty.
            assert!(place.is_some_and(|bytes| bytes >= 5), "{place:?}");
        }
    }
}

/// The fake, and the fate of the next request to a path.
#[derive(Clone, Debug)]
pub(super) struct Breaking {
    pub(super) etcd: FakeEtcd,
    path: &'static str,
    cut: Arc<Mutex<Option<Cut>>>,
}

#[async_trait]
impl Transport for Breaking {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if request.uri().path() != self.path {
            return self.etcd.send(request).await;
        }
        let next = *self.cut.lock().unwrap();
        let (bytes, ending) = match next {
            None => return self.respond(request).await,
            Some(Cut::Body(bytes, ending)) => (bytes, ending),
            Some(Cut::Request(bytes, ending)) => {
                return self.send_in_part(request, bytes, ending).await;
            }
            Some(cut) => {
                *self.cut.lock().unwrap() = None;
                if cut == Cut::BeforeHead {
                    self.respond(request).await?;
                }
                return Err(match cut {
                    Cut::Refused => TransportError::connect("refused"),
                    Cut::Unprocessed => TransportError::unprocessed("GOAWAY"),
                    _ => TransportError::interrupted("reset"),
                });
            }
        };
        let (head, body) = self.respond(request).await?.into_parts();
        let body = self.cut_off(body, bytes, ending);
        Ok(Response::from_parts(head, body))
    }

    async fn sleep(&self, duration: Duration) {
        self.etcd.sleep(duration).await;
    }

    fn now(&self) -> Instant {
        self.etcd.now()
    }
}

impl Breaking {
    /// The fake has no snapshots: this is one.
    async fn respond(&self, request: Request) -> Result<Response, TransportError> {
        if request.uri().path() != "/etcdserverpb.Maintenance/Snapshot" {
            return self.etcd.send(request).await;
        }
        request
            .into_body()
            .collect(100)
            .await
            .map_err(TransportError::interrupted)?;
        let messages = snapshot()
            .chunks(20)
            .flat_map(|piece| {
                // The third field, of bytes.
                let prefix = [0, 0, 0, 0, piece.len() as u8 + 2, 0x1a, piece.len() as u8];
                [&prefix[..], piece].concat()
            })
            .collect::<Vec<_>>();
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), 0.into())]);
        let frames = [
            Ok(Frame::data(messages.into())),
            Ok(Frame::trailers(trailers)),
        ];
        Ok(Response::new(Body::from_frames(frames)))
    }

    /// Sends so many bytes of a request. If it is reset, so is the response.
    async fn send_in_part(
        &self,
        request: Request,
        mut left: usize,
        ending: Ending,
    ) -> Result<Response, TransportError> {
        let reset = || TransportError::interrupted("reset");
        let (head, mut body) = request.into_parts();
        let cut = Arc::clone(&self.cut);
        let is_reset = Arc::new(AtomicBool::new(false));
        let resets = Arc::clone(&is_reset);
        let body = Body::poll_fn(move |cx| {
            if left == 0 {
                *cut.lock().unwrap() = None;
                return Poll::Ready(match ending {
                    Ending::Reset => {
                        resets.store(true, Relaxed);
                        Some(Err(reset()))
                    }
                    Ending::Clean => None,
                });
            }
            let Poll::Ready(next) = Pin::new(&mut body).poll_frame(cx) else {
                return Poll::Pending;
            };
            Poll::Ready(next.map(|frame| {
                let data = frame?.into_data().expect("a request has no trailers");
                let data = data.slice(..data.len().min(left));
                left -= data.len();
                Ok(Frame::data(data))
            }))
        });
        let response = self.respond(Request::from_parts(head, body)).await;
        if is_reset.load(Relaxed) {
            return Err(reset());
        }
        let (head, mut body) = response?.into_parts();
        let body = Body::poll_fn(move |cx| {
            let polled = Pin::new(&mut body).poll_frame(cx);
            if is_reset.load(Relaxed) {
                return Poll::Ready(Some(Err(reset())));
            }
            polled
        });
        Ok(Response::from_parts(head, body))
    }

    /// A body that ends after so many bytes of data.
    fn cut_off(&self, mut body: Body, mut left: usize, ending: Ending) -> Body {
        let cut = Arc::clone(&self.cut);
        let mut is_over = false;
        let end = move || {
            *cut.lock().unwrap() = None;
            match ending {
                Ending::Reset => Some(Err(TransportError::interrupted("reset"))),
                Ending::Clean => None,
            }
        };
        Body::poll_fn(move |cx| {
            if is_over {
                return Poll::Ready(None);
            }
            let Poll::Ready(next) = Pin::new(&mut body).poll_frame(cx) else {
                return Poll::Pending;
            };
            let frame = match next {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            let data = match frame.into_data() {
                Ok(data) if data.len() <= left => {
                    left -= data.len();
                    data
                }
                Ok(data) if left > 0 => data.slice(..std::mem::take(&mut left)),
                Err(trailers) if left > 0 => return Poll::Ready(Some(Ok(trailers))),
                // More data, or the trailers.
                _ => {
                    is_over = true;
                    return Poll::Ready(end());
                }
            };
            Poll::Ready(Some(Ok(Frame::data(data))))
        })
    }
}

/// A client of a fake whose next request to this path ends so.
pub(super) fn breaking(
    path: &'static str,
    cut: Cut,
    protocol: Protocol,
) -> (Client<Breaking>, Client<FakeEtcd>) {
    let etcd = jumping().build();
    let plain = Client::new(etcd.clone(), etcd.endpoints()).unwrap();
    let endpoints = etcd.endpoints();
    let transport = Breaking {
        etcd,
        path,
        cut: Arc::new(Mutex::new(Some(cut))),
    };
    let client = Client::builder(transport).endpoints(endpoints);
    (client.protocol(protocol).build().unwrap(), plain)
}

/// Whether the place was reached.
pub(super) fn has_happened(client: &Client<Breaking>) -> bool {
    client.transport().cut.lock().unwrap().is_none()
}

/// A snapshot, which ends with its digest.
pub(super) fn snapshot() -> Vec<u8> {
    let data = b"all keys of a store";
    [&data[..], &Sha256::digest(data)].concat()
}
