//! Whether the endpoints fit together, and the addresses that the members advertise.

use std::collections::BTreeSet;

use etcd_transport::Transport;
use futures::future::join_all;

use crate::{
    base::endpoint::Endpoint,
    check::{Finding, Problem, Report, endpoint::Examined, probe::Prober},
    v3::Member,
};

/// More addresses than any cluster has.
const MAX_ADDRESSES: usize = 100;

/// Compares what was found out at the endpoints, and examines the addresses of the members.
pub(super) async fn compare<T: Transport>(
    prober: &Prober<'_, T>,
    examined: Vec<Examined>,
) -> Report {
    let mut report = Report::new();
    let mut members: Vec<Member> = Vec::new();
    let mut first: Option<(u64, Endpoint)> = None;
    for Examined {
        report: mut endpoint,
        members: listed,
    } in examined
    {
        match (&first, endpoint.cluster_id) {
            (Some((cluster, there)), Some(other)) if *cluster != other => {
                let what = format!("it is of the cluster {other:x}, and {there} of {cluster:x}");
                endpoint.add(
                    Problem::OtherCluster,
                    what,
                    "a client has the endpoints of one cluster: remove those of the other, or make one cluster of them \
                     (--initial-cluster)",
                );
            }
            (None, Some(cluster)) => first = Some((cluster, endpoint.endpoint.clone())),
            _ => {}
        }
        if members.is_empty() {
            members = listed;
        }
        report.endpoints.push(endpoint);
    }
    let known: Vec<Endpoint> = report
        .endpoints
        .iter()
        .map(|it| it.endpoint.clone())
        .collect();
    report.findings = advertised(prober, &members, &known).await;
    report
}

/// Examines the addresses that the members advertise, which a sync would add.
async fn advertised<T: Transport>(
    prober: &Prober<'_, T>,
    members: &[Member],
    known: &[Endpoint],
) -> Vec<Finding> {
    let pipeline = prober.client.pipeline();
    let seeds: Vec<Endpoint> = pipeline.endpoints.seeds().cloned().collect();
    let mut findings = Vec::new();
    let mut to_reach = Vec::new();
    let mut seen = BTreeSet::new();
    for member in members.iter().take(MAX_ADDRESSES) {
        if member.client_urls.is_empty() {
            findings.push(Finding::new(
                Problem::UnstartedMember,
                format!("the member {:x} has not started", member.id),
                "start it, or remove it (`etcdctl member remove`): it counts for the majority",
            ));
        }
        for url in &member.client_urls {
            if seen.len() == MAX_ADDRESSES || !seen.insert(url) {
                continue;
            }
            match pipeline.sync.check(url, &seeds) {
                Ok(endpoint) if known.contains(&endpoint) => {}
                Ok(endpoint) => to_reach.push((member, endpoint)),
                Err(reason) => findings.push(Finding::new(
                    Problem::UnusedAddress,
                    format!("{} advertises {url}, which a sync does not use: {reason}", member.name),
                    "set its --advertise-client-urls to what clients reach, or map the address with `SyncPolicy::rewrite`; \
                     without a sync, nothing needs it",
                )),
            }
        }
    }
    let reached = to_reach.into_iter().map(async |(member, endpoint)| {
        let error = prober.version(&endpoint).await.err()?;
        Some(Finding::new(
            Problem::UnreachableMember,
            format!("{} advertises {endpoint}: {}", member.name, error.reason()),
            "is the member up? If so, set its --advertise-client-urls to what clients reach, or map the address with \
             `SyncPolicy::rewrite`",
        ))
    });
    findings.extend(join_all(reached).await.into_iter().flatten());
    findings
}
