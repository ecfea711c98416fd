//! A cluster whose members are killed or paused, and the client's use of the others.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Error, EtcdErrorKind, Outcome, RetryPolicy,
    server::{Cluster, Server},
    transport::Transport,
    v3::{Campaign, KeyRange, ListMembers, Lock, Range},
};
use futures::join;
use harness::{case::Etcd, cases, stall_monitor::StallMonitor};

cases! {
    Nothing {
        v3_127_without_a_majority_writes_fail,
        v3_128_without_its_leader_a_follower_refuses_until_there_is_another,
        v3_129_a_paused_member_never_answers,
        a_wait_for_a_lock_at_a_paused_member_is_given_up_as_unknown,
        a_wait_for_a_lock_goes_on_while_its_member_is_paused_and_others_are_before_it,
        a_candidate_at_a_paused_member_learns_that_its_turn_has_come,
        v3_130_a_write_that_timed_out_is_applied_later,
    }
}

// Over gRPC as well.
harness::stamp!(
    reqwest_grpc,
    harness::backend::Grpc<harness::real::Real<etcd_http::reqwest::ReqwestTransport, harness::real::Tokio>>:
        Nothing {
            a_wait_for_a_lock_at_a_paused_member_is_given_up_as_unknown,
            a_wait_for_a_lock_goes_on_while_its_member_is_paused_and_others_are_before_it,
            a_candidate_at_a_paused_member_learns_that_its_turn_has_come,
        }
);

/// A client of one member, with one attempt and a long time limit.
fn once<T: Transport>(etcd: &Etcd<T>, member: &Server) -> Client<T> {
    let builder = etcd.builder_of(member.client_url());
    let builder = builder.timeout(Duration::from_secs(30));
    builder.retry(RetryPolicy::never()).build().unwrap()
}

/// Pauses all members but this one.
fn isolate(cluster: &Cluster, member: usize) {
    for other in others(cluster, member) {
        other.pause().unwrap();
    }
}

fn rejoin(cluster: &Cluster, member: usize) {
    for other in others(cluster, member) {
        other.resume().unwrap();
    }
}

fn others(cluster: &Cluster, member: usize) -> impl Iterator<Item = &Server> {
    let members = cluster.members().iter().enumerate();
    members
        .filter(move |(number, _)| *number != member)
        .map(|(_, member)| member)
}

