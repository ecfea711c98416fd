//! What a check finds on the fake, of either release.

use std::time::{Duration, Instant};

use etcd_http::{
    Client,
    check::{CheckOptions, Problem, Report, Severity},
    fake::{FakeEtcd, FakeEtcdBuilder, Fault, Profile, When},
    transport::{Request, Response, Transport, TransportError, async_trait},
};

use crate::support::{block_on, jumping, seconds};

fn checked(etcd: &FakeEtcd) -> Report {
    let client = Client::new(etcd.clone(), etcd.endpoints()).unwrap();
    block_on(client.check())
}

/// A fake of each release with these settings.
fn each(settings: impl Fn(FakeEtcdBuilder) -> FakeEtcdBuilder) -> impl Iterator<Item = FakeEtcd> {
    let profiles = [Profile::V3_4, Profile::V3_5].into_iter();
    profiles.map(move |profile| settings(jumping().profile(profile)).build())
}

#[test]
fn where_all_is_well_nothing_is_found_and_the_facts_are_told() {
    for etcd in each(|it| it.members(3)) {
        let report = checked(&etcd);
        assert_eq!(report.problems(), [], "{report}");
        assert_eq!((report.endpoints.len(), report.severity()), (3, None));
        let leaders = report
            .endpoints
            .iter()
            .filter(|it| it.is_leader == Some(true));
        assert_eq!(leaders.count(), 1);
        for endpoint in &report.endpoints {
            let apis = [endpoint.has_grpc, endpoint.has_gateway, endpoint.has_v2];
            assert_eq!(apis, [Some(true); 3]);
            assert_eq!(endpoint.has_auth, Some(false));
            assert_eq!(endpoint.cluster_id, report.endpoints[0].cluster_id);
        }
        assert!(
            report.to_string().ends_with("\nno problem was found"),
            "{report}"
        );
        // It only reads, and leaves nothing open.
        assert_eq!(etcd.get("etcd-http/check"), None);
        assert_eq!(etcd.open_exchanges(), 0);
    }
}

#[test]
fn what_a_member_cannot_do_is_found() {
    for etcd in each(|it| it.v2(false)) {
        let report = checked(&etcd);
        assert_eq!(report.problems(), [Problem::NoV2]);
        assert_eq!(report.severity(), Some(Severity::Note));
    }
    for etcd in each(|it| {
        it.member("voter", "http://127.0.0.1:2379")
            .learner("learner", "http://127.0.0.1:12379")
    }) {
        let report = checked(&etcd);
        assert_eq!(report.problems(), [Problem::Learner], "{report}");
        assert_eq!(report.endpoints[1].is_learner, Some(true));
    }
    for etcd in each(|it| it) {
        etcd.exhaust_space();
        let report = checked(&etcd);
        assert_eq!(report.problems(), [Problem::Unhealthy]);
        assert!(report.to_string().contains("NOSPACE"), "{report}");
    }
    type Trouble = fn(&FakeEtcd);
    let troubles: [(Trouble, Problem); 2] = [
        (FakeEtcd::lose_quorum, Problem::Unhealthy),
        (FakeEtcd::begin_election, Problem::NoLeader),
    ];
    for (trouble, problem) in troubles {
        for etcd in each(|it| it.members(3)) {
            trouble(&etcd);
            let report = checked(&etcd);
            assert_eq!(report.problems(), [problem; 3], "{report}");
        }
    }
}

#[test]
fn credentials_are_tried() {
    for etcd in each(|it| it) {
        let with = |password: Option<&str>| {
            let client = Client::builder(etcd.clone()).endpoints(etcd.endpoints());
            let client = match password {
                Some(password) => client
                    .v3_auth("root", password)
                    .basic_auth("root", password),
                None => client,
            };
            let report = block_on(client.build().unwrap().check());
            report.problems()
        };
        assert_eq!(with(Some("r")), [Problem::AuthDisabled]);
        let admin = Client::new(etcd.clone(), etcd.endpoints()).unwrap();
        block_on(async {
            let (v2, v3) = (admin.v2(), admin.v3().auth());
            v2.add_user("root", "r").await.unwrap();
            v2.enable_auth().await.unwrap();
            v3.add_user("root", "r").await.unwrap();
            v3.add_role("root").await.unwrap();
            v3.grant_role("root", "root").await.unwrap();
            v3.enable().await.unwrap();
        });
        // Guests may read by v2, until their role is changed.
        assert_eq!(with(None), [Problem::AuthRequired]);
        assert_eq!(with(Some("r")), []);
        let both = [Problem::BadCredentials; 2];
        assert_eq!(with(Some("wrong")), both);
    }
}

