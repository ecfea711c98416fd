use std::time::Duration;

/// What a backend cannot do, as its documentation says.
///
/// The default is strict: everything that the contract demands. Each method removes one demand.
#[derive(Clone, Debug)]
pub struct Limits {
    pub(crate) head_with_first_byte: bool,
    pub(crate) frees_dropped_within: Duration,
    pub(crate) reuses_with_body: bool,
    pub(crate) reuses_without_body: bool,
    pub(crate) reuses_for_reads: bool,
    pub(crate) resends_reads: bool,
    pub(crate) refuses_odd_headers: bool,
    pub(crate) takes_a_cut_head: bool,
    pub(crate) joins_trailers: bool,
    pub(crate) half_duplex: bool,
    pub(crate) refuses_http2: bool,
    pub(crate) cannot_tell_unprocessed: bool,
}

impl Limits {
    /// Demands everything.
    pub const fn strict() -> Self {
        Self {
            head_with_first_byte: false,
            frees_dropped_within: Duration::from_secs(2),
            reuses_with_body: true,
            reuses_without_body: true,
            reuses_for_reads: true,
            resends_reads: false,
            refuses_odd_headers: false,
            takes_a_cut_head: false,
            joins_trailers: false,
            half_duplex: false,
            refuses_http2: false,
            cannot_tell_unprocessed: false,
        }
    }

    /// `send` resolves only when the first byte of the body, or its end, has arrived.
    pub const fn head_with_first_byte(mut self) -> Self {
        self.head_with_first_byte = true;
        self
    }

    /// A dropped exchange frees its connection within this time; the [`IdleLimit`](etcd_transport::IdleLimit) of the
    /// requests that are dropped is one second. Defaults to two seconds.
    pub const fn frees_dropped_within(mut self, time: Duration) -> Self {
        self.frees_dropped_within = time;
        self
    }

    /// Requests without a body, except `GET` and `HEAD`, get a connection of their own, which is closed after the
    /// response.
    pub const fn fresh_connections_for_writes_without_body(mut self) -> Self {
        self.reuses_without_body = false;
        self
    }

    /// Every request gets a connection of its own, which is closed after the response.
    pub const fn fresh_connections(mut self) -> Self {
        self.reuses_with_body = false;
        self.reuses_for_reads = false;
        self.fresh_connections_for_writes_without_body()
    }

    /// The HTTP stack sends a `GET` or `HEAD` again if a reused connection is closed before the first byte of the
    /// response.
    pub const fn resends_reads(mut self) -> Self {
        self.resends_reads = true;
        self
    }

    /// A header value with other bytes than visible ASCII is [`Rejected`](etcd_transport::TransportErrorKind::Rejected)
    /// instead of sent unchanged.
    pub const fn refuses_odd_headers(mut self) -> Self {
        self.refuses_odd_headers = true;
        self
    }

    /// A head that is truncated after a header that frames an empty body is mistaken for a complete one.
    pub const fn takes_a_cut_head(mut self) -> Self {
        self.takes_a_cut_head = true;
        self
    }

    /// Trailers that follow no data arrive among the headers.
    pub const fn joins_trailers(mut self) -> Self {
        self.joins_trailers = true;
        self
    }

    /// The body of a request must have ended when the response begins; what comes later is not sent. A
    /// [`Duplex`](etcd_transport::Duplex) request is [`Rejected`](etcd_transport::TransportErrorKind::Rejected).
    pub const fn half_duplex(mut self) -> Self {
        self.half_duplex = true;
        self
    }

    /// A request for HTTP/2 is [`Rejected`](etcd_transport::TransportErrorKind::Rejected). The contract allows this; etcd's
    /// gRPC API then needs another transport.
    pub const fn refuses_http2(mut self) -> Self {
        self.refuses_http2 = true;
        self
    }

    /// A request that the server declares not to have processed is
    /// [`Interrupted`](etcd_transport::TransportErrorKind::Interrupted) instead of
    /// [`Unprocessed`](etcd_transport::TransportErrorKind::Unprocessed).
    pub const fn cannot_tell_unprocessed(mut self) -> Self {
        self.cannot_tell_unprocessed = true;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::strict()
    }
}