/// Checks that etcd timed out after this many seconds, stalls of the machine aside, and that the outcome is unknown.
#[track_caller]
fn timed_out<O: std::fmt::Debug>((result, took): (Result<O, Error>, Took), seconds: u64) {
    let error = result.unwrap_err();
    let kind = error.etcd_kind();
    assert_eq!(kind, Some(EtcdErrorKind::RequestTimedOut), "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    let expected = Duration::from_secs(seconds);
    let margin = Duration::from_secs(1)..Duration::from_secs(10);
    assert!(
        took.whole + margin.start >= expected && took.without_stalls < expected + margin.end,
        "{error} after {took:?}"
    );
}

/// How long something took.
#[derive(Debug)]
struct Took {
    whole: Duration,
    /// Without the stalls of the machine.
    without_stalls: Duration,
}

async fn timed<O>(work: impl Future<Output = O>) -> (O, Took) {
    let machine = StallMonitor::start();
    let began = Instant::now();
    let result = work.await;
    let whole = began.elapsed();
    let without_stalls = machine.elapsed(began);
    (
        result,
        Took {
            whole,
            without_stalls,
        },
    )
}

/// Waits until one waits for what another has.
async fn until_queued<T: Transport>(etcd: &Etcd<T>, client: &Client<T>, prefix: &str) {
    let kv = client.v3().kv();
    etcd.until(async || kv.count(KeyRange::prefix(prefix)).await.unwrap() == 2)
        .await;
}

async fn v3_127_without_a_majority_writes_fail<T: Transport>(etcd: Etcd<T>) {
    let cluster = Cluster::start(3).unwrap();
    let is_3_5 = !cluster.member(0).version().to_string().starts_with("3.4.");
    let leader = cluster.leader().unwrap();
    let client = once(&etcd, cluster.member(leader));
    let (v3, impatient) = (client.v3(), client.with_timeout(Duration::from_secs(8)));
    let (kv, maintenance) = (v3.kv(), v3.maintenance());
    kv.put("a", "1").await.unwrap();
    isolate(&cluster, leader);
    let own = async {
        // A member serves what it knows by itself.
        let stale = client.send(Range::new("a").serializable(true)).await;
        assert_eq!(stale.unwrap().first().unwrap().value, "1");
        let status = maintenance.get_status().await.unwrap();
        assert!(status.db_size > 0);
        client.send(ListMembers::new()).await.unwrap();
    };
    let late = async {
        etcd.until(async || {
            let status = maintenance.get_status().await.unwrap();
            // It no longer considers itself the leader.
            status.leader == 0
        })
        .await;
        timed(kv.put("a", "3")).await
    };
    // After the read, which would have to wait for it otherwise.
    let members = async {
        etcd.sleep(500).await;
        let members = ListMembers::new().linearizable(true);
        impatient.send(members).await
    };
    let (put, get, members, late, ()) = join!(
        timed(kv.put("a", "2")),
        timed(kv.get("a")),
        members,
        late,
        own
    );
    timed_out(put, 7);
    timed_out(get, 7);
    if is_3_5 {
        // Two rounds of seven seconds: the client has timed out by then.
        let error = members.unwrap_err();
        assert!(matches!(error, Error::Timeout(_)), "{error}");
    } else {
        assert_eq!(members.unwrap().members.len(), 3);
    }
    let said = late.0.as_ref().unwrap_err().as_etcd().unwrap();
    let said = (
        said.http_status().unwrap().as_u16(),
        said.code().map(|code| code.number()),
        said.message(),
    );
    let expected = if is_3_5 {
        (504, Some(4))
    } else {
        (500, Some(2))
    };
    let expected = (expected.0, expected.1, "context deadline exceeded");
    assert_eq!(said, expected);
    timed_out(late, 7);
    rejoin(&cluster, leader);
}

async fn v3_128_without_its_leader_a_follower_refuses_until_there_is_another<T: Transport>(
    etcd: Etcd<T>,
) {
    // The requests are under way before there is another leader.
    let builder = Server::builder().election_timeout(Duration::from_secs(3));
    let cluster = builder.start_cluster(3).unwrap();
    let leader = cluster.leader().unwrap();
    let [first, second] = [1, 2].map(|more| cluster.member((leader + more) % 3));
    let client = once(&etcd, first);
    let v3 = client.v3();
    let kv = v3.kv();
    kv.put("a", "1").await.unwrap();
    let statuses = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&statuses);
    let patient = etcd.builder_of(second.client_url());
    let patient = patient.observe(move |attempt| seen.lock().unwrap().push(attempt.status));
    let patient = patient.build().unwrap();
    cluster.member(leader).pause().unwrap();
    let (put, (get, took), again) = join!(
        timed(kv.put("a", "2")),
        timed(kv.get("a")),
        patient.send(Range::new("a")),
    );
    // Five seconds and the time of two elections.
    timed_out(put, 11);
    let error = get.unwrap_err();
    let kind = error.etcd_kind();
    assert_eq!(kind, Some(EtcdErrorKind::LeaderChanged), "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(took.without_stalls < Duration::from_secs(14), "{took:?}");
    // A read is safe to retry.
    assert_eq!(again.unwrap().first().unwrap().create_revision, 2);
    let statuses = statuses.lock().unwrap().clone();
    let statuses: Vec<_> = statuses.iter().map(|it| it.unwrap().as_u16()).collect();
    let (last, before) = statuses.split_last().unwrap();
    assert_eq!(*last, 200);
    assert!(!before.is_empty() && before.iter().all(|it| *it == 503));
    cluster.member(leader).resume().unwrap();
    // A write is not, and was applied at most once.
    let found = kv.get("a").await.unwrap().unwrap();
    assert!(found.version <= 2, "{found:?}");
}

async fn v3_129_a_paused_member_never_answers<T: Transport>(etcd: Etcd<T>) {
    let cluster = Cluster::start(3).unwrap();
    let leader = cluster.leader().unwrap();
    let (first, paused) = (cluster.member(leader), cluster.member((leader + 1) % 3));
    let second = Duration::from_secs(1);
    let patient = once(&etcd, paused);
    patient.v3().kv().put("a", "1").await.unwrap();
    let alone = patient.with_timeout(second);
    paused.pause().unwrap();
    for result in [
        alone.v3().kv().get("a").await.map(drop),
        alone.v3().kv().put("a", "2").await.map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Timeout(_)), "{error:?}");
        assert_eq!(error.outcome(), Outcome::Unknown);
    }
    // If there is another member, it responds.
    let both = etcd.builder_of(paused.client_url());
    let both = both.endpoints([first.client_url()]).timeout(3 * second);
    let both = both.build().unwrap();
    let (found, took) = timed(async { both.v3().kv().get("a").await }).await;
    assert!(found.unwrap().is_some());
    assert!(took.without_stalls < 10 * second, "{took:?}");
    // And it is tried first from now on.
    both.v3().kv().put("b", "1").await.unwrap();
    paused.resume().unwrap();
}

async fn v3_130_a_write_that_timed_out_is_applied_later<T: Transport>(etcd: Etcd<T>) {
    // There is no election while the others are away.
    let builder = Server::builder().election_timeout(Duration::from_secs(3));
    let cluster = builder.start_cluster(3).unwrap();
    let leader = cluster.leader().unwrap();
    let client = etcd.client_of(cluster.member(leader).client_url());
    let (v3, key) = (client.v3(), "a");
    v3.kv().put(key, "1").await.unwrap();
    isolate(&cluster, leader);
    let impatient = client.with_timeout(Duration::from_secs(1));
    let error = impatient.v3().kv().put(key, "2").await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    rejoin(&cluster, leader);
    loop {
        let found = v3.kv().get(key).await.ok().flatten();
        if let Some(found) = found.filter(|found| found.value == "2") {
            // Once: the client has not sent it again.
            assert_eq!(found.version, 2);
            return;
        }
        etcd.sleep(100).await;
    }
}

