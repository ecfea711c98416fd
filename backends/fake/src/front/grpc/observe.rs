use super::{
    frames::frame,
    status::Status,
    stream::{Context, Output, Streaming},
};
use crate::v3::{
    api::observe::{Observation, Observed},
    message::decode::decode,
};

/// The leaders of the election that the client names in its only message.
#[derive(Default)]
pub(super) struct Observe {
    observation: Option<Observation>,
}

impl Streaming for Observe {
    fn is_ready(&self) -> bool {
        self.observation.is_none()
    }

    fn receive(&mut self, context: &mut Context<'_>, message: Option<&[u8]>) -> Result<(), Status> {
        let message = message.ok_or(Status::NO_MESSAGE)?;
        let profile = context.core.cluster.profile;
        let request = decode(message).map_err(|problem| Status::malformed(&problem, profile))?;
        self.observation = Some(Observation::new(context.id, &request));
        Ok(())
    }

    fn next(&mut self, context: &mut Context<'_>) -> Output {
        let Some(observation) = &mut self.observation else {
            return Output::Nothing;
        };
        match context.call().observe(observation) {
            Observed::Leader(response) => Output::Message(frame(&response)),
            Observed::Nothing => Output::Nothing,
            Observed::Blocked => Output::Blocked,
            Observed::End => Output::End(Status::OK),
        }
    }
}
