//! Whether leases run at the rate of this machine's clock.

use std::{ops::RangeInclusive, time::Duration};

use etcd_transport::Transport;

use crate::{
    check::{EndpointReport, Problem, Report, Severity, probe::Prober},
    client::Client,
    endpoints::protocol::Protocol,
    error::Result,
    v3::{GetTimeToLive, GrantLease, RevokeLease},
};

/// A lease that is not revoked is over soon. Clusters with a long election timeout grant more.
const TTL: Duration = Duration::from_secs(10);

/// etcd tells what is left in whole seconds, rounded down: in the middle of one, a clock may be half a second off either way.
const WAIT: Duration = Duration::from_millis(2500);

/// How often it is measured while leaders change: each new leader renews all leases.
const MAX_MEASUREMENTS: usize = 3;

/// How old a lease is, by two clocks. The bounds are those between which the requests took place, and etcd's rounding.
struct Age {
    here: RangeInclusive<Duration>,
    /// Without an end if the lease is over.
    there: (Duration, Option<Duration>),
}

impl Age {
    fn agrees(&self) -> bool {
        let (least, most) = self.there;
        least <= *self.here.end() && most.is_none_or(|most| *self.here.start() <= most)
    }

    fn told(&self) -> String {
        let passed = format!(
            "{:.1} s after it was granted by this machine's clock, a lease",
            self.here.end().as_secs_f64()
        );
        match self.there {
            (least, Some(most)) => {
                let (least, most) = (least.as_secs(), most.as_secs());
                format!("{passed} is {least} to {most} s old by etcd's")
            }
            (ttl, None) => format!("{passed} of {} s is over", ttl.as_secs()),
        }
    }
}

/// Asks the leader, or another member: all have the leader's clock.
pub(super) async fn examine<T: Transport>(prober: &Prober<'_, T>, report: &mut Report) {
    let endpoints = report.endpoints.iter_mut().filter(|it| can_grant(it));
    if let Some(endpoint) = endpoints.min_by_key(|it| it.is_leader != Some(true)) {
        examine_one(prober, endpoint).await;
    }
}

fn can_grant(endpoint: &EndpointReport) -> bool {
    let mut findings = endpoint.findings.iter();
    endpoint.is_learner == Some(false) && findings.all(|it| it.severity() < Severity::Error)
}

async fn examine_one<T: Transport>(prober: &Prober<'_, T>, report: &mut EndpointReport) {
    match measured(prober, report).await {
        Ok(Some(age)) => {
            report.keeps_lease_time = Some(age.agrees());
            if !age.agrees() {
                report.add(
                    Problem::LeaseClock,
                    age.told(),
                    "the clock of this machine or of the leader's runs at another rate, and locks may end before their holders \
                     know: see the time source of virtual machines, and whether one is halted now and then",
                );
            }
        }
        // The leader changed all the time.
        Ok(None) => {}
        Err(error) => report.add(
            Problem::LeaseRefused,
            format!("a lease could not be granted and read: {}", error.reason()),
            "locks, elections and sessions need leases: may this user write, and does the member reach the leader?",
        ),
    }
}

async fn measured<T: Transport>(
    prober: &Prober<'_, T>,
    report: &EndpointReport,
) -> Result<Option<Age>> {
    let protocol = if report.has_grpc == Some(true) {
        Protocol::Grpc
    } else {
        Protocol::Gateway
    };
    let client = if report.has_auth == Some(true) {
        prober.with_credentials(&report.endpoint, protocol)?
    } else {
        prober.at(&report.endpoint, protocol)?
    };
    for _ in 0..MAX_MEASUREMENTS {
        if let Some(age) = measure(&client).await? {
            return Ok(Some(age));
        }
    }
    Ok(None)
}

/// Returns `None` if the leader changed meanwhile.
async fn measure<T: Transport>(client: &Client<T>) -> Result<Option<Age>> {
    let transport = &client.pipeline().transport;
    let before = transport.now();
    let lease = client.send(GrantLease::new(TTL)).await?;
    let granted = transport.now();
    transport.sleep(WAIT).await;
    let asked = transport.now();
    let status = client.send(GetTimeToLive::new(lease.id)).await;
    let after = transport.now();
    // If this fails, it is over by itself soon; it may be over already.
    let _ = client.send(RevokeLease::new(lease.id)).await;
    let there = match status? {
        Some(status) if status.header.raft_term != lease.header.raft_term => return Ok(None),
        Some(status) => {
            let most = lease.ttl.saturating_sub(status.ttl);
            (most.saturating_sub(Duration::from_secs(1)), Some(most))
        }
        None => (lease.ttl, None),
    };
    let here = asked.saturating_duration_since(granted)..=after.saturating_duration_since(before);
    Ok(Some(Age { here, there }))
}
