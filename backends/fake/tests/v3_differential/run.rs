use std::{
    collections::HashMap,
    fmt,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime},
};

use etcd_http_fake::{FakeEtcd, Profile};

use crate::{
    compare::Translation,
    generate::Step,
    support::{Ask, Fake, Subject, Told, Watching, real::Real},
};

/// How long a real server may take to deliver events to a watch.
const PATIENCE: Duration = Duration::from_secs(5);

/// A real server and a fake with the same history.
pub(crate) struct Pair {
    real: Real,
    fake: Fake,
    etcd: FakeEtcd,
    began: Instant,
    translation: Translation,
    watches: Vec<Watch>,
    /// The last token of each user: the real server's and the fake's.
    tokens: HashMap<String, (String, String)>,
    /// The last revision that a response has shown.
    revision: i64,
    requests: u64,
    events: u64,
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
        let (ask, real, fake) = (&self.ask, &self.real, &self.fake);
        write!(f, "  {ask:?}\n  real: {real}\n  fake: {fake}")
    }
}

type Same = Result<(), Box<Divergence>>;

impl Pair {
    pub(crate) fn start(binary: &Path) -> Self {
        // The default times: the shortest time to live depends on them.
        let times = [
            "--heartbeat-interval",
            "100",
            "--election-timeout",
            "1000",
            "--bcrypt-cost",
            "4",
        ];
        let mut real = Real::start_with(binary, &times);
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
        let anything = Ask::new("POST", "/v3/kv/range").json("{\"key\":\"eA==\"}");
        let translation = Translation::new(&real.ask(&anything), &fake.ask(&anything));
        Self {
            real,
            fake,
            etcd,
            began: Instant::now(),
            translation,
            watches: Vec::new(),
            tokens: HashMap::new(),
            revision: 1,
            requests: 0,
            events: 0,
        }
    }

