//! A store of the v2 API that loses requests and responses, with other clients that write between them.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::Mutex,
    task::Poll,
    time::{Duration, Instant},
};

use etcd_http::transport::{
    Body, Request, Response, Transport, TransportError, async_trait, http::Method,
};

/// A store with files, indexes and a history, as writes that are applied once require. The fate of each request is
/// planned, and another client may write in between.
#[derive(Debug)]
pub(crate) struct V2Store(Mutex<State>);

/// The fate of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is applied, and the response arrives.
    Answered,
    /// It is applied, and the response is lost.
    AnswerLost,
    /// It is lost, but the client cannot know.
    Lost,
    /// It is applied after this many more requests, or at the end. There is no response.
    Late(usize),
    /// No connection.
    Refused,
}

/// What another client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rival {
    Sets,
    /// Deletes the file, or the files of the directory.
    Deletes,
    /// Changes the index, and leaves no event.
    Refreshes,
}

#[derive(Debug)]
struct State {
    fates: Vec<Fate>,
    /// Before which request, counted from 0.
    rival: Option<(usize, Rival)>,
    requests: usize,
    late: Vec<(usize, Write)>,
    index: u64,
    files: BTreeMap<String, File>,
    history: Vec<(u64, String, String)>,
    written: Vec<String>,
    epoch: Instant,
    elapsed: Duration,
}

#[derive(Clone, Debug)]
struct File {
    value: String,
    created: u64,
    modified: u64,
}

#[derive(Clone, Debug)]
struct Write {
    key: String,
    value: String,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Create,
    Swap(u64),
    InOrder,
}

/// A status and a body; no body is a poll that stays open.
type Answer = (u16, Option<String>);

impl V2Store {
    /// With the file `/k` at index 5. Requests after the plan succeed.
    pub(crate) fn new(fates: &[Fate], rival: Option<(usize, Rival)>, file: bool) -> Self {
        let mut files = BTreeMap::new();
        if file {
            let (created, modified) = (3, 5);
            let value = "old".to_owned();
            files.insert(
                "/k".to_owned(),
                File {
                    value,
                    created,
                    modified,
                },
            );
        }
        Self(Mutex::new(State {
            fates: fates.to_vec(),
            rival,
            requests: 0,
            late: Vec::new(),
            index: 9,
            files,
            history: Vec::new(),
            written: Vec::new(),
            epoch: Instant::now(),
            elapsed: Duration::ZERO,
        }))
    }

    /// Returns how often this value was written, after all late requests have arrived.
    pub(crate) fn written(&self, value: &str) -> usize {
        let mut state = self.0.lock().unwrap();
        for (_, write) in std::mem::take(&mut state.late) {
            state.write(&write);
        }
        state
            .written
            .iter()
            .filter(|written| *written == value)
            .count()
    }
}

impl State {
    fn fate(&mut self) -> Fate {
        let number = self.requests;
        self.requests += 1;
        let (due, later) = std::mem::take(&mut self.late)
            .into_iter()
            .partition::<Vec<_>, _>(|(at, _)| *at <= number);
        self.late = later;
        for (_, write) in due {
            self.write(&write);
        }
        if let Some((_, rival)) = self.rival.filter(|(at, _)| *at == number) {
            self.interfere(rival);
        }
        self.fates.get(number).copied().unwrap_or(Fate::Answered)
    }

    fn interfere(&mut self, rival: Rival) {
        let old = self.files.get("/k").cloned();
        match (rival, old) {
            (Rival::Sets, old) => {
                let index = self.next();
                self.store("set", "/k", "theirs", index, old.as_ref());
            }
            (Rival::Refreshes, Some(old)) => {
                let modified = self.next();
                self.files.insert("/k".to_owned(), File { modified, ..old });
            }
            (Rival::Deletes, _) => {
                let keys: Vec<_> = self.files.keys().cloned().collect();
                for key in keys {
                    let index = self.next();
                    let event = format!(
                        r#"{{"action":"delete","node":{{"key":"{key}","modifiedIndex":{index},"createdIndex":1}}}}"#
                    );
                    self.history.push((index, key.clone(), event));
                    self.files.remove(&key);
                }
            }
            (Rival::Refreshes, None) => {}
        }
    }

    fn next(&mut self) -> u64 {
        self.index += 1;
        self.index
    }

    fn store(
        &mut self,
        action: &str,
        key: &str,
        value: &str,
        created: u64,
        old: Option<&File>,
    ) -> String {
        let modified = self.index;
        let file = File {
            value: value.to_owned(),
            created,
            modified,
        };
        let before = old.map_or(String::new(), |old| {
            format!(",\"prevNode\":{}", node(key, old))
        });
        let event = format!(
            r#"{{"action":"{action}","node":{}{before}}}"#,
            node(key, &file)
        );
        self.files.insert(key.to_owned(), file);
        self.history.push((modified, key.to_owned(), event.clone()));
        event
    }

