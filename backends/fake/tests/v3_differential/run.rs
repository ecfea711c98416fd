use std::{
    collections::HashMap,
    marker::PhantomData,
    path::{Path, PathBuf},
    time::Instant,
};

use etcd_http_fake::FakeEtcd;
use fake_harness::{
    Fake, Request, Response, Subject,
    differential::Differential,
    pair::{Divergence, Pair, Same},
    real::Real,
};

use crate::{
    compare::Translation,
    generate::{Generator, Step},
};

/// Steps in one history. The data are removed after each.
const EPISODE: usize = 300;

/// The lease whose end [`Step::Expire`] waits for.
const WAITED_FOR: i64 = 90;

/// How the two servers are asked.
pub(crate) trait Wire {
    fn subjects(real: Real, etcd: FakeEtcd) -> (Box<dyn Subject>, Box<dyn Subject>);
}

/// By the JSON gateway.
pub(crate) struct Gateway;

impl Wire for Gateway {
    fn subjects(real: Real, etcd: FakeEtcd) -> (Box<dyn Subject>, Box<dyn Subject>) {
        (Box::new(real), Box::new(Fake(etcd)))
    }
}

/// The v3 API of a real server and of the fake.
pub(crate) struct V3<W> {
    wire: PhantomData<W>,
    binary: PathBuf,
    pair: Pair<Translation>,
    /// The last token of each user: the real server's and the fake's.
    tokens: HashMap<String, (String, String)>,
    /// The last revision that a response has shown.
    revision: i64,
}

impl<W: Wire> Differential for V3<W> {
    type Step = Step;
    type Comparison = Translation;

    fn start(binary: &Path) -> Self {
        // The default times: the shortest time to live depends on them.
        let times = ["--heartbeat-interval", "100", "--election-timeout", "1000"];
        let flags = [&times[..], &["--bcrypt-cost", "4"]].concat();
        Self {
            wire: PhantomData,
            binary: binary.to_owned(),
            pair: Pair::start_as(binary, &flags, W::subjects),
            tokens: HashMap::new(),
            revision: 1,
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
                let request = self.with_revisions(request);
                let reply = self.ask(&request)?;
                self.end_short_lease(&request, &reply)?;
                self.pair.deliver()
            }
            Step::Watch(request) => {
                let request = self.with_revisions(request);
                self.open(&request)
            }
            Step::Close(number) => self.pair.close(*number),
            Step::CleanUp => self.clean_up(),
            Step::Expire => self.expire(),
        }
    }

    fn restart_if_by_time(&mut self, divergence: &Divergence) -> bool {
        let Translation { leases, users, .. } = &self.pair.comparison;
        if !leases.may_have_ended(Instant::now()) && !users.may_be_former(divergence) {
            return false;
        }
        let mut new = Self::start(&self.binary);
        new.pair.continue_from(&self.pair);
        *self = new;
        true
    }
}

impl<W: Wire> V3<W> {
    /// Ends all watches, revokes all leases and deletes all keys.
    fn clean_up(&mut self) -> Same {
        self.pair.close_all()?;
        let post = |path: &str, body: &str| Request::new("POST", path).json(body);
        let leases = self.ask(&post("/v3/lease/leases", "{}"))?;
        for lease in leases.json()["leases"].as_array().into_iter().flatten() {
            self.ask(&post("/v3/lease/revoke", &lease.to_string()))?;
        }
        let all = "{\"key\":\"AA==\",\"range_end\":\"AA==\"}";
        self.ask(&post("/v3/kv/deleterange", all))?;
        Ok(())
    }

    /// Revokes a lease with the shortest time to live, as one gets for `null`: it would end on one of the two before the other,
    /// unless the next step waits for its end.
    fn end_short_lease(&mut self, request: &Request, reply: &Response) -> Same {
        if !request.target.ends_with("/lease/grant") || reply.status != 200 {
            return Ok(());
        }
        let granted = reply.json();
        let id = granted["ID"].as_str().and_then(|id| id.parse().ok());
        if granted["TTL"] != "2" || id == Some(WAITED_FOR) {
            return Ok(());
        }
        let revoke = Request::new("POST", "/v3/lease/revoke");
        let body = serde_json::json!({"ID": granted["ID"]});
        self.ask(&revoke.json(&body.to_string())).map(drop)
    }