    pub(crate) fn name(&self) -> String {
        self.real.name()
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Takes the steps, until the two differ.
    pub(crate) fn run(&mut self, steps: &[Step]) -> Result<(), (usize, Box<Divergence>)> {
        for (at, step) in steps.iter().enumerate() {
            self.step(step).map_err(|divergence| (at, divergence))?;
        }
        Ok(())
    }

    /// Ends all watches, revokes all leases and deletes all keys.
    fn clean_up(&mut self) -> Same {
        while !self.watches.is_empty() {
            self.close(0)?;
        }
        let post = |path: &str, body: &str| Ask::new("POST", path).json(body);
        let leases = self.ask(&post("/v3/lease/leases", "{}"))?;
        for lease in leases.json()["leases"].as_array().into_iter().flatten() {
            self.ask(&post("/v3/lease/revoke", &lease.to_string()))?;
        }
        let all = "{\"key\":\"AA==\",\"range_end\":\"AA==\"}";
        self.ask(&post("/v3/kv/deleterange", all))?;
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Same {
        match step {
            Step::Ask(ask) => {
                let ask = self.with_revisions(ask);
                self.ask(&ask)?;
                self.deliver()
            }
            Step::Watch(ask) => {
                let ask = self.with_revisions(ask);
                self.open(ask)
            }
            Step::Close(place) if !self.watches.is_empty() => {
                self.close(place % self.watches.len())
            }
            Step::Close(_) => Ok(()),
            Step::CleanUp => self.clean_up(),
            Step::Expire => {
                // The shortest lease, half a second until the leader looks, and some time for a busy machine.
                thread::sleep(Duration::from_millis(3_500));
                self.synchronise();
                self.deliver()
            }
        }
    }

    /// The request with the revisions of a moment ago in place of `@n@`.
    fn with_revisions(&self, ask: &Ask) -> Ask {
        let mut ask = ask.clone();
        let mut body = String::from_utf8_lossy(&ask.body).into_owned();
        while let Some((before, rest)) = body.split_once('@') {
            let Some((distance, after)) = rest.split_once('@') else {
                break;
            };
            let Ok(distance) = distance.parse::<i64>() else {
                break;
            };
            // A watch from a negative revision confuses those that a real server lets catch up together with it.
            let revision = (self.revision - distance).max(1);
            body = format!("{before}{revision}{after}");
        }
        if body.as_bytes() != String::from_utf8_lossy(&ask.body).as_bytes() {
            ask.body = body.into_bytes();
        }
        ask
    }

    fn ask(&mut self, ask: &Ask) -> Result<Told, Box<Divergence>> {
        self.synchronise();
        self.requests += 1;
        let (for_real, for_fake) = self.with_token(ask);
        let fake = self.fake.ask(&for_fake);
        let real = self.real.ask(&for_real);
        let (real, fake) = self.without_token(ask, real, fake);
        if !self.translation.is_same(&ask.target, &real, &fake) {
            return Err(Box::new(Divergence {
                ask: ask.clone(),
                real: format!("{real:?}"),
                fake: format!("{fake:?}"),
            }));
        }
        if fake.status == 200
            && let Ok(json) = serde_json::from_slice::<serde_json::Value>(&fake.body)
            && let Some(revision) = json["header"]["revision"].as_str()
        {
            self.revision = revision.parse().unwrap();
        }
        Ok(fake)
    }

    /// The request for each of the two, with its own token of the user that a header names.
    fn with_token(&self, ask: &Ask) -> (Ask, Ask) {
        let (mut for_real, mut for_fake) = (ask.clone(), ask.clone());
        for (position, (_, value)) in ask.headers.iter().enumerate() {
            if let Some(user) = value.strip_prefix('$') {
                let invalid = ("x.1".to_owned(), "x.1".to_owned());
                let (real, fake) = self.tokens.get(user).cloned().unwrap_or(invalid);
                for_real.headers[position].1 = real;
                for_fake.headers[position].1 = fake;
            }
        }
        (for_real, for_fake)
    }

    /// Remembers the tokens of the answers, and puts the same in the place of both.
    fn without_token(&mut self, ask: &Ask, mut real: Told, mut fake: Told) -> (Told, Told) {
        if ask.target != "/v3/auth/authenticate" || (real.status, fake.status) != (200, 200) {
            return (real, fake);
        }
        let token = |told: &Told| told.json()["token"].as_str().unwrap().to_owned();
        let tokens = (token(&real), token(&fake));
        let parts = [&tokens.0, &tokens.1].map(|token| token.split_once('.').unwrap().0.len());
        assert_eq!(parts, [16, 16]);
        for (told, token) in [(&mut real, &tokens.0), (&mut fake, &tokens.1)] {
            told.body = told.text().replace(token, "token").into_bytes();
        }
        let body: serde_json::Value = serde_json::from_slice(&ask.body).unwrap();
        let user = body["name"].as_str().unwrap().to_owned();
        self.tokens.insert(user, tokens);
        (real, fake)
    }

    fn open(&mut self, ask: Ask) -> Same {
        if self.watches.len() >= 6 {
            self.close(0)?;
        }
        self.synchronise();
        self.requests += 1;
        let (for_real, for_fake) = self.with_token(&ask);
        let (fake_told, fake) = self.fake.watch(&for_fake);
        let (real_told, real) = self.real.watch(&for_real);
        if !self
            .translation
            .is_same(&ask.target, &real_told, &fake_told)
        {
            return Err(Box::new(Divergence {
                ask,
                real: format!("{real_told:?}"),
                fake: format!("{fake_told:?}"),
            }));
        }
        let is_behind = ask.body.windows(14).any(|part| part == b"start_revision");
        self.watches.push(Watch { ask, real, fake });
        self.deliver()?;
        if is_behind {
            // etcd looks every 100 ms which watches are behind. Until then, a compaction would overtake this one.
            thread::sleep(Duration::from_millis(150));
        }
        Ok(())
    }

    /// Reads from the real server the events that the fake delivers to its watches.
    fn deliver(&mut self) -> Same {
        for watch in &mut self.watches {
            while !watch.fake.is_silent() {
                let fake = watch.fake.line();
                let began = Instant::now();
                while watch.real.is_silent() && began.elapsed() < PATIENCE {}
                let real = if watch.real.is_silent() {
                    Some("silence".to_owned())
                } else {
                    watch.real.line()
                };
                let is_same = match (&real, &fake) {
                    (Some(real), Some(fake)) => self.translation.is_same_line(real, fake),
                    (real, fake) => real.is_none() && fake.is_none(),
                };
                if !is_same {
                    return Err(Box::new(Divergence {
                        ask: watch.ask.clone(),
                        real: format!("{real:?}"),
                        fake: format!("{fake:?}"),
                    }));
                }
                self.events += 1;
            }
        }
        Ok(())
    }

    /// Ends a watch, which must have no unread message.
    fn close(&mut self, place: usize) -> Same {
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

    /// Lets the fake's clock show what the real one does.
    fn synchronise(&mut self) {
        let ahead = self.began.elapsed().saturating_sub(self.etcd.elapsed());
        self.etcd.advance(ahead);
    }
}
