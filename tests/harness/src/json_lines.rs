//! A response that goes on, as the JSON gateway sends it: an object on each line.

use etcd_http::transport::{Body, Request, Transport, TransportError, http::StatusCode};
use serde_json::Value;

/// The lines of a response, each a JSON value.
#[derive(Debug)]
pub struct JsonLines {
    /// The HTTP status.
    pub status: StatusCode,
    body: Body,
    rest: Vec<u8>,
}

impl JsonLines {
    /// Sends the request, and waits for the head of the response.
    ///
    /// # Errors
    /// If there is none.
    pub async fn of<T: Transport>(transport: &T, request: Request) -> Result<Self, TransportError> {
        let (head, body) = transport.send(request).await?.into_parts();
        Ok(Self {
            status: head.status,
            body,
            rest: Vec::new(),
        })
    }

    /// The next line; `None` at the end of the body.
    pub async fn next(&mut self) -> Option<Result<Value, TransportError>> {
        loop {
            if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<_> = self.rest.drain(..=end).collect();
                return Some(Ok(serde_json::from_slice(&line).unwrap()));
            }
            match self.body.frame().await? {
                Ok(frame) => self.rest.extend(frame.into_data().unwrap_or_default()),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The field `result` of the next line. Panics if there is no line.
    pub async fn result(&mut self) -> Value {
        let mut line = self.next().await.unwrap().unwrap();
        line["result"].take()
    }
}
