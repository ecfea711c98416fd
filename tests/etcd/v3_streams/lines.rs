use etcd_http::transport::{Body, Request, Transport, TransportError, http::StatusCode};
use serde_json::Value;

/// The messages of an answer that keeps coming, a line each.
pub(crate) struct Lines {
    pub(crate) status: StatusCode,
    body: Body,
    rest: Vec<u8>,
}

impl Lines {
    pub(crate) async fn of<T: Transport>(
        transport: &T,
        request: Request,
    ) -> Result<Self, TransportError> {
        let (head, body) = transport.send(request).await?.into_parts();
        Ok(Self {
            status: head.status,
            body,
            rest: Vec::new(),
        })
    }

    /// The next line; `None` at the proper end.
    pub(crate) async fn next(&mut self) -> Option<Result<Value, TransportError>> {
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

    /// The next message, which there is.
    pub(crate) async fn result(&mut self) -> Value {
        let mut line = self.next().await.unwrap().unwrap();
        line["result"].take()
    }
}
