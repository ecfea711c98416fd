//! `grpc.health.v1.Health`, where etcd registers no service but the server as a whole.

use super::{
    frames::frame,
    status::Status,
    stream::{Context, Output, Streaming},
};
use crate::v3::message::{
    decode::decode,
    health::{HealthCheckRequest, HealthCheckResponse, ServingStatus},
};

pub(super) fn check(request: &HealthCheckRequest) -> Result<HealthCheckResponse, Status> {
    if !request.service.is_empty() {
        return Err(Status::new(5, "unknown service"));
    }
    Ok(HealthCheckResponse {
        status: ServingStatus::SERVING,
    })
}

/// Tells the status once. It never changes.
#[derive(Default)]
pub(super) struct HealthWatch {
    has_begun: bool,
    response: Option<HealthCheckResponse>,
}

impl Streaming for HealthWatch {
    fn is_ready(&self) -> bool {
        !self.has_begun
    }

    fn receive(&mut self, context: &mut Context<'_>, message: Option<&[u8]>) -> Result<(), Status> {
        let message = message.ok_or(Status::NO_MESSAGE)?;
        let profile = context.core.cluster.profile;
        let request: HealthCheckRequest =
            decode(message).map_err(|problem| Status::malformed(&problem, profile))?;
        self.has_begun = true;
        let known = check(&request);
        self.response = Some(known.unwrap_or(HealthCheckResponse {
            status: ServingStatus::SERVICE_UNKNOWN,
        }));
        Ok(())
    }

    fn next(&mut self, _: &mut Context<'_>) -> Output {
        match self.response.take() {
            Some(response) => Output::Message(frame(&response)),
            None => Output::Nothing,
        }
    }
}
