/// The wire protocol of requests to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// etcd's HTTP API: the v2 API, v3's JSON gateway, and plain paths such as `/version`.
    #[default]
    Http,
    /// gRPC over HTTP/2. Calls that it does not have travel by [`Http`](Self::Http).
    Grpc,
}