    fn write(&mut self, write: &Write) -> Answer {
        let Write { key, value, how } = write;
        let old = self.files.get(key).cloned();
        let answer = match (how, old) {
            (How::Create, Some(_)) => return self.refuse(412, 105),
            (How::Create, None) => {
                let index = self.next();
                (201, Some(self.store("create", key, value, index, None)))
            }
            (How::InOrder, _) => {
                let index = self.next();
                let key = format!("{key}/{index:020}");
                (201, Some(self.store("create", &key, value, index, None)))
            }
            (How::Swap(expected), Some(old)) if old.modified == *expected => {
                self.next();
                let event = self.store("compareAndSwap", key, value, old.created, Some(&old));
                (200, Some(event))
            }
            (How::Swap(_), Some(_)) => return self.refuse(412, 101),
            (How::Swap(_), None) => return self.refuse(404, 100),
        };
        self.written.push(value.clone());
        answer
    }

    fn read(&self, key: &str, query: &str) -> Answer {
        if let Some(from) = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("waitIndex="))
        {
            let from: u64 = from.parse().unwrap();
            let mut history = self.history.iter();
            let event = history.find(|(index, changed, _)| *index >= from && changed == key);
            return (200, event.map(|(_, _, event)| event.clone()));
        }
        assert!(query.contains("quorum=true"), "{query}");
        if let Some(file) = self.files.get(key) {
            return (
                200,
                Some(format!(r#"{{"action":"get","node":{}}}"#, node(key, file))),
            );
        }
        let below = format!("{key}/");
        let nodes: Vec<_> = self
            .files
            .iter()
            .filter(|(key, _)| key.starts_with(&below))
            .map(|(key, file)| node(key, file))
            .collect();
        if nodes.is_empty() {
            return self.refuse(404, 100);
        }
        let nodes = nodes.join(",");
        let dir =
            format!(r#"{{"action":"get","node":{{"key":"{key}","dir":true,"nodes":[{nodes}]}}}}"#);
        (200, Some(dir))
    }

    fn refuse(&self, status: u16, code: u32) -> Answer {
        let index = self.index;
        let body = format!(r#"{{"errorCode":{code},"message":"m","cause":"c","index":{index}}}"#);
        (status, Some(body))
    }
}

fn node(key: &str, file: &File) -> String {
    let File {
        value,
        created,
        modified,
    } = file;
    format!(
        r#"{{"key":"{key}","value":"{value}","modifiedIndex":{modified},"createdIndex":{created}}}"#
    )
}

#[async_trait]
impl Transport for V2Store {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let (head, body) = request.into_parts();
        let form = body.try_into_bytes().unwrap();
        let form = String::from_utf8(form.to_vec()).unwrap();
        let key = head.uri.path().strip_prefix("/v2/keys").unwrap().to_owned();
        let query = head.uri.query().unwrap_or_default();
        let mut state = self.0.lock().unwrap();
        let fate = state.fate();
        let how = match head.method {
            Method::GET => None,
            Method::POST => Some(How::InOrder),
            Method::PUT if query == "prevExist=false" => Some(How::Create),
            Method::PUT => {
                let index = query.strip_prefix("prevIndex=").unwrap();
                Some(How::Swap(index.parse().unwrap()))
            }
            other => panic!("{other} {key}"),
        };
        let value = form.strip_prefix("value=").unwrap_or_default().to_owned();
        let write = how.map(|how| Write {
            key: key.clone(),
            value,
            how,
        });
        if fate == Fate::Refused {
            return Err(TransportError::connect("connection refused"));
        }
        let answer = match (&write, fate) {
            (Some(write), Fate::Late(after)) => {
                let due = state.requests + after;
                state.late.push((due, write.clone()));
                None
            }
            (Some(write), Fate::Answered | Fate::AnswerLost) => Some(state.write(write)),
            (None, Fate::Answered) => Some(state.read(&key, query)),
            _ => None,
        };
        let Some((status, body)) = answer.filter(|_| fate == Fate::Answered) else {
            return Err(TransportError::interrupted("connection reset"));
        };
        let body = body.map_or_else(|| Body::poll_fn(|_| Poll::Pending), Body::from);
        let mut response = Response::new(body);
        *response.status_mut() = status.try_into().unwrap();
        let headers = response.headers_mut();
        headers.insert("content-type", "application/json".parse().unwrap());
        headers.insert("x-etcd-index", state.index.into());
        Ok(response)
    }

    /// Sleeping advances the time.
    async fn sleep(&self, duration: Duration) {
        let until = self.now() + duration;
        poll_fn(|cx| {
            if self.now() >= until {
                return Poll::Ready(());
            }
            self.0.lock().unwrap().elapsed += Duration::from_millis(50);
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn now(&self) -> Instant {
        let state = self.0.lock().unwrap();
        state.epoch + state.elapsed
    }
}
