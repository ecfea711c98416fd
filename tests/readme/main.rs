//! Compiles and runs the README's programs: each is a file of `snippets/`.

use std::{fs, path::Path, time::Duration};

use futures::future::join;

/// The etcd for a snippet.
struct Etcd {
    client: etcd_http::Client,
    /// None for an etcd in memory.
    _server: Option<etcd_http::server::Server>,
}

/// An etcd in memory, and a real one.
fn etcds() -> [Etcd; 2] {
    let fake = etcd_http::fake::FakeEtcd::new();
    let urls = fake.endpoints();
    let in_memory = etcd_http::Client::new(fake, urls).unwrap();
    let server = etcd_http::server::start().unwrap();
    let transport = etcd_http::reqwest::ReqwestTransport::default();
    let real = etcd_http::Client::new(transport, [server.client_url()]).unwrap();
    [
        (in_memory.into_dyn(), None),
        (real.into_dyn(), Some(server)),
    ]
    .map(|(client, _server)| Etcd { client, _server })
}

mod first_program {
    include!("snippets/first_program.rs");

    #[test]
    fn its_only_endpoint_is_the_usual_one() {
        // No test may listen on a fixed port: it is only compiled.
        let _: fn() -> Result<(), etcd_http::Error> = main;
    }
}

mod transaction {
    include!("snippets/transaction.rs");

    #[tokio::test]
    async fn a_job_is_claimed_once() {
        for etcd in super::etcds() {
            assert!(claim(&etcd.client, "jobs/1").await.unwrap());
            assert!(!claim(&etcd.client, "jobs/1").await.unwrap());
        }
    }
}

mod watch {
    include!("snippets/watch.rs");

    #[tokio::test]
    async fn it_ends_with_the_first_job_that_is_deleted() {
        for etcd in super::etcds() {
            let kv = etcd.client.v3().kv();
            let work = async {
                // Until the watch has seen one, a delete may come before it begins.
                for job in 0.. {
                    let key = format!("jobs/{job}");
                    kv.put(&*key, "").await.unwrap();
                    kv.delete(&*key).await.unwrap();
                    tokio::time::sleep(super::Duration::from_millis(50)).await;
                }
            };
            tokio::select! {
                followed = follow(&etcd.client) => followed.unwrap(),
                () = work => {}
            }
        }
    }
}

mod leases_and_locks {
    include!("snippets/leases_and_locks.rs");

    #[tokio::test]
    async fn two_take_turns() {
        for etcd in super::etcds() {
            let (first, second) = super::join(guarded(&etcd.client), guarded(&etcd.client)).await;
            first.and(second).unwrap();
        }
    }
}

mod held_lock {
    include!("snippets/held_lock.rs");

    #[tokio::test]
    async fn a_report_is_made_by_one_at_a_time_and_only_while_the_lock_is_held() {
        for etcd in super::etcds() {
            let work = || tokio::time::sleep(super::Duration::from_millis(100));
            let (first, second) =
                super::join(report(&etcd.client, work()), report(&etcd.client, work())).await;
            assert!(first.unwrap() && second.unwrap());
            let saved = etcd.client.v3().kv().get("report").await.unwrap();
            assert_eq!(saved.unwrap().version, 2);
        }
    }
}

mod election {
    include!("snippets/election.rs");

    #[tokio::test]
    async fn two_lead_one_after_the_other() {
        for etcd in super::etcds() {
            let (first, second) =
                super::join(lead(&etcd.client, "1"), lead(&etcd.client, "2")).await;
            assert!(first.unwrap() && second.unwrap());
            let plan = etcd.client.v3().kv().get("plan").await.unwrap();
            assert_eq!(plan.unwrap().version, 2);
        }
    }
}

mod recipes {
    include!("snippets/recipes.rs");

    #[tokio::test]
    async fn a_leader_is_elected_and_resigns() {
        for etcd in super::etcds() {
            lead(&etcd.client).await.unwrap();
            let leader = etcd.client.v3().elections().get_leader("scheduler");
            assert_eq!(leader.await.unwrap(), None);
        }
    }
}

mod errors {
    include!("snippets/errors.rs");

    #[tokio::test]
    async fn a_report_is_saved() {
        for etcd in super::etcds() {
            save(&etcd.client, "done").await.unwrap();
            let saved = etcd.client.v3().kv().get("report").await.unwrap();
            assert_eq!(saved.unwrap().value, "done");
        }
    }
}

mod fake {
    include!("snippets/fake.rs");
}

mod explore {
    include!("snippets/explore.rs");
}

mod cluster {
    include!("snippets/cluster.rs");
}

mod v2 {
    include!("snippets/v2.rs");

    #[tokio::test]
    async fn it_runs() {
        for etcd in super::etcds() {
            colors(&etcd.client).await.unwrap();
        }
    }
}

mod settings {
    include!("snippets/settings.rs");

    #[test]
    fn they_make_a_client() {
        let etcd = etcd_http::fake::FakeEtcd::new();
        assert_eq!(connect(etcd).unwrap().endpoints().len(), 2);
    }
}

mod transport {
    include!("snippets/transport.rs");

    #[tokio::test]
    async fn requests_are_counted() {
        let etcd = etcd_http::fake::FakeEtcd::new();
        let counted = Counted {
            requests: AtomicU64::new(0),
            inner: etcd.clone(),
        };
        let client = etcd_http::Client::new(counted, etcd.endpoints()).unwrap();
        client.v2().set("/a", "1").await.unwrap();
        let counted = client.transport();
        assert_eq!(counted.requests.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn every_program_of_the_readme_is_a_snippet_that_is_compiled() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let mut snippets: Vec<_> = fs::read_dir(root.join("tests/readme/snippets"))
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let mut programs: Vec<_> = readme
        .split("```rust\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect();
    snippets.sort();
    programs.sort();
    assert_eq!(programs, snippets);
    for line in programs.iter().flat_map(|program| program.lines()) {
        assert!(line.len() <= 76, "needs a scroll bar: {line}");
    }
}
