use super::{Answered, Call, Failure};
use crate::{
    profile::Profile,
    v3::{
        CreateLease, RenewLease,
        error::V3Error,
        message::lease::{
            LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
            LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse,
            LeaseStatus, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
        },
    },
};

/// How much a lease counts for the quota.
const LEASE_COST: usize = 64;

impl Call<'_> {
    pub(crate) fn grant(&mut self, request: &LeaseGrantRequest) -> Answered<LeaseGrantResponse> {
        self.check_quota(LEASE_COST)?;
        let mut id = request.id;
        while id == 0 {
            id = (self.cluster.rng.next() >> 1).cast_signed();
        }
        let ttl = self.propose(CreateLease {
            id,
            ttl: request.ttl,
        })?;
        let mut response = LeaseGrantResponse {
            id,
            ttl,
            ..LeaseGrantResponse::default()
        };
        self.fill(&mut response.header);
        Ok(response)
    }

    pub(crate) fn revoke(&mut self, request: LeaseRevokeRequest) -> Answered<LeaseRevokeResponse> {
        let caller = self.caller()?;
        let mut response: LeaseRevokeResponse = self.propose_as(
            &caller,
            request,
            |store, caller, request: &LeaseRevokeRequest| {
                store.auth.check_lease(caller, request.id, &store.leases)
            },
        )?;
        self.fill(&mut response.header);
        Ok(response)
    }

    /// Renews a lease, which takes a leader. An unknown lease has no time to live.
    pub(crate) fn keep_alive(
        &mut self,
        request: &LeaseKeepAliveRequest,
    ) -> Answered<LeaseKeepAliveResponse> {
        if self.cluster.leader_at(self.endpoint).is_none() {
            return Err(match self.without_quorum() {
                Failure::Refused(_) => Failure::Refused(V3Error::NO_LEADER),
                blocked @ Failure::Blocked => blocked,
            });
        }
        let mut response = LeaseKeepAliveResponse {
            id: request.id,
            ..LeaseKeepAliveResponse::default()
        };
        // The header is made before the lease is renewed.
        self.fill(&mut response.header);
        let id = request.id;
        let lease = self.cluster.state.v3.leases.get(id);
        if lease.is_some_and(|lease| lease.has_ended(self.cluster.now)) {
            // The response waits until the leader has revoked it, which it does at once here.
            if !self.cluster.can_commit_at(self.endpoint) {
                return Err(Failure::Blocked);
            }
            let _ = self
                .cluster
                .propose(self.endpoint, LeaseRevokeRequest { id });
        }
        response.ttl = match self.cluster.agree(self.endpoint, RenewLease { id }) {
            Ok(ttl) => ttl,
            Err(error) if error == V3Error::LEASE_NOT_FOUND => 0,
            Err(error) => return Err(Failure::Refused(error)),
        };
        Ok(response)
    }

    pub(crate) fn time_to_live(
        &mut self,
        request: &LeaseTimeToLiveRequest,
    ) -> Answered<LeaseTimeToLiveResponse> {
        if self.cluster.leader_at(self.endpoint).is_none() {
            return Err(self.without_quorum());
        }
        // 3.4 tells everybody the keys.
        if request.keys && self.profile() == Profile::V3_5 {
            let caller = self.caller()?;
            let store = &self.cluster.state.v3;
            (store.auth).check_lease_read(&caller, request.id, &store.leases)?;
        }
        let now = self.cluster.now;
        // The leader responds: it knows when a lease ends.
        let mut response = LeaseTimeToLiveResponse {
            id: request.id,
            ttl: -1,
            ..LeaseTimeToLiveResponse::default()
        };
        if let Some(lease) = self.cluster.state.v3.leases.get(request.id) {
            response.ttl = lease.remaining(now);
            response.granted_ttl = lease.ttl;
            if request.keys {
                response.keys = lease.keys().cloned().collect();
            }
        }
        self.fill(&mut response.header);
        Ok(response)
    }

    pub(crate) fn leases(&mut self, _: LeaseLeasesRequest) -> Answered<LeaseLeasesResponse> {
        let leases = &self.cluster.local(self.endpoint).v3.leases;
        let leases = leases.ids().map(|id| LeaseStatus { id }).collect();
        let mut response = LeaseLeasesResponse {
            header: None,
            leases,
        };
        self.fill(&mut response.header);
        Ok(response)
    }
}
