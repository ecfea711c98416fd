//! Three well-known bugs, each found by `Explore` in a second, and the code without the bug, in which it finds none.
//!
//! ```text
//! cargo run --example explore --features fake
//! cargo test --example explore --features fake
//! ```

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use etcd_http::{
    Client, Error, Outcome, Result,
    fake::{
        Explore, FakeEtcd,
        explore::{Explored, Failure},
    },
    transport::Transport,
    v3::{Compare, Lock, Put, Txn, Watch},
};
use futures::{
    StreamExt,
    future::{join, select},
    pin_mut,
};

const COUNTER: &str = "counter";
const SETTING: &str = "setting";
const TTL: Duration = Duration::from_secs(5);

/// How the code under test is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Naive,
    Correct,
}

/// What the workers of a test say that they have done to the counter.
#[derive(Debug, Default)]
struct Increments {
    /// Certain ones.
    done: Cell<i64>,
    /// Those whose response was lost: maybe done.
    unknown: Cell<i64>,
}

impl Increments {
    /// Counts an increment by what its write returned.
    fn count(&self, written: &Result<bool>) {
        match written {
            Ok(true) => self.done.set(self.done.get() + 1),
            Err(error) if error.outcome() == Outcome::Unknown => {
                self.unknown.set(self.unknown.get() + 1);
            }
            Ok(false) | Err(_) => {}
        }
    }

    /// No increment may be lost, and none may be made up.
    fn check(&self, etcd: &FakeEtcd) -> Result<(), String> {
        let stored = etcd.get(COUNTER).map_or(0, |kv| number(&kv.value));
        let (done, unknown) = (self.done.get(), self.unknown.get());
        if (done..=done + unknown).contains(&stored) {
            return Ok(());
        }
        Err(format!(
            "an update was lost: the counter is {stored} after {done} increments ({unknown} more may be in)"
        ))
    }
}

fn number(value: &[u8]) -> i64 {
    std::str::from_utf8(value).map_or(0, |text| text.parse().unwrap_or(0))
}

fn client(etcd: &FakeEtcd) -> Client<FakeEtcd> {
    Client::new(etcd.clone(), etcd.endpoints()).expect("the fake's own URLs")
}

/// Reads the counter, and writes one more. The correct version writes only if there was no other write since.
async fn increment(client: &Client<FakeEtcd>, version: Version) -> Result<bool> {
    let found = client.v3().kv().get(COUNTER).await?;
    let (value, revision) = found.map_or((0, 0), |kv| (number(&kv.value), kv.mod_revision));
    let write = Txn::new().then(Put::new(COUNTER, (value + 1).to_string()));
    let write = match version {
        Version::Naive => write,
        Version::Correct => write.when(Compare::mod_revision(COUNTER).equal(revision)),
    };
    Ok(client.send(write).await?.succeeded)
}

/// Two workers increment the counter, three times each.
async fn read_modify_write(etcd: FakeEtcd, version: Version) -> Result<(), String> {
    let increments = Increments::default();
    let work = async || {
        let client = client(&etcd);
        for _ in 0..3 {
            increments.count(&increment(&client, version).await);
        }
    };
    join(work(), work()).await;
    increments.check(&etcd)
}

/// Increments the counter under a lock. The naive version believes that it has the lock until it unlocks. The correct one
/// knows that the lease may be over, and writes only if the key of the lock is still there.
async fn increment_locked(client: &Client<FakeEtcd>, version: Version) -> Result<bool> {
    let v3 = client.v3();
    let lease = v3.leases().grant(TTL).await?.id;
    let lock = Lock::new("lock", lease).time_limit(Duration::from_secs(60));
    let held = client.send(lock).await?;
    let found = v3.kv().get(COUNTER).await?;
    let value = found.map_or(0, |kv| number(&kv.value));
    let write = Txn::new().then(Put::new(COUNTER, (value + 1).to_string()));
    let write = match version {
        Version::Naive => write,
        Version::Correct => write.when(Compare::exists(&held.key)),
    };
    let written = client.send(write).await;
    // If this fails, the lease ends by itself.
    let _: Result<_, Error> = v3.leases().revoke(lease).await;
    Ok(written?.succeeded)
}

