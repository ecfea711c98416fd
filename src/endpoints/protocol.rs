/// How calls of the v3 API travel to etcd. The v2 API, and plain paths such as `/version`, are HTTP in any case.
///
/// Set it with [`ClientBuilder::protocol`](crate::ClientBuilder::protocol). What is used at each endpoint, and why, is in
/// [`Client::endpoints`](crate::Client::endpoints).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// gRPC where the transport and the endpoint can, and the gateway elsewhere. This is found out once for each endpoint,
    /// by the first read, or by a status request before the first write or stream: never by a write.
    ///
    /// The gateway is used if the transport cannot send HTTP/2, if the server does not speak it, or if the response is not
    /// one of gRPC, such as a proxy's page. An error of etcd's own is never a reason, nor is a server that does not respond.
    /// What was found out is examined again after a failure of the endpoint, and once a minute while the gateway is used.
    #[default]
    Auto,
    /// gRPC over HTTP/2. Under load it takes a third of the server's CPU time that the gateway takes.
    Grpc,
    /// etcd's JSON gateway, over any version of HTTP.
    Gateway,
}
