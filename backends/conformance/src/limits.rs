use std::time::Duration;

/// What a backend cannot do, and admits in its documentation.
///
/// The default is strict: everything that the contract promises. Each method lowers one demand.
#[derive(Clone, Debug)]
pub struct Limits {
    pub(crate) head_with_first_byte: bool,
    pub(crate) frees_dropped_within: Duration,
    pub(crate) reuses_without_body: bool,
    pub(crate) refuses_odd_headers: bool,
}

impl Limits {
    /// No limits.
    pub const fn strict() -> Self {
        Self {
            head_with_first_byte: false,
            frees_dropped_within: Duration::from_secs(2),
            reuses_without_body: true,
            refuses_odd_headers: false,
        }
    }

    /// `send` resolves only when the first byte of the body, or its end, has arrived.
    pub const fn head_with_first_byte(mut self) -> Self {
        self.head_with_first_byte = true;
        self
    }

    /// A dropped exchange frees its connection within this time once its
    /// [`IdleLimit`](etcd_transport::IdleLimit) has passed; the suite sets that limit to one second.
    ///
    /// Strict: two seconds after the drop, with no regard to the limit.
    pub const fn frees_dropped_within(mut self, time: Duration) -> Self {
        self.frees_dropped_within = time;
        self
    }

    /// Requests without a body travel on a connection of their own, which is closed after the answer.
    pub const fn fresh_connections_without_body(mut self) -> Self {
        self.reuses_without_body = false;
        self
    }

    /// A header value that is not UTF-8 is refused ([`Rejected`](etcd_transport::TransportErrorKind::Rejected)),
    /// where the strict transport sends its bytes as they are.
    pub const fn refuses_odd_headers(mut self) -> Self {
        self.refuses_odd_headers = true;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::strict()
    }
}
