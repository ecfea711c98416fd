use std::sync::Arc;

use bytes::Bytes;
use etcd_transport::{Body, CollectError, Response, TransportError};
use http::{Uri, header, request};

use super::{
    exchange::{Answered, Call},
    gateway, metrics,
    mux::{self, Answer},
};
use crate::{
    cluster::{
        exchanges::ExchangeId,
        request_log::{Exchange, Texts},
    },
    state::{EtcdCore, EtcdShared},
    v2::{api::Incoming, watch_body::WatchBody},
    v3::auth::CommonName,
};

/// The largest request body that is read. etcd itself looks at 10 MiB of it.
const MAX_BODY: usize = 64 << 20;

/// A request over HTTP/1.1 that was read completely.
pub(super) struct Http1Call<'a> {
    head: &'a request::Parts,
    body: Bytes,
    pending: gateway::Pending,
    /// When it arrived, by the fake's clock.
    arrived: Option<u64>,
}

impl<'a> Http1Call<'a> {
    pub(super) fn new(head: &'a request::Parts, body: Bytes) -> Self {
        Self {
            head,
            body,
            pending: gateway::Pending::default(),
            arrived: None,
        }
    }
}

/// Reads the body of a request to its end.
pub(super) async fn read(body: Body) -> Result<Bytes, TransportError> {
    match body.collect(MAX_BODY).await {
        Ok(body) => Ok(body),
        Err(CollectError::Transport(error)) => Err(error),
        Err(error) => Err(TransportError::rejected(error)),
    }
}

impl Call for Http1Call<'_> {
    fn uri(&self) -> &Uri {
        &self.head.uri
    }

    fn exchange(&self, texts: &mut Texts) -> Exchange {
        let (method, uri) = (&self.head.method, &self.head.uri);
        Exchange::new(method, uri, &self.head.headers, &self.body, texts)
    }

    fn answer(
        &mut self,
        shared: &Arc<EtcdShared>,
        core: &mut EtcdCore,
        endpoint: usize,
        timed_out: bool,
    ) -> Option<Answered> {
        let watch_id = core.exchanges.next_id();
        let common_name = self.head.extensions.get::<CommonName>();
        let incoming = Incoming {
            method: &self.head.method,
            path: self.head.uri.path().as_bytes(),
            query: self.head.uri.query().unwrap_or_default().as_bytes(),
            headers: &self.head.headers,
            body: &self.body,
            common_name: common_name.map(|name| &*name.0),
            endpoint,
            watch_id,
            timed_out,
        };
        let mut response = match mux::answer(&mut core.cluster, &incoming) {
            Answer::Blocked => return None,
            Answer::Whole(response) => response.map(Body::from),
            Answer::Metrics => metrics::answer(core, endpoint, &self.head.method).map(Body::from),
            Answer::Gateway(path) => {
                let arrived = *self.arrived.get_or_insert(core.time.elapsed);
                gateway::answer(shared, core, &incoming, &path, arrived, &mut self.pending)?
            }
            Answer::Watch(head, is_stream) => {
                let body = WatchBody::open(shared, core, watch_id, endpoint, is_stream);
                head.map(|()| Body::stream(body))
            }
        };
        let date = core.date();
        let headers = response.headers_mut();
        // What Go's server responds before etcd sees a request has no date.
        if !headers.contains_key(header::CONNECTION) {
            headers.insert(header::DATE, date);
        }
        Some(Ok(response))
    }

    fn event(&self) -> Option<ExchangeId> {
        self.pending.event()
    }

    fn due(&self) -> Option<u64> {
        self.pending.due()
    }

    fn timeout(&self) -> Option<u64> {
        gateway::timeout(self.head)
    }

    fn time_out(&self, core: &mut EtcdCore) -> Response {
        let mut response = gateway::time_out(core.cluster.profile, &self.pending);
        response.headers_mut().insert(header::DATE, core.date());
        response
    }
}