/// Two workers increment the counter under a lock.
async fn lock(etcd: FakeEtcd, version: Version) -> Result<(), String> {
    let increments = Increments::default();
    let work = async || {
        let client = client(&etcd);
        for _ in 0..2 {
            increments.count(&increment_locked(&client, version).await);
        }
    };
    join(work(), work()).await;
    increments.check(&etcd)
}

/// Keeps `seen` equal to the setting. The naive version reads it and watches "from now on". The correct one watches what
/// comes after the revision of the read.
async fn follow(client: &Client<FakeEtcd>, version: Version, seen: &Cell<i64>) {
    loop {
        let Ok(now) = client.v3().kv().range(SETTING).await else {
            client.transport().sleep(Duration::from_secs(1)).await;
            continue;
        };
        for kv in &now.kvs {
            seen.set(number(&kv.value));
        }
        let watch = match version {
            Version::Naive => Watch::new(SETTING),
            Version::Correct => Watch::new(SETTING).after_revision(now.header.revision),
        };
        let mut changes = client.open(watch);
        while let Some(Ok(changes)) = changes.next().await {
            for event in &changes.events {
                seen.set(number(&event.kv.value));
            }
        }
        // The watch is over, as after a compaction: read again.
    }
}

/// A setting changes while it is followed. A minute later, everybody knows the last value.
async fn watch(etcd: FakeEtcd, version: Version) -> Result<(), String> {
    let seen = Cell::new(0);
    let (follower, operator) = (client(&etcd), client(&etcd));
    let operate = async {
        for value in 1..=3 {
            // A change that fails is none. The check is on what etcd has.
            let _: Result<_, Error> = operator.v3().kv().put(SETTING, value.to_string()).await;
            etcd.sleep(Duration::from_millis(10)).await;
        }
        etcd.sleep(Duration::from_secs(60)).await;
    };
    let following = follow(&follower, version, &seen);
    pin_mut!(following, operate);
    select(following, operate).await;
    let stored = etcd.get(SETTING).map_or(0, |kv| number(&kv.value));
    if seen.get() == stored {
        return Ok(());
    }
    Err(format!(
        "a change was missed: the setting is {stored}, and the follower still has {}",
        seen.get()
    ))
}

/// Which code is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    ReadModifyWrite,
    Lock,
    Watch,
}

impl Subject {
    const ALL: [Self; 3] = [Self::ReadModifyWrite, Self::Lock, Self::Watch];

    fn explore(self, version: Version, explore: &Explore) -> Result<Explored, Failure> {
        explore.run(async |etcd| match self {
            Self::ReadModifyWrite => read_modify_write(etcd, version).await,
            Self::Lock => lock(etcd, version).await,
            Self::Watch => watch(etcd, version).await,
        })
    }
}

fn main() {
    let explore = Explore::new().runs(500);
    for subject in Subject::ALL {
        for version in [Version::Naive, Version::Correct] {
            let began = Instant::now();
            let found = subject.explore(version, &explore);
            println!("{subject:?}, {version:?}, in {:?}:", began.elapsed());
            match found {
                Ok(explored) => println!("{explored}\n"),
                Err(failure) => println!("{failure}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bug has a name, one or two faults are enough to show it, and the seed shows it again.
    #[test]
    fn each_bug_is_found_in_five_seconds() {
        let bugs = [
            "an update was lost",
            "an update was lost",
            "a change was missed",
        ];
        for (subject, bug) in Subject::ALL.into_iter().zip(bugs) {
            let began = Instant::now();
            let explore = Explore::new().runs(500);
            let failure = subject.explore(Version::Naive, &explore).unwrap_err();
            assert!(
                began.elapsed() < Duration::from_secs(5),
                "{subject:?}: {:?}",
                began.elapsed()
            );
            assert!(failure.cause().to_string().contains(bug), "{failure}");
            assert!((1..=2).contains(&failure.faults().len()), "{failure}");

            let again = Explore::new().runs(1).seed(failure.seed());
            let again = subject.explore(Version::Naive, &again).unwrap_err();
            assert_eq!(again, failure);
        }
    }

    #[test]
    fn nothing_is_found_in_the_correct_versions() {
        for subject in Subject::ALL {
            let explore = Explore::new().runs(500);
            let explored = subject.explore(Version::Correct, &explore).unwrap();
            assert_eq!(explored.runs, 500);
            assert!(explored.faults > 500, "{subject:?}: {explored}");
        }
    }
}
