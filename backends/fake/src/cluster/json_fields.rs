//! The fields of a v3 request, to be read by people: bytes as text, no secrets.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Deserializer, Value};

/// What is not shown.
const SECRETS: [&str; 3] = ["password", "hashedPassword", "token"];

/// The fields that hold bytes, in base64.
const BYTES: [&str; 3] = ["key", "value", "range_end"];

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The fields of all messages in a body, named as they were sent. What is nested has a name like `success.0.request_put.key`. A
/// body that is no JSON ends where that begins.
pub(super) fn fields(path: &str, body: &[u8]) -> Vec<(String, String)> {
    let services = ["/lock/", "/election/", "/v3lockpb.", "/v3electionpb."];
    let names_are_bytes = services.iter().any(|service| path.contains(service));
    let mut fields = Vec::new();
    let messages = Deserializer::from_slice(body).into_iter::<Value>();
    for message in messages.map_while(Result::ok) {
        collect("", &message, names_are_bytes, &mut fields);
    }
    fields
}

fn collect(name: &str, value: &Value, names_are_bytes: bool, out: &mut Vec<(String, String)>) {
    let inner = |part: &str| match name {
        "" => part.to_owned(),
        _ => format!("{name}.{part}"),
    };
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                collect(&inner(field), value, names_are_bytes, out);
            }
        }
        Value::Array(elements) => {
            for (position, value) in elements.iter().enumerate() {
                collect(&inner(&position.to_string()), value, names_are_bytes, out);
            }
        }
        Value::String(text) => {
            let field = name.rsplit('.').next().unwrap_or(name);
            let is_bytes = BYTES.contains(&field)
                || field == "rangeEnd"
                || (field == "name" && names_are_bytes);
            let shown = if SECRETS.contains(&field) {
                "…".to_owned()
            } else if is_bytes {
                shown_bytes(text)
            } else {
                text.clone()
            };
            out.push((name.to_owned(), shown));
        }
        _ => out.push((name.to_owned(), value.to_string())),
    }
}

/// Bytes in base64 as text; what is no base64 as it is.
fn shown_bytes(base64: &str) -> String {
    let decoded = STANDARD.decode(base64).or_else(|_| URL_SAFE.decode(base64));
    match decoded.map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => error.as_bytes().escape_ascii().to_string(),
        Err(_) => base64.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_and_passwords_are_hidden() {
        let shown = |path: &str, body: &str| {
            let fields = fields(path, body.as_bytes()).into_iter();
            let shown: Vec<String> = fields
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            shown.join(" ")
        };
        let txn = r#"{"success":[{"request_put":{"key":"YQ==","value":"/wA"}}],"compare":[{"key":"_-8","version":"1"}]}"#;
        assert_eq!(
            shown("/v3/kv/txn", txn),
            "compare.0.key=\\xff\\xef compare.0.version=1 success.0.request_put.key=a success.0.request_put.value=\\xff\\x00",
        );
        assert_eq!(
            shown("/v3/lock/lock", r#"{"name":"YQ==","lease":7}"#),
            "lease=7 name=a"
        );
        let user = r#"{"name":"ann","password":"secret"}{"key":"?"} and more"#;
        assert_eq!(
            shown("/v3/auth/user/add", user),
            "name=ann password=… key=?"
        );
    }
}
