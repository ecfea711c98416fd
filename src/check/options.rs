/// What [`Client::check_with`](crate::Client::check_with) examines besides what only takes reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    pub(super) lease_clock: bool,
}

impl CheckOptions {
    /// Nothing else.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to examine if leases run at the rate of this machine's clock. Defaults to false, since it writes: it grants a
    /// lease of 10 s without keys, reads after 2.5 s how much of it is left, and revokes it. A clock that runs a fifth slower or
    /// faster is found. One member is asked, the leader if it is among the endpoints: leases have the leader's clock. No
    /// lease is granted where every endpoint has an error.
    pub fn lease_clock(mut self, lease_clock: bool) -> Self {
        self.lease_clock = lease_clock;
        self
    }
}
