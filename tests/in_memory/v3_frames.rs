//! Exchanges of gRPC that break off at every place: before the request, before the head of the response, behind each byte of
//! its frames, and before its trailers. The outcome that the client reports is that of the store, nothing is doubled, and
//! nothing is lost.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Outcome, Protocol, Result,
    fake::FakeEtcd,
    transport::{
        Body, Request, Response, Transport, TransportError, async_trait,
        http_body::{Body as _, Frame},
    },
    v3::{Compare, DeleteRange, GrantLease, KeyRange, Lock, Put, Txn, Watch},
};
use futures::{StreamExt, future::join};

use crate::support::{block_on, jumping, seconds};

/// Where an exchange ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
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
}

/// What follows the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Reset,
    /// The end of the stream, as a proxy may make it.
    Clean,
}

impl Cut {
    /// Whether the server has seen nothing, and the client knows this.
    fn is_unsent(self) -> bool {
        matches!(self, Self::Refused | Self::Unprocessed)
    }

    /// All places of a request for which `happens` tells whether the response was long enough for the place.
    fn each(mut happens: impl FnMut(Self) -> bool) {
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
        }
    }
}

/// The fake, and the fate of the next request to a path.
#[derive(Clone, Debug)]
struct Breaking {
    etcd: FakeEtcd,
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
            None => return self.etcd.send(request).await,
            Some(Cut::Body(bytes, ending)) => (bytes, ending),
            Some(cut) => {
                *self.cut.lock().unwrap() = None;
                if cut == Cut::BeforeHead {
                    self.etcd.send(request).await?;
                }
                return Err(match cut {
                    Cut::Refused => TransportError::connect("refused"),
                    Cut::Unprocessed => TransportError::unprocessed("GOAWAY"),
                    _ => TransportError::interrupted("reset"),
                });
            }
        };
        let (head, body) = self.etcd.send(request).await?.into_parts();
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
fn breaking(
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
fn has_happened(client: &Client<Breaking>) -> bool {
    client.transport().cut.lock().unwrap().is_none()
}

/// Whether a call is sent again where the server may have seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    Always,
    IfUnsent,
}

/// Breaks a write at every place. `done` tells how often it was applied.
fn check_write<W, D>(
    path: &'static str,
    repeat: Repeat,
    write: impl Fn(Client<Breaking>) -> W,
    done: impl Fn(Client<FakeEtcd>) -> D,
) where
    W: Future<Output = Result<()>>,
    D: Future<Output = usize>,
{
    for protocol in [Protocol::Grpc, Protocol::Auto] {
        Cut::each(|cut| {
            let (client, plain) = breaking(path, cut, protocol);
            let before = block_on(done(plain.clone()));
            let written = block_on(write(client.clone()));
            let times = block_on(done(plain)) - before;
            let what = format!("{path} {protocol:?} {cut:?}: {written:?}");
            let has_happened = has_happened(&client);
            let is_sent_again = repeat == Repeat::Always || cut.is_unsent();
            match written {
                Ok(()) => assert!(is_sent_again || !has_happened, "{what}"),
                Err(error) => {
                    assert!(!is_sent_again && has_happened, "{what}");
                    assert_eq!(error.outcome(), Outcome::Unknown, "{what}");
                }
            }
            let is_seen = is_sent_again || cut != Cut::BeforeRequest;
            assert_eq!(times, usize::from(is_seen), "{what}");
            has_happened
        });
    }
}

/// The version of a key: how often it was written since it was created.
async fn version(client: Client<FakeEtcd>, key: &str) -> usize {
    let found = client.v3().kv().get(key).await.unwrap();
    found.map_or(0, |pair| usize::try_from(pair.version).unwrap())
}

#[test]
fn a_put_is_applied_once_or_its_outcome_says_so() {
    let put = |client: Client<Breaking>| async move {
        client.send(Put::new("k", "v").prev_kv(true)).await?;
        Ok(())
    };
    let path = "/etcdserverpb.KV/Put";
    check_write(path, Repeat::IfUnsent, put, |plain| version(plain, "k"));
}

