//! The etcd in memory, one for each case, as 3.4 or as 3.5. Its clock jumps when everything waits.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use etcd_http::Protocol;
use etcd_http_fake::{Clock, FakeEtcd, Fault, Profile, When};
use futures::executor::block_on;

use crate::backend::{Backend, Host, Start, World};

/// The fake as etcd 3.4 or 3.5.
#[derive(Debug)]
pub struct InMemory<const IS_3_4: bool>;

/// The fake as etcd 3.4.
pub type Fake34 = InMemory<true>;

/// The fake as etcd 3.5.
pub type Fake35 = InMemory<false>;

impl<const IS_3_4: bool> Backend for InMemory<IS_3_4> {
    type Transport = FakeEtcd;

    fn start(start: Start) -> World<FakeEtcd> {
        let profile = if IS_3_4 { Profile::V3_4 } else { Profile::V3_5 };
        world(start, profile)
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        block_on(future)
    }
}

fn world(start: Start, profile: Profile) -> World<FakeEtcd> {
    // Everything runs on one thread: whatever can run has run before the clock jumps.
    let clock = Clock::Auto {
        grace: Duration::ZERO,
    };
    let mut builder = FakeEtcd::builder().profile(profile).clock(clock);
    if let Start::Three = start {
        for member in 0..3 {
            let url = format!("http://127.0.0.1:{member}2379");
            builder = builder.member(&format!("etcd-{member}"), &url);
        }
    }
    let v2 = !matches!(start, Start::WithoutV2);
    let fake = builder.v2(v2).start_time(SystemTime::now()).build();
    if let Start::Nothing = start {
        fake.endpoint(0).stop();
    }
    let up = Mutex::new(vec![true; fake.endpoints().len()]);
    let host = Fake {
        fake: fake.clone(),
        profile,
        is_there: !matches!(start, Start::Nothing),
        up,
    };
    World {
        host: Arc::new(host),
        transport: Arc::new(move || fake.clone()),
        protocol: Protocol::Gateway,
    }
}

struct Fake {
    fake: FakeEtcd,
    profile: Profile,
    is_there: bool,
    /// Which members run.
    up: Mutex<Vec<bool>>,
}

impl Host for Fake {
    fn version(&self) -> String {
        self.profile.server_version().to_owned()
    }

    fn urls(&self) -> Vec<String> {
        if self.is_there {
            self.fake.endpoints()
        } else {
            vec!["http://127.0.0.1:1".to_owned()]
        }
    }

    fn time(&self) -> SystemTime {
        self.fake.system_time()
    }

    fn requests(&self) -> Vec<String> {
        self.fake.lines()
    }

    fn name(&self, member: usize) -> String {
        format!("etcd-{member}")
    }

    fn leader(&self) -> usize {
        let mut members = 0..self.fake.endpoints().len();
        let leader = members.find(|&member| self.fake.endpoint(member).is_leader());
        leader.expect("no leader")
    }

    /// The others elect a leader at once, or there is no quorum.
    fn kill(&self, member: usize) {
        let mut up = self.up.lock().unwrap();
        up[member] = false;
        let led = self.fake.endpoint(member).is_leader();
        self.fake.endpoint(member).stop();
        let left: Vec<_> = (0..up.len()).filter(|&member| up[member]).collect();
        if left.len() <= up.len() / 2 {
            self.fake.lose_quorum();
            self.fake.begin_election();
        } else if led {
            self.fake.endpoint(left[0]).lead();
        }
    }

    fn restart(&self) {
        self.fake.restart();
        self.fake.regain_quorum();
        self.fake.endpoint(0).start();
        self.fake.endpoint(0).lead();
    }

    /// It executes requests and sends no response.
    fn pause(&self) {
        self.fake.inject(When::any(), Fault::silence_after());
    }

    fn resume(&self) {
        self.fake.clear_faults();
    }

    fn is_slow(&self) -> bool {
        false
    }
}
