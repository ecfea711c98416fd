//! The operations of an API as decoders of responses.

use std::{
    fmt::{self, Debug, Write},
    hash::{DefaultHasher, Hasher},
};

use etcd_http::{Client, Error, Operation, Result, StreamOperation};
use futures::{StreamExt, executor::block_on};

use crate::{LIMIT, canned::Canned};

/// The operations of one of etcd's APIs, and the inputs for them.
pub(crate) struct Api {
    /// Responses of real servers.
    pub(crate) samples: Vec<String>,
    /// The names and values in them.
    pub(crate) words: &'static [&'static str],
    /// How they nest.
    pub(crate) openings: &'static [&'static str],
    /// The operations with one response.
    pub(crate) whole: Vec<Decoder>,
    /// The operations with a stream of messages.
    pub(crate) streams: Vec<Decoder>,
}

/// Decodes by one operation.
pub(crate) type Decoder = fn(&Client<Canned>) -> Reported;

/// The results, as text.
pub(crate) type Reported = Vec<Result<String, String>>;

/// Returns the result of an operation with one response.
pub(crate) fn send<O: Operation>(client: &Client<Canned>, operation: O) -> Reported
where
    O::Output: Debug,
{
    reported(block_on(client.send(operation)))
}

/// One result.
pub(crate) fn reported<O: Debug>(result: Result<O>) -> Reported {
    vec![one(result)]
}

/// Returns the first items of an operation with a stream of responses.
pub(crate) fn items<O: StreamOperation>(client: &Client<Canned>, operation: O) -> Reported
where
    O::Item: Debug,
{
    block_on(client.open(operation).take(5).map(one).collect())
}

/// Calls every method of a result.
pub(crate) fn one<O: Debug>(result: Result<O>) -> Result<String, String> {
    match result {
        Ok(output) => Ok(brief(&output)),
        Err(error) => Err(ask(&error)),
    }
}

/// The beginning of its text, and a digest of the rest: the text of much data would take more memory than the data.
fn brief(output: &impl Debug) -> String {
    struct Brief(String, DefaultHasher);

    impl fmt::Write for Brief {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            if self.0.len() < 2_000 {
                self.0.push_str(text);
            }
            self.1.write(text.as_bytes());
            Ok(())
        }
    }

    let mut brief = Brief(String::new(), DefaultHasher::new());
    write!(brief, "{output:?}").unwrap();
    let Brief(text, digest) = brief;
    format!("{text} {:x}", digest.finish())
}

fn ask(error: &Error) -> String {
    let text = format!("{error} {error:?}");
    // The text has an excerpt of the response, not all of it.
    assert!(text.len() < 3 * LIMIT, "{} bytes", text.len());
    let _ = (error.outcome(), error.etcd_kind(), error.is_unauthorized());
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let _ = error.to_string();
        source = error.source();
    }
    text
}
