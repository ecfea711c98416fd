use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use fake_harness::{
    Request, Response,
    differential::Differential,
    pair::{Divergence, Pair, Same},
};

use crate::{
    compare::Translation,
    generate::{Generator, Step},
};

/// Requests in one history; the data are removed after each.
const EPISODE: usize = 400;

/// The shortest time to live.
const SECOND: Duration = Duration::from_secs(1);

/// A second to live, and half a second until the leader looks: after this time the fake has ended what is due.
const EXPIRY: Duration = Duration::from_millis(1_600);

/// The v2 API of a real server and of the fake.
pub(crate) struct Keys {
    binary: PathBuf,
    pair: Pair<Translation>,
    /// Since when there are keys with a second to live.
    short_lived_since: Option<Instant>,
}

impl Differential for Keys {
    type Step = Step;
    type Comparison = Translation;

    fn start(binary: &Path) -> Self {
        Self {
            binary: binary.to_owned(),
            pair: Pair::start(binary, &["--enable-v2"]),
            short_lived_since: None,
        }
    }

    fn pair(&self) -> &Pair<Translation> {
        &self.pair
    }

    fn history(seed: u64) -> Vec<Step> {
        Generator::new(seed).episode(EPISODE)
    }

    fn step(&mut self, step: &Step) -> Same {
        match step {
            Step::Request(request) => {
                self.pair.ask(request)?;
                self.pair.deliver()
            }
            Step::AskAtLatest(request) => {
                let request = self.with_index(request)?;
                self.pair.ask(&request)?;
                self.pair.deliver()
            }
            Step::Watch(request) => {
                let request = self.with_index(request)?;
                if request.target.contains("quorum=true") {
                    // A quorum read does not wait.
                    return self.pair.ask(&request).map(drop);
                }
                self.pair.open(&request, &request, &request)
            }
            Step::Close(number) => self.pair.close(*number),
            Step::CleanUp => self.clean_up(),
            Step::Expire(asks) => self.expire(asks),
        }
    }

    fn restart_if_by_time(&mut self, _: &Divergence) -> bool {
        if self
            .short_lived_since
            .is_none_or(|since| since.elapsed() < SECOND)
        {
            return false;
        }
        let mut new = Self::start(&self.binary);
        new.pair.continue_from(&self.pair);
        *self = new;
        true
    }
}

impl Keys {
    /// Writes keys with a second to live, and waits until they have expired on both.
    fn expire(&mut self, asks: &[Request]) -> Same {
        let since = Instant::now();
        self.short_lived_since = Some(since);
        for request in asks {
            self.pair.ask(request)?;
        }
        if since.elapsed() < SECOND {
            // All were there before the first ended.
            self.short_lived_since = None;
        }
        self.pair.pass(EXPIRY);
        let stats = Request::new("GET", "/v2/stats/store");
        let expired = |reply: &Response| reply.json()["expireCount"].as_u64();
        let on_fake = expired(&self.pair.ask_fake(&stats));
        self.pair
            .wait_until(&stats, |reply| expired(reply) == on_fake);
        self.pair.deliver()?;
        self.short_lived_since = None;
        Ok(())
    }

    /// Ends all watches, disables auth and removes all keys.
    fn clean_up(&mut self) -> Same {
        self.pair.close_all()?;
        let root = |request: Request| request.basic("root", "pw");
        self.pair
            .ask(&root(Request::new("DELETE", "/v2/auth/enable")))?;
        for kind in ["users", "roles"] {
            for name in ["root", "u1", "u2", "r1", "r2", "guest", "_h"] {
                let target = format!("/v2/auth/{kind}/{name}");
                self.pair.ask(&Request::new("DELETE", &target))?;
            }
        }
        // Hidden keys are in no listing.
        let mut keys: Vec<String> = ["_h", "_x"].map(str::to_owned).into();
        let listing = Request::new("GET", "/v2/keys/?sorted=true");
        let reply = self.pair.ask(&listing)?.json();
        for node in reply["node"]["nodes"].as_array().into_iter().flatten() {
            keys.push(node["key"].as_str().unwrap_or_default()[1..].to_owned());
        }
        for key in keys {
            let key: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let target = format!("/v2/keys/{key}?recursive=true");
            self.pair.ask(&Request::new("DELETE", &target))?;
        }
        Ok(())
    }

    /// The request with the indexes of a moment ago, so that it finds something.
    fn with_index(&mut self, request: &Request) -> Same<Request> {
        let mut request = request.clone();
        let indexes = [("LATEST", 0), ("RECENT", 40), ("DISTANT", 990)];
        if indexes
            .iter()
            .any(|(name, _)| request.target.contains(name))
        {
            let listing = Request::new("GET", "/v2/keys/?sorted=true");
            let index = self.pair.ask(&listing)?.index();
            for (name, distance) in indexes {
                let index = index.saturating_sub(distance).to_string();
                request.target = request.target.replace(name, &index);
            }
        }
        Ok(request)
    }
}
