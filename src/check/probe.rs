use std::{pin::pin, sync::Arc, time::Duration};

use etcd_transport::{IdleLimit, Transport};
use http::Method;
use serde_json::json;

use crate::{
    base::endpoint::Endpoint,
    client::Client,
    endpoints::{
        protocol::Protocol,
        set::{EndpointOrder, Endpoints},
        wire::Wire,
    },
    error::{Error, Result},
    pipeline::{
        Pipeline,
        exchange::{Prepared, call_of},
        failure::Failure,
        lifetime::Lifetime,
        observe::Observer,
        response_check::ResponseCheck,
        retry::RetryPolicy,
    },
    raw::RawRequest,
    status::ServerVersion,
};

/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A key that no program uses, and its base64.
pub(super) const KEY: &str = "etcd-http/check";
const KEY_BASE64: &str = "ZXRjZC1odHRwL2NoZWNr";

/// Sends requests to one endpoint each.
pub(super) struct Prober<'a, T> {
    pub(super) client: &'a Client<T>,
    limit: Duration,
}

/// Whether an API is served.
pub(super) enum Served {
    Yes,
    /// Why not.
    No(String),
    /// The server did not respond in time.
    Unknown,
}

impl<'a, T: Transport> Prober<'a, T> {
    pub(super) fn new(client: &'a Client<T>) -> Self {
        let limit = client.pipeline().timeout.min(LIMIT);
        Self { client, limit }
    }

    /// Returns a client of this endpoint, without credentials, that sends each request once.
    pub(super) fn at(&self, endpoint: &Endpoint, protocol: Protocol) -> Result<Client<T>> {
        self.alone(endpoint, protocol, false)
    }

    /// As [`at`](Self::at), with the credentials.
    pub(super) fn with_credentials(
        &self,
        endpoint: &Endpoint,
        protocol: Protocol,
    ) -> Result<Client<T>> {
        self.alone(endpoint, protocol, true)
    }

    fn alone(
        &self,
        endpoint: &Endpoint,
        protocol: Protocol,
        has_credentials: bool,
    ) -> Result<Client<T>> {
        let pipeline = Pipeline::clone(self.client.pipeline());
        let endpoints = Endpoints::new(
            vec![endpoint.clone()],
            EndpointOrder::AsGiven,
            protocol,
            pipeline.transport.now(),
        )?;
        Ok(Client::over(Pipeline {
            endpoints: Arc::new(endpoints),
            credentials: pipeline.credentials.filter(|_| has_credentials),
            token_source: pipeline.token_source.filter(|_| has_credentials),
            response_check: Arc::new(ResponseCheck::default()),
            observer: Observer::default(),
            prefer_leader: false,
            retry: RetryPolicy::never(),
            hedge: None,
            timeout: self.limit,
            stats: None,
            retry_tokens: None,
            call_limit: None,
            ..pipeline
        }))
    }

    /// Requests the version, which every etcd reports on every port.
    pub(super) async fn version(&self, endpoint: &Endpoint) -> Result<ServerVersion> {
        self.at(endpoint, Protocol::Gateway)?.version().await
    }

    /// Returns whether the first message of a stream arrives while the stream is open: a watch reports at once that it was
    /// created. `None` if something else responds.
    pub(super) async fn delivers_streams(&self, endpoint: &Endpoint) -> Option<bool> {
        let client = self.at(endpoint, Protocol::Gateway).ok()?;
        let pipeline = client.pipeline();
        let request = RawRequest::new(Method::POST, "/v3/watch")
            .json(&json!({"create_request": {"key": KEY_BASE64}}));
        let call = call_of(&request, pipeline.apis);
        let prepared = Prepared::new(&request, call, Wire::Http).ok()?;
        let set = pipeline.endpoints.current();
        let state = set.pick(&[], pipeline.transport.now());
        let lifetime = Lifetime::LongLived(IdleLimit(self.limit));
        let first = pin!(async {
            let target = &prepared.encoded.target;
            let mut begun = pipeline.send(&prepared, target, &state, lifetime).await?;
            Ok(begun.body.frame().await)
        });
        match pipeline.within(self.limit, first).await {
            Ok(Some(Ok(_))) => Some(true),
            Err(Failure::TimedOut(_)) => Some(false),
            _ => None,
        }
    }
}

impl Served {
    /// What a response says: an error of etcd's own is one.
    pub(super) fn of<O>(result: &Result<O>) -> Self {
        match result {
            Ok(_) | Err(Error::Etcd(_)) => Self::Yes,
            Err(Error::Timeout(_)) => Self::Unknown,
            Err(error) => Self::No(error.reason()),
        }
    }

    pub(super) fn known(&self) -> Option<bool> {
        match self {
            Self::Yes => Some(true),
            Self::No(_) => Some(false),
            Self::Unknown => None,
        }
    }
}
