use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ALLOW, CONTENT_LENGTH, CONTENT_TYPE, DATE, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
    },
};

use super::{headers::Headers, json::decimal};

/// Go's server announces the length of bodies up to this size, and sends longer ones in chunks.
const CHUNKED_ABOVE: usize = 2048;

/// The date of a response, until it is sent: the front knows the time. Its place is kept, since a head that grows is copied.
const UNDATED: HeaderValue = HeaderValue::from_static("");

/// A response under construction.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// A number as the value of a header. `HeaderValue::from` allocates twice for it.
pub(crate) fn number_value(number: u64) -> HeaderValue {
    let digits = HeaderValue::from_bytes(decimal(number, &mut [0; 20]));
    digits.unwrap_or_else(|_| number.into())
}

impl Reply {
    /// A 200 that allows requests from anywhere, as etcd does by default.
    pub(crate) fn new() -> Self {
        let mut headers = Headers::new();
        let allowed = [
            (
                ACCESS_CONTROL_ALLOW_HEADERS,
                "accept, content-type, authorization",
            ),
            (
                ACCESS_CONTROL_ALLOW_METHODS,
                "POST, GET, OPTIONS, PUT, DELETE",
            ),
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        ];
        for (name, value) in allowed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Self {
            status: StatusCode::OK,
            headers,
            body: Vec::new(),
        }
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self
    }

    pub(crate) fn json(mut self) -> Self {
        let json = HeaderValue::from_static("application/json");
        self.headers.insert(CONTENT_TYPE, json);
        self
    }

    /// A plain text, as Go's `http.Error` writes it.
    pub(crate) fn text(mut self, status: u16, text: &str) -> Self {
        let nosniff = HeaderValue::from_static("nosniff");
        self.headers.insert(X_CONTENT_TYPE_OPTIONS, nosniff);
        self = self.plain();
        self.body.extend_from_slice(text.as_bytes());
        self.body.push(b'\n');
        self.status(status)
    }

    pub(crate) fn plain(mut self) -> Self {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        self.headers.insert(CONTENT_TYPE, plain);
        self
    }

    pub(crate) fn not_found(self) -> Self {
        self.text(404, "404 page not found")
    }

    pub(crate) fn not_allowed(mut self, allowed: Option<&'static str>) -> Self {
        if let Some(allowed) = allowed {
            self.headers
                .insert(ALLOW, HeaderValue::from_static(allowed));
        }
        self.text(405, "Method Not Allowed")
    }

    /// Frames the body, as Go's server does for a handler that has returned.
    pub(crate) fn finish(mut self, method: &Method) -> Response<Vec<u8>> {
        let is_head = method == Method::HEAD;
        let length = self.body.len();
        if self.status == StatusCode::NO_CONTENT {
            self.body.clear();
        } else if length <= CHUNKED_ABOVE {
            if length > 0 || !is_head {
                let length = number_value(length as u64);
                self.headers.insert(CONTENT_LENGTH, length);
            }
        } else if !is_head {
            let chunked = HeaderValue::from_static("chunked");
            self.headers.insert(TRANSFER_ENCODING, chunked);
        }
        if is_head {
            self.body.clear();
        }
        self.respond()
    }

    /// Frames the body with its length, however long it is.
    pub(crate) fn finish_with_length(mut self) -> Response<Vec<u8>> {
        let length = number_value(self.body.len() as u64);
        self.headers.insert(CONTENT_LENGTH, length);
        self.respond()
    }

    fn respond(mut self) -> Response<Vec<u8>> {
        self.headers.insert(DATE, UNDATED);
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.build();
        response
    }

    /// The head of a response whose body is sent piece by piece.
    pub(crate) fn begin(mut self) -> Response<()> {
        let chunked = HeaderValue::from_static("chunked");
        self.headers.insert(TRANSFER_ENCODING, chunked);
        self.headers.insert(DATE, UNDATED);
        let mut response = Response::new(());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.build();
        response
    }
}
