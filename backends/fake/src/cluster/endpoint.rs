/// One server's address, and whether it can be reached.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    /// Host and port, as a request's URI has them.
    pub(crate) authority: String,
    pub(crate) is_up: bool,
    /// Incremented whenever this server alone stops.
    pub(crate) stops: u64,
}

impl Endpoint {
    pub(crate) fn new(url: String) -> Self {
        let authority = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let authority = authority.trim_end_matches('/').to_owned();
        Self {
            url,
            authority,
            is_up: true,
            stops: 0,
        }
    }
}