    /// Waits until the lease has ended on both.
    fn expire(&mut self) -> Same {
        let leases = Request::new("POST", "/v3/lease/leases").json("{}");
        let id = format!("\"{WAITED_FOR}\"");
        self.pair.wait_until(&leases, |reply| {
            assert_eq!(reply.status, 200, "leases are listed without a token");
            !reply.text().contains(&id)
        });
        self.pair.comparison.leases.forget(WAITED_FOR);
        self.pair.deliver()
    }

    /// The request with the revisions of a moment ago in place of `@n@`.
    fn with_revisions(&self, request: &Request) -> Request {
        let mut request = request.clone();
        let mut body = String::from_utf8_lossy(&request.body).into_owned();
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
        if body.as_bytes() != String::from_utf8_lossy(&request.body).as_bytes() {
            request.body = body.into_bytes();
        }
        request
    }

    fn ask(&mut self, request: &Request) -> Same<Response> {
        let (to_real, to_fake) = self.with_token(request);
        let (real, fake, time) = self.pair.send(&to_real, &to_fake);
        let (real, fake) = self.without_token(request, real, fake);
        self.pair.compare(request, &real, &fake, time)?;
        self.pair.comparison.leases.record(request, &fake, time);
        self.pair.comparison.users.record(request, &fake);
        if fake.status == 200
            && let Ok(json) = serde_json::from_slice::<serde_json::Value>(&fake.body)
            && let Some(revision) = json["header"]["revision"].as_str()
        {
            self.revision = revision.parse().unwrap();
        }
        Ok(fake)
    }

    /// The request for each of the two, with its own token of the user that a header names.
    fn with_token(&self, request: &Request) -> (Request, Request) {
        let (mut to_real, mut to_fake) = (request.clone(), request.clone());
        for (position, (_, value)) in request.headers.iter().enumerate() {
            if let Some(user) = value.strip_prefix('$') {
                let invalid = ("x.1".to_owned(), "x.1".to_owned());
                let (real, fake) = self.tokens.get(user).cloned().unwrap_or(invalid);
                to_real.headers[position].1 = real;
                to_fake.headers[position].1 = fake;
            }
        }
        (to_real, to_fake)
    }

    /// Remembers the tokens of the responses, and replaces both by the same text.
    fn without_token(
        &mut self,
        request: &Request,
        mut real: Response,
        mut fake: Response,
    ) -> (Response, Response) {
        if request.target != "/v3/auth/authenticate" || (real.status, fake.status) != (200, 200) {
            return (real, fake);
        }
        let token = |reply: &Response| reply.json()["token"].as_str().unwrap().to_owned();
        let tokens = (token(&real), token(&fake));
        let parts = [&tokens.0, &tokens.1].map(|token| token.split_once('.').unwrap().0.len());
        assert_eq!(parts, [16, 16]);
        for (reply, token) in [(&mut real, &tokens.0), (&mut fake, &tokens.1)] {
            reply.body = reply.text().replace(token, "token").into_bytes();
        }
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let user = body["name"].as_str().unwrap().to_owned();
        self.tokens.insert(user, tokens);
        (real, fake)
    }

    fn open(&mut self, request: &Request) -> Same {
        let (to_real, to_fake) = self.with_token(request);
        self.pair.open(request, &to_real, &to_fake)?;
        if request
            .body
            .windows(14)
            .any(|part| part == b"start_revision")
        {
            // etcd looks every 100 ms which watches are behind. Until then, a compaction would overtake this one.
            let name = "etcd_debugging_mvcc_slow_watcher_total";
            self.pair.wait_for_metric(name, "0");
        }
        Ok(())
    }
}
