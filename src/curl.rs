use std::fmt::Write;

use http::Method;
use serde_json::Value;

use crate::{
    base::endpoint::Endpoint,
    pipeline::{call::Login, exchange::Encoded},
};

/// Replaces a secret.
const REDACTED: &str = "***";

/// The secret fields in the bodies of v2's and v3's auth APIs.
const SECRET_FIELDS: [&str; 3] = ["password", "hashedPassword", "token"];

/// Returns a request to an endpoint as a curl command for `sh`. Credentials come from the environment: `user:password`
/// from `ETCDCTL_USER`, as etcdctl does, or a token from `ETCD_TOKEN`.
pub(crate) fn command(request: &Encoded, endpoint: &Endpoint, login: Login) -> String {
    let body = shown_body(request);
    let mut command = String::new();
    // An argument can hold any byte but NUL, and bytes that are not text do not survive copying from a screen.
    let text = body.as_deref().map(|body| {
        let text = str::from_utf8(body).ok();
        text.filter(|text| !text.contains('\0'))
    });
    if let (Some(None), Some(body)) = (text, body.as_deref()) {
        command.push_str("printf '");
        for byte in body {
            // Every `printf` supports octal.
            let _ = write!(command, "\\{byte:03o}");
        }
        command.push_str("' | ");
    }
    // curl must not interpret `[1-3]` in a URL or `..` in a path, nor read ~/.curlrc.
    command.push_str("curl --disable --globoff --path-as-is --silent --show-error");
    match request.method {
        Method::GET if body.is_none() => {}
        Method::HEAD => command.push_str(" --head"),
        ref method => {
            let _ = write!(command, " --request {}", quote(method.as_str()));
        }
    }
    command.push_str(match login {
        Login::None => "",
        Login::Basic => " --user \"$ETCDCTL_USER\"",
        Login::Token => " --header \"Authorization: $ETCD_TOKEN\"",
    });
    if let Some(content_type) = request.content_type.and_then(|it| it.to_str().ok()) {
        let header = format!("Content-Type: {content_type}");
        let _ = write!(command, " --header {}", quote(&header));
    }
    match text {
        Some(Some(text)) => {
            let _ = write!(command, " --data-raw {}", quote(text));
        }
        Some(None) => command.push_str(" --data-binary @-"),
        None => {}
    }
    // An endpoint and a target contain only characters of a URL.
    let url = format!("{endpoint}{}", request.target);
    let _ = write!(command, " {}", quote(&url));
    command
}

/// Returns the body without the passwords of the auth APIs.
fn shown_body(request: &Encoded) -> Option<Vec<u8>> {
    let body = &request.body;
    if body.is_empty() {
        return None;
    }
    // `/v2/auth/…`, `/v3/auth/…`, `/v3beta/auth/…`
    if request.target.path().split('/').nth(2) != Some("auth") {
        return Some(body.to_vec());
    }
    let shown = match serde_json::from_slice::<Value>(body) {
        Ok(mut value) => {
            redact(&mut value);
            value.to_string()
        }
        Err(_) => REDACTED.to_owned(),
    };
    Some(shown.into_bytes())
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if SECRET_FIELDS.contains(&name.as_str()) {
                    *value = REDACTED.into();
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(redact),
        _ => {}
    }
}

/// Quotes a word for `sh`.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{endpoints::wire::Wire, pipeline::exchange::Exchange, raw::RawRequest};

    fn curl(request: &RawRequest) -> String {
        let endpoint = "http://127.0.0.1:2379".parse().unwrap();
        let encoded = request.encode(Wire::Http).unwrap();
        command(&encoded, &endpoint, Login::None)
    }

    fn raw(method: Method, path: &str) -> RawRequest {
        RawRequest::new(method, path)
    }

    fn set(key: &str, value: &str) -> RawRequest {
        raw(Method::PUT, &format!("/v2/keys{key}")).form("value", value)
    }

    const START: &str = "curl --disable --globoff --path-as-is --silent --show-error";

    #[test]
    fn a_read_a_head_and_a_write() {
        assert_eq!(
            curl(&raw(Method::GET, "/v2/keys/a%20b").query("recursive", "true")),
            format!("{START} 'http://127.0.0.1:2379/v2/keys/a%20b?recursive=true'")
        );
        assert_eq!(
            curl(&raw(Method::HEAD, "/v2/keys/a")),
            format!("{START} --head 'http://127.0.0.1:2379/v2/keys/a'")
        );
        assert_eq!(
            curl(&set("/a", "it's $HOME `x` \\ \"!\n@")),
            format!(
                "{START} --request 'PUT' --header 'Content-Type: application/x-www-form-urlencoded' \
                 --data-raw 'value=it'\\''s $HOME `x` \\ \"!\n@' 'http://127.0.0.1:2379/v2/keys/a'"
            )
        );
    }

    #[test]
    fn bytes_that_no_argument_can_hold_come_by_standard_input() {
        let command = curl(&set("/a", "\0"));
        assert!(
            command.starts_with("printf '\\166\\141\\154\\165\\145\\075\\000' | curl "),
            "{command}"
        );
        assert!(command.contains(" --data-binary @- "), "{command}");
    }

    #[test]
    fn passwords_are_left_out() {
        let json = serde_json::json!({"name": "a", "deep": [{"password": "s3cret"}]});
        let user = serde_json::json!({"user": "a", "password": "s3cret"});
        for command in [
            curl(&raw(Method::PUT, "/v2/auth/users/a").json(&user)),
            curl(&raw(Method::POST, "/v3/auth/authenticate").json(&json)),
            curl(&raw(Method::POST, "/v3beta/auth/user/add").form("password", "s3cret")),
        ] {
            assert!(!command.contains("s3cret"), "{command}");
            assert!(command.contains(REDACTED), "{command}");
        }
        let key_of_that_name = curl(&set("/auth/password", "shown"));
        assert!(key_of_that_name.contains("shown"), "{key_of_that_name}");
    }
}
