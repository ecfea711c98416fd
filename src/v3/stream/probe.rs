use etcd_transport::Transport;

use crate::{
    client::Client,
    endpoints::{liveness::PROBE_LIMIT, state::EndpointState},
    error::Result,
    pipeline::failure::Failure,
    v3::protocol::status_request::StatusRequest,
};

/// Asks a member once whether it is alive: `POST /v3/maintenance/status`. Any response shows that it is, except that
/// the member cannot serve, or belongs to another cluster.
pub(in crate::v3) async fn probe<T: Transport>(
    client: &Client<T>,
    operation: &'static str,
    endpoint: &EndpointState,
) -> Result<()> {
    let pipeline = client.pipeline();
    let prepared = pipeline
        .prepare(&StatusRequest { operation }, endpoint)
        .await?;
    let current = pipeline.endpoints.current();
    let answer = pipeline
        .attempt(
            &prepared,
            endpoint,
            &current,
            pipeline.timeout.min(PROBE_LIMIT),
        )
        .await;
    match answer.map(|answer| answer.success()) {
        Ok(Err(error)) if error.is_retryable() => Err(error),
        Ok(_) => Ok(()),
        Err(failure) => {
            // The caller acts on any other failure.
            if let Failure::Refused(_) = failure {
                pipeline.note(&failure, endpoint, pipeline.transport.now());
            }
            Err(failure.into_error(pipeline.context(&prepared.call, endpoint)))
        }
    }
}
