use super::{
    frames::frame,
    status::Status,
    stream::{Context, Output, Streaming},
};
use crate::{
    front::subscription::{request, take_message},
    v3::message::{decode::decode, watch::WatchRequest},
};

/// Watches that the client creates and cancels. They go on when it has ended its requests.
pub(super) struct Watch;

impl Streaming for Watch {
    fn receive(&mut self, context: &mut Context<'_>, message: Option<&[u8]>) -> Result<(), Status> {
        let Some(message) = message else {
            return Ok(());
        };
        let profile = context.core.cluster.profile;
        let message: WatchRequest =
            decode(message).map_err(|problem| Status::malformed(&problem, profile))?;
        let id = context.id;
        request(&mut context.call(), id, &message);
        Ok(())
    }

    fn next(&mut self, context: &mut Context<'_>) -> Output {
        match take_message(context.core, context.endpoint, context.id) {
            Some(message) => Output::Message(frame(&message)),
            None => Output::Nothing,
        }
    }
}
