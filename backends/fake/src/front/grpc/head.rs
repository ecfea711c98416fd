use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, Method, StatusCode, request};

use super::status::Status;
use crate::{
    profile::Profile,
    v3::auth::{CommonName, Credentials},
};

/// What the head of a request says, apart from the call.
#[derive(Debug)]
pub(super) struct Head {
    /// That of the response.
    pub(super) content_type: HeaderValue,
    /// In nanoseconds.
    pub(super) timeout: Option<i64>,
    /// Whether the call fails where no leader is known.
    pub(super) requires_leader: bool,
    pub(super) credentials: Credentials,
    /// Another encoding than `identity`.
    pub(super) encoding: Option<String>,
}

/// Why a request is not one of gRPC.
#[derive(Debug)]
pub(super) enum HeadError {
    Status(Status),
    /// The stream is reset with `PROTOCOL_ERROR`.
    Reset,
}

impl Head {
    pub(super) fn read(parts: &request::Parts, profile: Profile) -> Result<Self, HeadError> {
        let fields = Fields::read(&parts.headers);
        let content_type = fields.content_type.unwrap_or_default();
        let subtype = subtype(&content_type).ok_or_else(|| {
            let message = format!("invalid gRPC request content-type \"{content_type}\"");
            refused(profile, StatusCode::UNSUPPORTED_MEDIA_TYPE, 3, message)
        })?;
        let timeout = fields.timeout.map(|text| parse_timeout(&text)).transpose();
        let timeout = timeout.map_err(|problem| {
            let message = format!("malformed grpc-timeout: {problem}");
            refused(profile, StatusCode::BAD_REQUEST, 13, message)
        })?;
        if parts.method != Method::POST && profile == Profile::V3_5 {
            let message = format!(
                "Received a HEADERS frame with :method \"{}\" which should be POST",
                parts.method
            );
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return Err(refused(profile, status, 13, message));
        }
        let encoding = fields.encoding.map(Cow::into_owned);
        let token = fields.token.or(fields.authorization);
        Ok(Self {
            content_type: content_type_of(subtype),
            timeout,
            requires_leader: fields.has_leader.is_some_and(|value| value == "true"),
            credentials: match (token, parts.extensions.get()) {
                (None, Some(name)) => Credentials::CommonName(CommonName::clone(name)),
                (token, _) => Credentials::of_token(token.map(Cow::into_owned)),
            },
            encoding: encoding.filter(|name| !matches!(&**name, "" | "identity")),
        })
    }
}

impl Default for Head {
    fn default() -> Self {
        Self {
            content_type: content_type_of(""),
            timeout: None,
            requires_leader: false,
            credentials: Credentials::None,
            encoding: None,
        }
    }
}

/// What the gRPC of 3.5 says of such a request. That of 3.4 says nothing.
fn refused(profile: Profile, http: StatusCode, code: u8, message: String) -> HeadError {
    match profile {
        Profile::V3_4 => HeadError::Reset,
        Profile::V3_5 => HeadError::Status(Status::not_grpc(http, code, message)),
    }
}

/// The fields of a head that are read. Of several with a name, the first counts.
#[derive(Default)]
struct Fields<'a> {
    content_type: Option<Cow<'a, str>>,
    timeout: Option<Cow<'a, str>>,
    encoding: Option<Cow<'a, str>>,
    has_leader: Option<Cow<'a, str>>,
    token: Option<Cow<'a, str>>,
    authorization: Option<Cow<'a, str>>,
}

impl<'a> Fields<'a> {
    /// One pass over the few headers of a request is faster than a lookup for each name, which parses and hashes.
    fn read(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            let field = match name.as_str() {
                "content-type" => &mut fields.content_type,
                "grpc-timeout" => &mut fields.timeout,
                "grpc-encoding" => &mut fields.encoding,
                "hasleader" => &mut fields.has_leader,
                "token" => &mut fields.token,
                "authorization" => &mut fields.authorization,
                _ => continue,
            };
            field.get_or_insert_with(|| String::from_utf8_lossy(value.as_bytes()));
        }
        fields
    }
}

/// The part of a content type that names an encoding of messages; `None` if the content is not gRPC.
fn subtype(content_type: &str) -> Option<&str> {
    let rest = content_type.strip_prefix("application/grpc")?;
    if rest.is_empty() {
        return Some("");
    }
    rest.strip_prefix(['+', ';'])
}

/// Messages are protobuf, whatever the client calls their encoding.
fn content_type_of(subtype: &str) -> HeaderValue {
    let plain = HeaderValue::from_static("application/grpc");
    if subtype.is_empty() {
        return plain;
    }
    let name = format!("application/grpc+{subtype}");
    HeaderValue::try_from(name).unwrap_or(plain)
}

/// Reads a time such as `300m`.
fn parse_timeout(text: &str) -> Result<i64, String> {
    let problem = |what: &str| Err(format!("transport: {what}: \"{text}\""));
    match text.len() {
        0 | 1 => return problem("timeout string is too short"),
        2..=9 => {}
        _ => return problem("timeout string is too long"),
    }
    let unit = match text.as_bytes().last() {
        Some(b'H') => 3_600_000_000_000,
        Some(b'M') => 60_000_000_000,
        Some(b'S') => 1_000_000_000,
        Some(b'm') => 1_000_000,
        Some(b'u') => 1_000,
        Some(b'n') => 1,
        _ => return problem("timeout unit is not recognized"),
    };
    let number = text.get(..text.len() - 1).unwrap_or_default();
    let parsed: Result<i64, _> = number.parse();
    let parsed =
        parsed.map_err(|_| format!("strconv.ParseInt: parsing \"{number}\": invalid syntax"))?;
    Ok(parsed.saturating_mul(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_a_number_and_a_unit() {
        assert_eq!(parse_timeout("300m"), Ok(300_000_000));
        assert_eq!(parse_timeout("-1S"), Ok(-1_000_000_000));
        assert_eq!(parse_timeout("99999999H"), Ok(i64::MAX));
        for (text, problem) in [
            ("", "timeout string is too short: \"\""),
            ("10", "timeout unit is not recognized: \"10\""),
            ("123456789S", "timeout string is too long: \"123456789S\""),
        ] {
            assert_eq!(parse_timeout(text), Err(format!("transport: {problem}")));
        }
    }

    #[test]
    fn the_content_type_names_grpc() {
        assert_eq!(subtype("application/grpc"), Some(""));
        assert_eq!(subtype("application/grpc+proto"), Some("proto"));
        assert_eq!(subtype("application/grpc-web"), None);
        assert_eq!(subtype("application/json"), None);
    }
}
