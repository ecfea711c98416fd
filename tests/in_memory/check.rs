//! What a check finds on the fake, of either release.

use etcd_http::{
    Client,
    check::{Problem, Report, Severity},
    fake::{FakeEtcd, FakeEtcdBuilder, Fault, Profile, When},
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
