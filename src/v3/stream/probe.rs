use etcd_transport::Transport;

use crate::{
    client::Client,
    endpoints::set::EndpointState,
    error::Result,
    operation::Repeat,
    pipeline::execute::Failure,
    v3::protocol::{gateway, method},
};

/// Asks a member once whether it is alive: `POST /v3/maintenance/status`. Any response shows that it is, except that the
/// member cannot serve, or belongs to another cluster.
pub(in crate::v3) async fn probe<T: Transport>(
    client: &Client<T>,
    operation: &'static str,
    endpoint: &EndpointState,
) -> Result<()> {
    let call = gateway::post(operation, method::STATUS, Repeat::Always, "{}".to_owned())?;
    let pipeline = client.pipeline();
    let call = pipeline.with_token(&call).await?.unwrap_or(call);
    let current = pipeline.endpoints.current();
    let reply = pipeline
        .send_once(&call, endpoint, &current, pipeline.timeout)
        .await;
    match reply.map(gateway::success) {
        Ok(Err(error)) if error.is_retryable() => Err(error),
        Ok(_) => Ok(()),
        Err(failure) => {
            // The caller acts on any other failure.
            if let Failure::Refused(_) = failure {
                pipeline.note(&failure, endpoint, pipeline.transport.now());
            }
            Err(failure.into_error(pipeline.context(&call, endpoint, 1)))
        }
    }
}
