use etcd_transport::{IdleLimit, LongLived};
use http::Extensions;

/// How long an exchange may last: a hint for the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// The response arrives promptly.
    Brief,
    /// The response consists of many messages that keep arriving; it is dropped after this long without one.
    Busy(IdleLimit),
    /// The server responds when something happens; it is dropped after this long without a byte.
    LongLived(IdleLimit),
}

impl Lifetime {
    /// Marks a request.
    pub(crate) fn mark(self, extensions: &mut Extensions) {
        match self {
            Self::Brief => {}
            Self::Busy(idle) => {
                extensions.insert(idle);
            }
            Self::LongLived(idle) => {
                extensions.insert(idle);
                extensions.insert(LongLived);
            }
        }
    }
}
