use std::time::Duration;

/// A [`Request`](crate::Request) extension: the exchange may last for hours, as a watch or a keep-alive stream does.
///
/// A long-lived exchange occupies a connection (HTTP/1.1) or a stream of a connection (HTTP/2) until it ends. A transport
/// gives such requests connections that no other request uses, and as many as the server's limit of concurrent streams
/// makes necessary, so that neither other requests nor further long-lived ones wait for those that are open. Limits on the
/// number of connections do not count them.
///
/// A marker: it has no content, and will have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongLived;

/// A [`Request`](crate::Request) extension for HTTP/2: the body of the request is still open when the response begins.
///
/// The head of the response and its frames arrive while the body of the request is open, and the frames of that body are
/// sent as they come. A transport whose HTTP stack cannot do this returns
/// [`Rejected`](crate::TransportErrorKind::Rejected) and sends nothing. To end the exchange, the caller ends the body of the
/// request and drops the response.
///
/// A marker: it has no content, and will have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplex;

/// A [`Request`](crate::Request) extension: how long the caller lets the exchange be silent before it drops it.
///
/// It is a hint. A transport that notices immediately that an exchange was dropped ignores it. One that does not notice
/// must nevertheless free the connection: when no byte has arrived for this long, at the latest.
///
/// It has this one field, and will have no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleLimit(pub Duration);
