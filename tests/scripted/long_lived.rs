//! Which requests are marked as long-lived for the transport.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use etcd_http::{
    Client,
    transport::{LongLived, Request, Response, Transport, TransportError, async_trait},
    v2,
    v3::{Campaign, Defragment, KeepAliveOnce, Lock, Observe, Snapshot, Watch},
};
use futures::{FutureExt, StreamExt};
use harness::scripted_transport::without_grpc;

/// A server that never responds: each request, and whether it is long-lived.
#[derive(Debug, Default)]
struct Silent(Mutex<Vec<(String, bool)>>);

#[async_trait]
impl Transport for Silent {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        without_grpc(&request)?;
        let target = request.uri().path_and_query().unwrap().to_string();
        let is_long_lived = request.extensions().get::<LongLived>().is_some();
        self.0.lock().unwrap().push((target, is_long_lived));
        pending().await
    }

    async fn sleep(&self, _: Duration) {
        pending::<()>().await;
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}

#[test]
fn streams_long_polls_and_calls_that_wait_at_the_server_are_long_lived_and_others_are_not() {
    let transport = Arc::new(Silent::default());
    let client = Client::new(transport.clone(), ["http://a"]).unwrap();
    let v2 = client.v2();
    let kv = client.v3().kv();
    macro_rules! assert_long_lived {
        ($($expected:literal $target:literal $future:expr;)+) => {$(
            assert!($future.now_or_never().is_none(), "{}", $target);
            let requests = std::mem::take(&mut *transport.0.lock().unwrap());
            assert_eq!(requests, [($target.to_owned(), $expected)]);
        )+};
    }
    assert_long_lived! {
        false "/v2/keys/a" v2.get("a");
        false "/v2/keys/a" v2.set("a", "b");
        false "/version" client.version();
        false "/v3/kv/range" kv.get("a");
        false "/v3/kv/put" kv.put("a", "b");
        // They end after the last message, not when something happens.
        false "/v3/lease/keepalive" client.send(KeepAliveOnce::new(7));
        false "/v3/maintenance/snapshot" client.open(Snapshot::new()).next();

        true "/v2/keys/a?wait=true&waitIndex=7" client.open(v2::Watch::new("a").from_index(7)).next();
        true "/v3/watch" client.open(Watch::new("a").from_revision(7)).next();
        true "/v3/election/observe" client.open(Observe::new("a")).next();
        true "/v3/lock/lock" client.send(Lock::new("a", 7));
        true "/v3/lock/lock" client.send(Lock::new("a", 7).time_limit(Duration::from_secs(9)));
        true "/v3/election/campaign" client.send(Campaign::new("a", 7, "b"));
        true "/v3/maintenance/defragment" client.send(Defragment::new());
    }
}
