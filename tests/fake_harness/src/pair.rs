//! A real server and a fake that get the same requests.

use std::{
    fmt,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use etcd_http_fake::{FakeEtcd, Profile};

use super::{Fake, Request, Response, Subject, Watching, real::Real};

/// After this time without an event, a real server has none to deliver.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// A state that a server has not reached after this time is never reached.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// How often a server is asked whether it has reached a state.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// How many watches are open at once.
const MAX_WATCHES: usize = 8;

/// What it means that two responses of an API are the same.
pub trait Comparison {
    /// Learns what tells the two servers apart.
    fn new(real: &mut dyn Subject, fake: &mut dyn Subject) -> Self;

    /// Whether the responses are the same, if both servers handled the request within this time.
    fn is_same(&self, request: &Request, real: &Response, fake: &Response, time: Span) -> bool;

    /// Whether two lines of a watch are the same.
    fn is_same_line(&self, real: &str, fake: &str) -> bool;
}

/// The time between the moments before a request is sent and after its response has arrived.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Before the first was asked.
    pub from: Instant,
    /// After the last has responded.
    pub to: Instant,
}

impl Span {
    /// The least and the greatest time from a moment in `self` to a later one in `later`.
    pub fn until(self, later: Self) -> (Duration, Duration) {
        (
            later.from.saturating_duration_since(self.to),
            later.to.saturating_duration_since(self.from),
        )
    }
}

/// A real server and a fake with the same history.
pub struct Pair<C> {
    real: Box<dyn Subject>,
    fake: Box<dyn Subject>,
    etcd: FakeEtcd,
    began: Instant,
    /// What it means that two responses are the same.
    pub comparison: C,
    watches: Vec<Watch>,
    requests: u64,
    events: u64,
}

struct Watch {
    request: Request,
    real: Box<dyn Watching>,
    fake: Box<dyn Watching>,
}

/// Where the two differ.
pub struct Divergence {
    request: Request,
    real: String,
    fake: String,
}

/// The value of both, or where they differ.
pub type Same<T = ()> = Result<T, Box<Divergence>>;

impl<C: Comparison> Pair<C> {
    /// Starts a server with these flags, and a fake of the same release.
    pub fn start(binary: &Path, flags: &[&str]) -> Self {
        Self::start_as(binary, flags, |real, etcd| {
            (Box::new(real), Box::new(Fake(etcd)))
        })
    }

    /// The same, with what asks the two.
    pub fn start_as(
        binary: &Path,
        flags: &[&str],
        subjects: impl FnOnce(Real, FakeEtcd) -> (Box<dyn Subject>, Box<dyn Subject>),
    ) -> Self {
        let real = Real::start_with(binary, flags);
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
        let (mut real, mut fake) = subjects(real, etcd.clone());
        let comparison = C::new(&mut *real, &mut *fake);
        Self {
            real,
            fake,
            etcd,
            began: Instant::now(),
            comparison,
            watches: Vec::new(),
            requests: 0,
            events: 0,
        }
    }

    /// The name of the real server.
    pub fn name(&self) -> String {
        self.real.name()
    }

    /// How many requests each of the two has got.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// How many events of watches were compared.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Counts what an earlier pair has done, too.
    pub fn continue_from(&mut self, earlier: &Self) {
        self.requests += earlier.requests;
        self.events += earlier.events;
    }

    /// Sends a request to both. Returns the response of the fake if it is the real server's.
    pub fn ask(&mut self, request: &Request) -> Same<Response> {
        let (real, fake, time) = self.send(request, request);
        self.compare(request, &real, &fake, time)?;
        Ok(fake)
    }

    /// Sends to each its own form of a request. Returns when, too.
    pub fn send(&mut self, to_real: &Request, to_fake: &Request) -> (Response, Response, Span) {
        let from = Instant::now();
        self.synchronize();
        self.requests += 1;
        let fake = self.fake.ask(to_fake);
        let real = self.real.ask(to_real);
        let to = Instant::now();
        (real, fake, Span { from, to })
    }

    /// Asks both until each has given such a response. What they respond is not compared.
    pub fn wait_until(&mut self, request: &Request, is_so: impl Fn(&Response) -> bool) {
        let mut last = self.real.ask(request);
        let limit = Instant::now() + WAIT_LIMIT;
        while !is_so(&last) {
            assert!(
                Instant::now() < limit,
                "{request:?} on the real server: {last:?}"
            );
            std::thread::sleep(POLL_INTERVAL);
            last = self.real.ask(request);
        }
        self.synchronize();
        last = self.fake.ask(request);
        while !is_so(&last) {
            assert!(Instant::now() < limit, "{request:?} on the fake: {last:?}");
            std::thread::sleep(POLL_INTERVAL);
            self.synchronize();
            last = self.fake.ask(request);
        }
    }

