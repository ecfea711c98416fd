use super::{
    frames::frame,
    status::Status,
    stream::{Context, Output, Streaming},
};
use crate::v3::{
    api::Failure,
    message::{decode::decode, lease::LeaseKeepAliveRequest},
};

/// Renews the leases that the client names, one after the other.
#[derive(Default)]
pub(super) struct KeepAlive {
    request: Option<LeaseKeepAliveRequest>,
}

impl Streaming for KeepAlive {
    fn is_ready(&self) -> bool {
        self.request.is_none()
    }

    fn receive(&mut self, context: &mut Context<'_>, message: Option<&[u8]>) -> Result<(), Status> {
        let message = message.ok_or(Status::OK)?;
        let profile = context.core.cluster.profile;
        let request = decode(message).map_err(|problem| Status::malformed(&problem, profile))?;
        self.request = Some(request);
        Ok(())
    }

    fn next(&mut self, context: &mut Context<'_>) -> Output {
        let Some(request) = self.request.take() else {
            return Output::Nothing;
        };
        match context.call().keep_alive(&request) {
            Ok(response) => Output::Message(frame(&response)),
            Err(Failure::Refused(error)) => Output::End(error.into()),
            Err(Failure::Blocked) => {
                self.request = Some(request);
                Output::Blocked
            }
        }
    }
}
