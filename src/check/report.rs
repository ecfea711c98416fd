use std::fmt;

use crate::{
    base::endpoint::Endpoint,
    check::{Finding, Problem, Severity},
};

/// The result of [`Client::check`](crate::Client::check).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The endpoints, in the client's order.
    pub endpoints: Vec<EndpointReport>,
    /// What was found about the cluster as a whole.
    pub findings: Vec<Finding>,
}

impl Report {
    /// A report without endpoints. For your own tests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns all findings: those of each endpoint, and those of the cluster.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let of_endpoints = self.endpoints.iter().flat_map(|it| &it.findings);
        of_endpoints.chain(&self.findings)
    }

    /// Returns the kinds of all findings.
    pub fn problems(&self) -> Vec<Problem> {
        self.findings().map(|it| it.problem).collect()
    }

    /// Returns how serious the most serious finding is; `None` if nothing was found.
    pub fn severity(&self) -> Option<Severity> {
        self.findings().map(Finding::severity).max()
    }
}

/// A short text for an operator: an endpoint a line, and below it what was found and what to do.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for endpoint in &self.endpoints {
            writeln!(f, "{endpoint}")?;
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        match self.severity() {
            None => f.write_str("no problem was found"),
            Some(worst) => {
                let count = self.findings().count();
                let s = if count == 1 { "" } else { "s" };
                write!(f, "{count} finding{s}, the most serious: {worst}")
            }
        }
    }
}

/// What was found out about an endpoint. What is `None` could not be found out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointReport {
    /// The URL.
    pub endpoint: Endpoint,
    /// The version of its etcd, such as `3.5.16`.
    pub version: Option<String>,
    /// The id of the member that responded.
    pub member_id: Option<u64>,
    /// The id of its cluster.
    pub cluster_id: Option<u64>,
    /// Whether the member is the leader.
    pub is_leader: Option<bool>,
    /// Whether the member is a learner.
    pub is_learner: Option<bool>,
    /// Whether the v3 API is served by gRPC.
    pub has_grpc: Option<bool>,
    /// Whether the v3 API is served by the JSON gateway.
    pub has_gateway: Option<bool>,
    /// Whether the v2 API is served.
    pub has_v2: Option<bool>,
    /// Whether v3's authentication is enabled.
    pub has_auth: Option<bool>,
    /// Whether leases run at the rate of this machine's clock. Examined at one endpoint, if
    /// [`CheckOptions::lease_clock`](crate::check::CheckOptions::lease_clock) is set.
    pub keeps_lease_time: Option<bool>,
    /// What is wrong, and what to do.
    pub findings: Vec<Finding>,
}

impl EndpointReport {
    /// An endpoint of which nothing is known. For your own tests.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            version: None,
            member_id: None,
            cluster_id: None,
            is_leader: None,
            is_learner: None,
            has_grpc: None,
            has_gateway: None,
            has_v2: None,
            has_auth: None,
            keeps_lease_time: None,
            findings: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, problem: Problem, what: impl AsRef<str>, advice: impl AsRef<str>) {
        self.findings.push(Finding::new(problem, what, advice));
    }

    /// What is known, in a few words each.
    fn facts(&self) -> Vec<String> {
        let mut facts = Vec::new();
        facts.extend(self.version.as_ref().map(|it| format!("etcd {it}")));
        let said = [
            (self.has_grpc, "gRPC"),
            (self.has_gateway, "gateway"),
            (self.has_v2, "v2"),
            (self.has_auth, "authentication"),
            (self.is_leader, "leader"),
            (self.is_learner, "learner"),
            (self.keeps_lease_time, "leases keep time"),
        ];
        let yes = said.iter().filter(|(is_so, _)| *is_so == Some(true));
        facts.extend(yes.map(|(_, what)| (*what).to_owned()));
        let ids = [(self.member_id, "member"), (self.cluster_id, "cluster")];
        let known = ids.iter().filter_map(|(id, whose)| Some((whose, (*id)?)));
        facts.extend(known.map(|(whose, id)| format!("{whose} {id:x}")));
        facts
    }
}

/// A line with what is known, and below it what was found and what to do.
impl fmt::Display for EndpointReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = self.facts();
        let facts = if facts.is_empty() {
            "cannot be used".to_owned()
        } else {
            facts.join(", ")
        };
        write!(f, "{}: {facts}", self.endpoint)?;
        for finding in &self.findings {
            let indented = finding.to_string().replace('\n', "\n  ");
            write!(f, "\n  {indented}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_short_text() {
        let endpoint: Endpoint = "http://h:2379".parse().unwrap();
        let mut good = EndpointReport::new(endpoint.clone());
        good.version = Some("3.5.16".to_owned());
        (good.has_grpc, good.has_v2) = (Some(true), Some(false));
        good.cluster_id = Some(0xcdf8);
        let mut report = Report::new();
        report.endpoints.push(good);
        let text = "http://h:2379: etcd 3.5.16, gRPC, cluster cdf8\nno problem was found";
        assert_eq!(report.to_string(), text);

        let mut bad = EndpointReport::new(endpoint);
        bad.add(Problem::Silent, "no response", "see its log");
        report.endpoints = vec![bad];
        report.findings.push(Finding::new(
            Problem::UnusedAddress,
            "http://10.0.0.1 is not used",
            "allow it",
        ));
        assert_eq!(
            report.to_string(),
            "http://h:2379: cannot be used\n  error: no response\n    to do: see its log\n\
             note: http://10.0.0.1 is not used\n  to do: allow it\n\
             2 findings, the most serious: error"
        );
        assert_eq!(report.problems(), [Problem::Silent, Problem::UnusedAddress]);
    }
}
