use std::sync::Arc;

use etcd_transport::Response;

use super::{
    Pending, call_of, credentials,
    limits::Limits,
    read,
    stream::{Output, Source, StreamBody, begin, line},
};
use crate::{
    cluster::exchanges::ExchangeId,
    front::counter::OBSERVE,
    state::{EtcdCore, EtcdShared},
    v2::api::Incoming,
    v3::{
        api::{
            Call,
            observe::{Observation, Observed},
        },
        auth::Credentials,
        message::election::LeaderRequest,
    },
};

/// The leaders of an election, one after the other.
struct Observe {
    observation: Observation,
    credentials: Credentials,
}

impl Source for Observe {
    fn next(
        &mut self,
        core: &mut EtcdCore,
        endpoint: usize,
        _: ExchangeId,
        timed_out: bool,
    ) -> Output {
        let profile = core.cluster.profile;
        let mut call = Call {
            cluster: &mut core.cluster,
            endpoint,
            timed_out,
            credentials: self.credentials.clone(),
        };
        match call.observe(&mut self.observation) {
            Observed::Leader(response) => Output::Line(line(&response, profile)),
            Observed::Nothing => Output::Nothing,
            Observed::Blocked => Output::Blocked,
            Observed::End => Output::End,
        }
    }
}

/// Opens the observation of an election.
pub(super) fn open(
    shared: &Arc<EtcdShared>,
    core: &mut EtcdCore,
    request: &Incoming<'_>,
    limits: Limits,
    pending: &mut Pending,
) -> Option<Response> {
    let profile = core.cluster.profile;
    let message: LeaderRequest = match read::message(request.body, profile) {
        Ok(message) => message,
        Err(error) => return Some(error.response(profile)),
    };
    let call = call_of(core, request);
    if let Err(error) = limits.check(&call, false) {
        return Some(error.stream_response(profile));
    }
    let source = Observe {
        observation: Observation::new(request.watch_id, &message),
        credentials: credentials(request.headers),
    };
    let body = StreamBody::open(shared, core, request, limits, OBSERVE, source);
    begin(core, body, pending)
}
