use std::{
    fmt,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use etcd_http_fake::{FakeEtcd, Profile};

use crate::{
    compare::{Translation, same_line, same_told},
    generate::Step,
    support::{Ask, Fake, Subject, Told, Watching, real::Real},
};

/// A real server and a fake with the same history.
pub(crate) struct Pair {
    real: Real,
    fake: Fake,
    etcd: FakeEtcd,
    began: Instant,
    translation: Translation,
    watches: Vec<Watch>,
}

struct Watch {
    ask: Ask,
    real: Box<dyn Watching>,
    fake: Box<dyn Watching>,
}

/// Where the two differ.
pub(crate) struct Divergence {
    ask: Ask,
    real: String,
    fake: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  {:?}\n  real: {}\n  fake: {}",
            self.ask, self.real, self.fake
        )
    }
}

impl Pair {
    pub(crate) fn start(binary: &Path) -> Self {
        let mut real = Real::start(binary);
        let profile = if real.is_3_4() {
            Profile::V3_4
        } else {
            Profile::V3_5
        };
        let etcd = FakeEtcd::builder()
            .profile(profile)
            .member("default", &real.client_url)
            .start_time(SystemTime::now())
            .log_capacity(0)
            .build();
        let mut fake = Fake(etcd.clone());
        let members = Ask::new("GET", "/v2/members");
        let translation = Translation::new(&real.ask(&members), &fake.ask(&members));
        Self {
            real,
            fake,
            etcd,
            began: Instant::now(),
            translation,
            watches: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.real.name()
    }

    /// Takes the steps, until the two differ.
    pub(crate) fn run(&mut self, steps: &[Step]) -> Result<(), (usize, Box<Divergence>)> {
        for (at, step) in steps.iter().enumerate() {
            self.step(step).map_err(|divergence| (at, divergence))?;
        }
        Ok(())
    }

    /// Ends all watches, disables auth and removes all keys; returns how many requests that took.
    pub(crate) fn clean_up(&mut self) -> Result<u64, Box<Divergence>> {
        for place in (0..self.watches.len()).rev() {
            self.close(place)?;
        }
        let root = |ask: Ask| ask.basic("root", "pw");
        let mut asks = vec![root(Ask::new("DELETE", "/v2/auth/enable"))];
        for kind in ["users", "roles"] {
            for name in ["root", "u1", "u2", "r1", "r2", "guest", "_h"] {
                asks.push(Ask::new("DELETE", &format!("/v2/auth/{kind}/{name}")));
            }
        }
        let listing = Ask::new("GET", "/v2/keys/?sorted=true");
        // Hidden keys are in no listing.
        let mut keys: Vec<String> = ["_h", "_x"].map(str::to_owned).into();
        let told = self.ask(&asks[0]).and(self.ask(&listing))?.json();
        for node in told["node"]["nodes"].as_array().into_iter().flatten() {
            keys.push(node["key"].as_str().unwrap_or_default()[1..].to_owned());
        }
        for key in keys {
            let key: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
            asks.push(Ask::new(
                "DELETE",
                &format!("/v2/keys/{key}?recursive=true"),
            ));
        }
        for ask in &asks {
            self.ask(ask)?;
        }
        Ok(asks.len() as u64)
    }

    fn step(&mut self, step: &Step) -> Result<(), Box<Divergence>> {
        match step {
            Step::Ask(ask) => {
                self.ask(ask)?;
                self.deliver()
            }
            Step::AskAtLatest(ask) => {
                let ask = self.with_index(ask)?;
                self.ask(&ask)?;
                self.deliver()
            }
            Step::Watch(ask) => {
                let ask = self.with_index(ask)?;
                self.open(&ask)
            }
            Step::Close(place) if !self.watches.is_empty() => {
                self.close(place % self.watches.len())
            }
            Step::Close(_) => Ok(()),
            Step::Expire(asks) => {
                for ask in asks {
                    self.ask(ask)?;
                }
                // A second to live, half a second until the leader looks, and some time for a busy machine.
                std::thread::sleep(Duration::from_millis(2_200));
                self.synchronise();
                self.deliver()
            }
        }
    }

    /// The request with the indexes of a moment ago, so that it finds something.
    fn with_index(&mut self, ask: &Ask) -> Result<Ask, Box<Divergence>> {
        let mut ask = ask.clone();
        let indexes = [("LATEST", 0), ("RECENT", 40), ("DISTANT", 990)];
        if indexes.iter().any(|(name, _)| ask.target.contains(name)) {
            let index = self.ask(&Ask::new("GET", "/v2/keys/?sorted=true"))?.index();
            for (name, distance) in indexes {
                let index = index.saturating_sub(distance).to_string();
                ask.target = ask.target.replace(name, &index);
            }
        }
        Ok(ask)
    }

    fn ask(&mut self, ask: &Ask) -> Result<Told, Box<Divergence>> {
        self.synchronise();
        let fake = self.fake.ask(ask);
        let real = self.real.ask(ask);
        if same_told(ask, &real, &fake, &self.translation) {
            return Ok(fake);
        }
        Err(Box::new(Divergence {
            ask: ask.clone(),
            real: format!("{real:?}"),
            fake: format!("{fake:?}"),
        }))
    }

    fn open(&mut self, ask: &Ask) -> Result<(), Box<Divergence>> {
        if ask.target.contains("quorum=true") {
            // A quorum read does not wait.
            return self.ask(ask).map(drop);
        }
        if self.watches.len() >= 8 {
            self.close(0)?;
        }
        self.synchronise();
        let (fake_told, fake) = self.fake.watch(ask);
        let (mut real_told, real) = self.real.watch(ask);
        // A response other than a watch has its body in one piece: it is compared like a separate request.
        let is_watch = real_told.status == 200;
        if !is_watch {
            real_told.body.clear();
        }
        if !same_told(ask, &real_told, &fake_told, &self.translation) {
            return Err(Box::new(Divergence {
                ask: ask.clone(),
                real: format!("{real_told:?}"),
                fake: format!("{fake_told:?}"),
            }));
        }
        if !is_watch {
            return self.ask(ask).map(drop);
        }
        self.watches.push(Watch {
            ask: ask.clone(),
            real,
            fake,
        });
        self.deliver()
    }

    /// Reads from the real server the events that the fake delivers to its watches.
    fn deliver(&mut self) -> Result<(), Box<Divergence>> {
        let mut place = 0;
        while place < self.watches.len() {
            let watch = &mut self.watches[place];
            if watch.fake.is_silent() {
                place += 1;
                continue;
            }
            let fake = watch.fake.line();
            let real = watch.real.line();
            let same = match (&fake, &real) {
                (Some(fake), Some(real)) => same_line(real, fake),
                (fake, real) => fake.is_none() && real.is_none(),
            };
            if !same {
                return Err(Box::new(Divergence {
                    ask: watch.ask.clone(),
                    real: format!("{real:?}"),
                    fake: format!("{fake:?}"),
                }));
            }
            if fake.is_none() {
                self.watches.remove(place);
            }
        }
        Ok(())
    }

    /// Ends a watch, which must have no unread event.
    fn close(&mut self, place: usize) -> Result<(), Box<Divergence>> {
        let mut watch = self.watches.remove(place);
        if watch.real.is_silent() {
            return Ok(());
        }
        Err(Box::new(Divergence {
            ask: watch.ask,
            real: format!("{:?}", watch.real.line()),
            fake: "silence".to_owned(),
        }))
    }

    /// Sets the fake's clock to real time.
    fn synchronise(&mut self) {
        let ahead = self.began.elapsed().saturating_sub(self.etcd.elapsed());
        self.etcd.advance(ahead);
    }
}
