use std::{fmt, sync::Arc, time::Duration};

use http::Response;

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Refuse,
    BreakBefore,
    BreakAfter,
    SilenceBefore,
    SilenceAfter,
    DelayBefore(Duration),
    DelayAfter(Duration),
    /// The request arrives this long after the next expiry.
    DelayPastExpiry(Duration),
    Cut(Cut, Ending),
    /// `Content-Length` agrees with the shorter body.
    Truncate(usize),
    Append(Vec<u8>),
    /// Answered without asking the server.
    Instead(Response<Vec<u8>>),
    /// The server acts, and its response is replaced.
    InsteadAfter(Response<Vec<u8>>),
    /// Something happens to the cluster right before the server acts, or right after it.
    Before(Event),
    After(Event),
    /// The head comes at once, and everything behind the first part of the body is late.
    DelayBody(Duration),
}

/// What a test does to the cluster at a moment of its choice. The fake is not locked then.
#[derive(Clone)]
pub(crate) struct Event(pub(crate) Arc<dyn Fn() + Send + Sync>);

/// Where a body ends before its time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    Bytes(usize),
    Frames(usize),
}

/// What follows a cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    Error,
    Silence,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Event")
    }
}
