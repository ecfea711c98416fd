use std::{fmt, sync::Arc, time::Duration};

use http::{Response, StatusCode};

use crate::{
    cluster::{
        fault::{Cut, Ending, Event, Kind},
        when::When,
    },
    fake::FakeEtcd,
    front::gateway::grpc_path,
};

/// A failure to inject into a request.
///
/// ```
/// # use etcd_http_fake::{FakeEtcd, Fault, When};
/// let etcd = FakeEtcd::new();
/// // The next write is applied, and its response is lost.
/// etcd.inject(When::method("PUT").once(), Fault::break_after());
/// // Every third request from now on is refused.
/// etcd.inject(When::any().every(3), Fault::refuse());
/// ```
#[derive(Clone, Debug)]
pub struct Fault(Plan);

#[derive(Clone)]
enum Plan {
    /// The same for every etcd.
    Fixed(Kind),
    /// Something happens to the etcd before the server acts.
    Before(EventFn),
    After(EventFn),
}

type EventFn = Arc<dyn Fn(&FakeEtcd) + Send + Sync>;

impl Fault {
    /// No connection: the server sees nothing ([`Connect`](etcd_transport::TransportErrorKind::Connect)).
    pub fn refuse() -> Self {
        Self(Plan::Fixed(Kind::Refuse))
    }

    /// The connection breaks before the server acts
    /// ([`Interrupted`](etcd_transport::TransportErrorKind::Interrupted)).
    pub fn break_before() -> Self {
        Self(Plan::Fixed(Kind::BreakBefore))
    }

    /// The server acts, and the connection breaks before the head of the response is complete
    /// ([`Interrupted`](etcd_transport::TransportErrorKind::Interrupted)).
    ///
    /// A [`Transport`](etcd_transport::Transport) returns a head as a whole, so both cases look the same.
    pub fn break_after() -> Self {
        Self(Plan::Fixed(Kind::BreakAfter))
    }

    /// The server acts, and the connection breaks after `bytes` of the response's body.
    pub fn break_body(bytes: usize) -> Self {
        Self(Plan::Fixed(Kind::Cut(Cut::Bytes(bytes), Ending::Error)))
    }

    /// The connection of a watch breaks after this many events, or after this many messages of a v3 stream: between two of them.
    pub fn break_after_events(events: usize) -> Self {
        Self(Plan::Fixed(Kind::Cut(Cut::Frames(events), Ending::Error)))
    }

    /// The server never sees the request, and no response ever arrives.
    pub fn silence() -> Self {
        Self(Plan::Fixed(Kind::SilenceBefore))
    }

    /// The server acts, and no response ever arrives.
    pub fn silence_after() -> Self {
        Self(Plan::Fixed(Kind::SilenceAfter))
    }

    /// The server acts and begins to respond. After `bytes` of the body, nothing more arrives.
    pub fn silence_body(bytes: usize) -> Self {
        Self(Plan::Fixed(Kind::Cut(Cut::Bytes(bytes), Ending::Silence)))
    }

    /// Nothing more comes after this many events of a watch, or messages of a v3 stream.
    pub fn silence_after_events(events: usize) -> Self {
        Self(Plan::Fixed(Kind::Cut(Cut::Frames(events), Ending::Silence)))
    }

    /// The request takes this long to arrive, by the fake's clock.
    pub fn delay(duration: Duration) -> Self {
        Self(Plan::Fixed(Kind::DelayBefore(duration)))
    }

    /// The request arrives this long after the lease or key that is due next has expired, however long that takes: its sender
    /// believes in it for too long. It is not late when nothing is to expire.
    pub fn delay_past_expiry(duration: Duration) -> Self {
        Self(Plan::Fixed(Kind::DelayPastExpiry(duration)))
    }

    /// The server acts at once, and the response takes this long to arrive, by the fake's clock.
    pub fn delay_response(duration: Duration) -> Self {
        Self(Plan::Fixed(Kind::DelayAfter(duration)))
    }

    /// The response begins at once, and what follows its first message takes this long to arrive, by the fake's clock: a watch
    /// that is late, while others are not.
    pub fn delay_events(duration: Duration) -> Self {
        Self(Plan::Fixed(Kind::DelayBody(duration)))
    }

