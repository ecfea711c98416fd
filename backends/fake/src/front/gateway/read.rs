use super::error::GatewayError;
use crate::{
    go::scan::{ScanError, scan},
    profile::Profile,
    v3::message::{Message, jsonpb, protojson},
};

/// Reads the message of a body. What follows it is ignored, and an empty body is an empty message.
pub(super) fn message<M: Message + Default>(
    body: &[u8],
    profile: Profile,
) -> Result<M, GatewayError> {
    let read = Messages::new(body, profile).next();
    read.unwrap_or_else(|| Ok(M::default()))
        .map_err(GatewayError::invalid)
}

/// The messages of a body, one after the other.
pub(super) struct Messages<'a> {
    body: &'a [u8],
    at: usize,
    profile: Profile,
}

impl<'a> Messages<'a> {
    pub(super) fn new(body: &'a [u8], profile: Profile) -> Self {
        let at = 0;
        Self { body, at, profile }
    }

    /// The next message; `None` at the end.
    pub(super) fn next<M: Message + Default>(&mut self) -> Option<Result<M, String>> {
        let (json, end) = match scan(self.body, self.at) {
            Ok(scanned) => scanned,
            Err(ScanError::End) => return None,
            Err(ScanError::Invalid(message)) => return Some(Err(message)),
        };
        self.at = end;
        let mut message = M::default();
        let read = match self.profile {
            Profile::V3_4 => jsonpb::read(&mut message, &json),
            Profile::V3_5 => protojson::read(&mut message, &json, self.body),
        };
        Some(read.map(|()| message))
    }
}
