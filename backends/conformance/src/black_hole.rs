use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use etcd_transport::http::Uri;
use socket2::{Domain, Socket, Type};

/// An address of `127.0.0.1` where connections are neither accepted nor refused, as behind a firewall that drops packets.
///
/// For a transport's own tests of its connect timeout, which the contract leaves open: after it, the error is to be
/// [`Connect`](etcd_transport::TransportErrorKind::Connect). Works on Linux.
#[derive(Debug)]
pub struct BlackHole {
    address: SocketAddr,
    _listener: Socket,
    _waiting: Vec<Socket>,
}

impl BlackHole {
    /// Starts to listen, and fills the queue of connections that are not accepted.
    ///
    /// # Panics
    /// If the system provides no socket.
    pub fn start() -> Self {
        let listener = stream_socket();
        let any = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
        listener.bind(&any.into()).expect("a port of 127.0.0.1");
        listener.listen(0).expect("a listening socket");
        let address = listener.local_addr().expect("the address it is bound to");
        let fill = |_| {
            let waiting = stream_socket();
            waiting.set_nonblocking(true).expect("a socket option");
            // An error means that the connection is in progress, which is the purpose.
            let _ = waiting.connect(&address);
            waiting
        };
        Self {
            _waiting: (0..4).map(fill).collect(),
            address: address.as_socket().expect("an address of IPv4"),
            _listener: listener,
        }
    }

    /// Returns a URI of this address.
    pub fn uri(&self) -> Uri {
        let uri = format!("http://{}/", self.address);
        uri.parse().expect("a URI of this address")
    }
}

fn stream_socket() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket")
}
