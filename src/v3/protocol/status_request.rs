use crate::{
    endpoints::wire::Wire,
    error::Result,
    pipeline::{
        call::{Call, Repeat},
        exchange::{Encoded, Exchange},
    },
    v3::protocol::{
        self,
        message::{Encode, Fields},
        method,
    },
};

/// A request for a member's status in the name of an operation, where any response shows what is to be known.
pub(in crate::v3) struct StatusRequest {
    pub(in crate::v3) operation: &'static str,
}

impl Encode for StatusRequest {
    fn fields<F: Fields>(&self, _: &mut F) {}
}

impl Exchange for StatusRequest {
    fn call(&self) -> Call {
        protocol::call(self.operation, method::STATUS, Repeat::Always)
    }

    fn encode(&self, wire: Wire) -> Result<Encoded> {
        protocol::encode(self.operation, method::STATUS, wire, self)
    }
}