async fn a_wait_for_a_lock_at_a_paused_member_is_given_up_as_unknown<T: Transport>(etcd: Etcd<T>) {
    let cluster = Cluster::start(3).unwrap();
    let leader = cluster.leader().unwrap();
    let paused = cluster.member((leader + 1) % 3);
    let holder = once(&etcd, cluster.member(leader));
    let leases = holder.v3();
    let minute = Duration::from_secs(60);
    let held = leases.leases().grant(minute).await.unwrap();
    let waiting = leases.leases().grant(minute).await.unwrap();
    holder.v3().lock("l", held.id).await.unwrap();
    let second = Duration::from_secs(1);
    let waiter = once(&etcd, paused).with_timeout(second * 2);
    let lock = Lock::new("l", waiting.id).silence_limit(second);
    let pause = async {
        until_queued(&etcd, &holder, "l").await;
        paused.pause().unwrap();
    };
    let (wait, ()) = join!(timed(waiter.send(lock)), pause);
    let (result, took) = wait;
    paused.resume().unwrap();
    let error = result.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert!(took.without_stalls < second * 30, "{took:?}");
}

async fn a_wait_for_a_lock_goes_on_while_its_member_is_paused_and_others_are_before_it<
    T: Transport,
>(
    etcd: Etcd<T>,
) {
    let cluster = Cluster::start(3).unwrap();
    let leader = cluster.leader().unwrap();
    let paused = cluster.member((leader + 1) % 3);
    let holder = once(&etcd, cluster.member(leader));
    let minute = Duration::from_secs(60);
    let held = holder.v3().leases().grant(minute).await.unwrap();
    let waiting = holder.v3().leases().grant(minute).await.unwrap();
    let lock = holder.v3().lock("l", held.id).await.unwrap();
    let second = Duration::from_secs(1);
    let waiter = etcd.builder_of(paused.client_url());
    let waiter = waiter.endpoints([cluster.member(leader).client_url()]);
    let waiter = waiter.timeout(second * 2).build().unwrap();
    let pause = async {
        until_queued(&etcd, &holder, "l").await;
        etcd.sleep(1_500).await;
        paused.pause().unwrap();
        // It is given up after three seconds, and asked for elsewhere.
        etcd.sleep(7_000).await;
        paused.resume().unwrap();
        etcd.sleep(1_000).await;
        holder.v3().unlock(lock.key).await.unwrap();
    };
    let wait = waiter.send(Lock::new("l", waiting.id).silence_limit(second));
    let (lock, ()) = join!(timed(wait), pause);
    let (lock, took) = lock;
    let lock = lock.unwrap();
    assert!(took.whole > second * 9, "{took:?}");
    assert!(took.without_stalls < second * 30, "{took:?}");
    // It is not deleted afterwards.
    etcd.sleep(1_500).await;
    assert!(holder.v3().kv().get(lock.key).await.unwrap().is_some());
}

async fn a_candidate_at_a_paused_member_learns_that_its_turn_has_come<T: Transport>(etcd: Etcd<T>) {
    let cluster = Cluster::start(3).unwrap();
    let leader = cluster.leader().unwrap();
    let paused = cluster.member((leader + 1) % 3);
    let leads = once(&etcd, cluster.member(leader));
    let minute = Duration::from_secs(60);
    let first = leads.v3().leases().grant(minute).await.unwrap();
    let second = leads.v3().leases().grant(minute).await.unwrap();
    let elected = leads
        .v3()
        .elections()
        .campaign("e", first.id, "1")
        .await
        .unwrap();
    let candidate = etcd.builder_of(paused.client_url());
    let candidate = candidate.endpoints([cluster.member(leader).client_url()]);
    let limit = Duration::from_secs(1);
    let candidate = candidate.timeout(limit * 2).build().unwrap();
    let resign = async {
        until_queued(&etcd, &leads, "e").await;
        etcd.sleep(1_500).await;
        paused.pause().unwrap();
        etcd.sleep(4_000).await;
        leads.v3().elections().resign(elected.leader).await.unwrap();
    };
    let wait = candidate.send(Campaign::new("e", second.id, "2").silence_limit(limit));
    let (wait, ()) = join!(timed(wait), resign);
    let (result, took) = wait;
    paused.resume().unwrap();
    let error = result.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert!(error.to_string().contains("its turn has come"), "{error}");
    assert!(took.whole > limit * 5, "{took:?}");
    assert!(took.without_stalls < limit * 30, "{took:?}");
}