#[test]
fn an_endpoint_that_fails_is_named_and_the_others_are_examined() {
    for (fault, problem) in [
        (Fault::refuse(), Problem::Unreachable),
        (Fault::break_before(), Problem::Broken),
        (Fault::delay_response(seconds(60)), Problem::Silent),
    ] {
        for etcd in each(|it| it.members(2)) {
            etcd.inject(When::any().endpoint(1), fault.clone());
            let report = checked(&etcd);
            assert_eq!(report.endpoints[0].findings, [], "{report}");
            let found = &report.endpoints[1].findings;
            assert_eq!(found.len(), 1, "{report}");
            assert_eq!(
                (found[0].problem, report.endpoints[1].version.as_deref()),
                (problem, None)
            );
            assert!(report.to_string().contains("cannot be used"), "{report}");
        }
    }
}

/// A machine whose clock runs at another rate than that of the fake's members.
#[derive(Debug)]
struct OtherClock {
    etcd: FakeEtcd,
    start: Instant,
    /// How far the members' clock moves in a second of this one.
    rate: f64,
}

#[async_trait]
impl Transport for OtherClock {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.etcd.send(request).await
    }

    async fn sleep(&self, duration: Duration) {
        self.etcd.sleep(duration.mul_f64(self.rate)).await;
    }

    fn now(&self) -> Instant {
        self.start + (self.etcd.now() - self.start).div_f64(self.rate)
    }
}

fn with_lease_clock<T: Transport>(transport: T, etcd: &FakeEtcd) -> Report {
    let client = Client::new(transport, etcd.endpoints()).unwrap();
    let options = CheckOptions::new().lease_clock(true);
    block_on(client.check_with(&options))
}

#[test]
fn leases_by_another_clock_than_this_machines_are_found() {
    for (rate, age) in [
        (1.0, None),
        (0.9, None),
        (1.1, None),
        (0.001, Some("0 to 1 s old")),
        (0.5, Some("1 to 2 s old")),
        (2.1, Some("5 to 6 s old")),
        (100.0, Some("of 10 s is over")),
    ] {
        for etcd in each(|it| it.members(3)) {
            let start = etcd.now();
            let clock = OtherClock {
                etcd: etcd.clone(),
                start,
                rate,
            };
            let report = with_lease_clock(clock, &etcd);
            let expected = age.map(|_| Problem::LeaseClock);
            assert_eq!(report.problems(), Vec::from_iter(expected), "{report}");
            let text = report.to_string();
            assert!(text.contains(age.unwrap_or("leases keep time")), "{text}");
            // Once for the cluster, and the lease is gone.
            let examined = report.endpoints.iter();
            let examined = examined.filter(|it| it.keeps_lease_time.is_some());
            assert_eq!(examined.count(), 1, "{report}");
            assert!(etcd.leases().is_empty());
        }
    }
}

#[test]
fn a_lease_is_measured_again_where_the_leader_changed_and_told_where_it_is_refused() {
    let is_read = || When::any().path("/etcdserverpb.Lease/LeaseTimeToLive");
    for etcd in each(|it| it.members(3)) {
        // The new leader renews the lease, which looks as if no time had passed.
        let elect = Fault::before(|etcd| etcd.endpoint(1).lead());
        etcd.inject(is_read().once(), elect);
        let report = with_lease_clock(etcd.clone(), &etcd);
        assert_eq!(report.problems(), [], "{report}");
        assert_eq!(etcd.count(&is_read()), 2);
        assert!(etcd.leases().is_empty());
    }
    for etcd in each(|it| it) {
        etcd.inject(is_read(), Fault::break_before());
        let report = with_lease_clock(etcd.clone(), &etcd);
        assert_eq!(report.problems(), [Problem::LeaseRefused], "{report}");
        assert!(etcd.leases().is_empty());
        // It only reads without being told otherwise.
        assert_eq!(checked(&etcd).problems(), []);
        assert_eq!(etcd.count(&is_read()), 1);
    }
}