#[test]
fn a_transaction_is_applied_once_or_its_outcome_says_so() {
    let txn = |client: Client<Breaking>| async move {
        let txn = Txn::new()
            .when(Compare::version("k").equal(0))
            .then(Put::new("k", "v"))
            .otherwise(DeleteRange::new("k"));
        client.send(txn).await?;
        Ok(())
    };
    let path = "/etcdserverpb.KV/Txn";
    check_write(path, Repeat::IfUnsent, txn, |plain| version(plain, "k"));
}

/// The client chooses its id, so that it may ask again.
#[test]
fn a_lease_is_granted_once() {
    let grant = |client: Client<Breaking>| async move {
        client.send(GrantLease::new(seconds(1000))).await?;
        Ok(())
    };
    let leases =
        |plain: Client<FakeEtcd>| async move { plain.v3().leases().list().await.unwrap().len() };
    let path = "/etcdserverpb.Lease/LeaseGrant";
    check_write(path, Repeat::Always, grant, leases);
}

/// The key of a lock belongs to its lease, so that a request that is sent again finds it.
#[test]
fn a_lock_is_held_once_or_its_outcome_says_so() {
    Cut::each(|cut| {
        let (client, plain) = breaking("/v3lockpb.Lock/Lock", cut, Protocol::Grpc);
        block_on(async {
            let lease = plain.v3().leases().grant(seconds(1000)).await.unwrap().id;
            let held = client.send(Lock::new("l", lease)).await;
            let range = KeyRange::prefix("l/");
            let keys = plain.v3().kv().count(range).await.unwrap();
            let what = format!("{cut:?}: {held:?}");
            match held {
                Ok(_) => assert_eq!(keys, 1, "{what}"),
                Err(error) => assert_eq!(error.outcome(), Outcome::Unknown, "{what}"),
            }
            assert!(keys <= 1, "{what}");
        });
        has_happened(&client)
    });
}

#[test]
fn a_read_is_sent_again_whatever_became_of_it() {
    for protocol in [Protocol::Grpc, Protocol::Auto] {
        Cut::each(|cut| {
            let (client, plain) = breaking("/etcdserverpb.KV/Range", cut, protocol);
            block_on(plain.send(Put::new("k", "v"))).unwrap();
            let found = block_on(client.v3().kv().get("k")).unwrap().unwrap();
            assert_eq!(found.value, "v", "{cut:?}");
            has_happened(&client)
        });
    }
}

#[test]
fn a_watch_delivers_every_revision_once() {
    const REVISIONS: usize = 6;
    for protocol in [Protocol::Grpc, Protocol::Auto] {
        Cut::each(|cut| {
            let (client, plain) = breaking("/etcdserverpb.Watch/Watch", cut, protocol);
            let watch = Watch::new(KeyRange::all()).from_revision(2);
            let watch = client.open(watch);
            let changes = async {
                let changes = watch.take(REVISIONS).collect::<Vec<_>>().await;
                let changes = changes.into_iter().map(|change| change.unwrap().revision);
                changes.collect::<Vec<_>>()
            };
            let puts = async {
                for number in 0..REVISIONS {
                    let put = Put::new(format!("{number}"), "v");
                    plain.send(put).await.unwrap();
                    client.transport().sleep(seconds(1)).await;
                }
            };
            let (revisions, ()) = block_on(join(changes, puts));
            let expected: Vec<_> = (2..).take(REVISIONS).collect();
            assert_eq!(revisions, expected, "{cut:?}");
            has_happened(&client)
        });
    }
}

#[test]
fn a_lease_that_is_kept_alive_does_not_expire() {
    for protocol in [Protocol::Grpc, Protocol::Auto] {
        Cut::each(|cut| {
            let path = "/etcdserverpb.Lease/LeaseKeepAlive";
            let (client, plain) = breaking(path, cut, protocol);
            block_on(async {
                let lease = plain.v3().leases().grant(seconds(60)).await.unwrap().id;
                let renewals = client.v3().leases().keep_alive(lease);
                let renewals = renewals.take(4).collect::<Vec<_>>().await;
                for renewal in renewals {
                    assert_eq!(renewal.unwrap(), seconds(60), "{cut:?}");
                }
                let left = plain.v3().leases().get_time_to_live(lease).await.unwrap();
                assert!(left.is_some(), "{cut:?}");
            });
            has_happened(&client)
        });
    }
}