    /// Something happens to the cluster after the request has arrived and before the server acts. The fake is not locked.
    ///
    /// ```
    /// # use etcd_http_fake::{FakeEtcd, Fault, When};
    /// let etcd = FakeEtcd::new();
    /// // The history is compacted when the second watch is opened: that which resumes the first.
    /// etcd.inject(When::any().path("/v3/watch").nth(2), Fault::before(FakeEtcd::compact));
    /// // A leader is elected while the next write is on its way.
    /// etcd.inject(When::any().path("/v3/kv/put").once(), Fault::before(|etcd| etcd.endpoint(1).lead()));
    /// ```
    pub fn before(event: impl Fn(&FakeEtcd) + Send + Sync + 'static) -> Self {
        Self(Plan::Before(Arc::new(event)))
    }

    /// Something happens to the cluster after the server has acted and before the response arrives. The fake is not locked.
    pub fn after(event: impl Fn(&FakeEtcd) + Send + Sync + 'static) -> Self {
        Self(Plan::After(Arc::new(event)))
    }

    /// The body is only the first `bytes` of what it should be, and `Content-Length` agrees with it.
    pub fn truncate(bytes: usize) -> Self {
        Self(Plan::Fixed(Kind::Truncate(bytes)))
    }

    /// The body has these bytes after its end.
    pub fn append(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Plan::Fixed(Kind::Append(bytes.into())))
    }

    /// Something else responds, such as a proxy, and the server sees nothing.
    pub fn respond(response: Response<Vec<u8>>) -> Self {
        Self(Plan::Fixed(Kind::Instead(response)))
    }

    /// The server acts, and something else responds.
    pub fn respond_after(response: Response<Vec<u8>>) -> Self {
        Self(Plan::Fixed(Kind::InsteadAfter(response)))
    }

    /// A plain-text response with this status, and the server sees nothing. An invalid status becomes 500.
    pub fn status(status: u16) -> Self {
        let text = canonical(status).canonical_reason().unwrap_or_default();
        Self::respond(page(status, "text/plain; charset=utf-8", text.to_owned()))
    }

    /// An HTML page with this status, as proxies and captive portals send it, and the server sees nothing.
    pub fn html(status: u16) -> Self {
        let reason = canonical(status).canonical_reason().unwrap_or_default();
        let text = format!("<html><head><title>{status} {reason}</title></head></html>\n");
        Self::respond(page(status, "text/html", text))
    }

    /// A redirect to `location`, and the server sees nothing.
    pub fn redirect(status: u16, location: &str) -> Self {
        let mut response = page(status, "text/html; charset=utf-8", String::new());
        if let Ok(location) = location.try_into() {
            response
                .headers_mut()
                .insert(http::header::LOCATION, location);
        }
        Self::respond(response)
    }

    /// What goes wrong in this etcd.
    fn on(self, etcd: &FakeEtcd) -> Kind {
        let event = |event: EventFn| {
            // The etcd has the fault, and must not be kept by it.
            let shared = Arc::downgrade(&etcd.shared);
            Event(Arc::new(move || {
                if let Some(shared) = shared.upgrade() {
                    event(&FakeEtcd { shared });
                }
            }))
        };
        match self.0 {
            Plan::Fixed(kind) => kind,
            Plan::Before(before) => Kind::Before(event(before)),
            Plan::After(after) => Kind::After(event(after)),
        }
    }
}

/// Injecting faults.
impl FakeEtcd {
    /// Injects a fault into the requests that match. If several faults match a request, it gets the one injected first.
    pub fn inject(&self, when: When, fault: Fault) {
        let when = when.on_any_wire(grpc_path);
        let kind = fault.on(self);
        self.shared.with(|core| core.rules.add(when, kind, None));
    }

    /// The same, and the log calls it by this name.
    pub(crate) fn inject_named(&self, when: When, fault: Fault, name: &str) {
        let when = when.on_any_wire(grpc_path);
        let kind = fault.on(self);
        self.shared
            .with(|core| core.rules.add(when, kind, Some(name.into())));
    }

    /// Removes all faults that have not happened yet.
    pub fn clear_faults(&self) {
        self.shared.with(|core| core.rules.clear());
    }

    /// How many injected faults may still happen.
    pub fn pending_faults(&self) -> usize {
        self.shared.with(|core| core.rules.len())
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(kind) => kind.fmt(f),
            Self::Before(_) => f.write_str("Before"),
            Self::After(_) => f.write_str("After"),
        }
    }
}

fn canonical(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn page(status: u16, kind: &'static str, text: String) -> Response<Vec<u8>> {
    let length = text.len();
    let mut response = Response::new(text.into_bytes());
    *response.status_mut() = canonical(status);
    let headers = response.headers_mut();
    let kind = http::HeaderValue::from_static(kind);
    headers.insert(http::header::CONTENT_TYPE, kind);
    headers.insert(http::header::CONTENT_LENGTH, length.into());
    response
}