    /// Waits until a metric of the real server has this value.
    pub fn wait_for_metric(&mut self, name: &str, value: &str) {
        let limit = Instant::now() + WAIT_LIMIT;
        while self.real.metric(name).as_deref() != Some(value) {
            assert!(Instant::now() < limit, "{name} is never {value}");
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Compares the responses to a request.
    pub fn compare(&self, request: &Request, real: &Response, fake: &Response, time: Span) -> Same {
        if self.comparison.is_same(request, real, fake, time) {
            return Ok(());
        }
        Err(Box::new(Divergence {
            request: request.clone(),
            real: format!("{real:?}"),
            fake: format!("{fake:?}"),
        }))
    }

    /// Opens a watch on both, each with its own form of the request.
    pub fn open(&mut self, request: &Request, to_real: &Request, to_fake: &Request) -> Same {
        if self.watches.len() >= MAX_WATCHES {
            self.close(0)?;
        }
        let from = Instant::now();
        self.synchronize();
        self.requests += 1;
        let (fake_head, fake) = self.fake.watch(to_fake);
        let (mut real_head, real) = self.real.watch(to_real);
        let to = Instant::now();
        // A response other than a watch has its body in one piece: it is compared like a separate request.
        let is_watch = real_head.status == 200;
        if !is_watch {
            real_head.body.clear();
        }
        self.compare(request, &real_head, &fake_head, Span { from, to })?;
        if !is_watch {
            let (real, fake, time) = self.send(to_real, to_fake);
            return self.compare(request, &real, &fake, time);
        }
        let request = request.clone();
        self.watches.push(Watch {
            request,
            real,
            fake,
        });
        self.deliver()
    }

    /// Reads from the real server the events that the fake delivers to its watches.
    pub fn deliver(&mut self) -> Same {
        let mut at = 0;
        while let Some(watch) = self.watches.get_mut(at) {
            if watch.fake.is_silent() {
                at += 1;
                continue;
            }
            let fake = watch.fake.line();
            let real = watch.real_line();
            let is_same = match (&real, &fake) {
                (Some(real), Some(fake)) => self.comparison.is_same_line(real, fake),
                (real, fake) => real.is_none() && fake.is_none(),
            };
            if !is_same {
                return Err(Box::new(Divergence {
                    request: watch.request.clone(),
                    real: format!("{real:?}"),
                    fake: format!("{fake:?}"),
                }));
            }
            if fake.is_none() {
                self.watches.remove(at);
            } else {
                self.events += 1;
            }
        }
        Ok(())
    }

    /// Closes one of the open watches, if there are any. It must have no unread event.
    pub fn close(&mut self, number: usize) -> Same {
        if self.watches.is_empty() {
            return Ok(());
        }
        let mut watch = self.watches.remove(number % self.watches.len());
        if watch.real.is_silent() {
            return Ok(());
        }
        Err(Box::new(Divergence {
            request: watch.request,
            real: format!("{:?}", watch.real.line()),
            fake: "silence".to_owned(),
        }))
    }

    /// Closes all watches.
    pub fn close_all(&mut self) -> Same {
        while !self.watches.is_empty() {
            self.close(0)?;
        }
        Ok(())
    }

    /// Lets time pass on both.
    pub fn pass(&mut self, time: Duration) {
        std::thread::sleep(time);
        self.synchronize();
    }

    /// Asks the fake alone.
    pub fn ask_fake(&mut self, request: &Request) -> Response {
        self.fake.ask(request)
    }

    /// Sets the fake's clock to real time. If it is ahead, because etcd waits somewhere, real time has to pass.
    fn synchronize(&mut self) {
        let (real, fake) = (self.began.elapsed(), self.etcd.elapsed());
        std::thread::sleep(fake.saturating_sub(real));
        self.etcd.advance(self.began.elapsed().saturating_sub(fake));
    }
}

impl Watch {
    /// The next line of the real server, or that it has none in time.
    fn real_line(&mut self) -> Option<String> {
        let began = Instant::now();
        while self.real.is_silent() {
            if began.elapsed() > TIME_LIMIT {
                return Some("silence".to_owned());
            }
        }
        self.real.line()
    }
}

impl Divergence {
    /// What was asked.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Whether one of the two says this, and the other does not.
    pub fn one_says(&self, text: &str) -> bool {
        self.real.contains(text) != self.fake.contains(text)
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (request, real, fake) = (&self.request, &self.real, &self.fake);
        write!(f, "  {request:?}\n  real: {real}\n  fake: {fake}")
    }
}
