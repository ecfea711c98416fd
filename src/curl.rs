use std::fmt::Write;

use http::Method;
use serde_json::Value;

use crate::{endpoints::endpoint::Endpoint, operation::Call};

/// What stands for a secret.
const REDACTED: &str = "***";

/// The fields of the auth API's bodies that are secret, v2's and v3's.
const SECRET_FIELDS: [&str; 3] = ["password", "hashedPassword", "token"];

/// What the command takes from its environment, in the place of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    Nothing,
    /// `user:password` from `ETCDCTL_USER`, as etcdctl does.
    User,
    /// A token of the v3 API from `ETCD_TOKEN`.
    Token,
}

/// A call at an endpoint as a command for `sh` with curl.
pub(crate) fn command(call: &Call, endpoint: &Endpoint, login: Login) -> String {
    let body = shown_body(call);
    let mut command = String::new();
    // An argument can hold any byte but NUL; bytes that are no text are better not copied from a screen.
    let text = body.as_deref().map(|body| {
        let text = str::from_utf8(body).ok();
        text.filter(|text| !text.contains('\0'))
    });
    if let (Some(None), Some(body)) = (text, body.as_deref()) {
        command.push_str("printf '");
        for byte in body {
            // Octal is what every `printf` knows.
            let _ = write!(command, "\\{byte:03o}");
        }
        command.push_str("' | ");
    }
    // Neither `[1-3]` in a URL nor `..` in a path has a meaning, and ~/.curlrc has no say.
    command.push_str("curl --disable --globoff --path-as-is --silent --show-error");
    match *call.method() {
        Method::GET if body.is_none() => {}
        Method::HEAD => command.push_str(" --head"),
        ref method => {
            let _ = write!(command, " --request {}", quote(method.as_str()));
        }
    }
    command.push_str(match login {
        Login::Nothing => "",
        Login::User => " --user \"$ETCDCTL_USER\"",
        Login::Token => " --header \"Authorization: $ETCD_TOKEN\"",
    });
    if let Some(content_type) = call.content_type() {
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
    // An endpoint and a target are made of what a URL may hold.
    let url = format!("{endpoint}{}", call.target());
    let _ = write!(command, " {}", quote(&url));
    command
}

/// The body, without the passwords that the auth API's bodies hold.
fn shown_body(call: &Call) -> Option<Vec<u8>> {
    let body = call.body_bytes();
    if body.is_empty() {
        return None;
    }
    // `/v2/auth/…`, `/v3/auth/…`, `/v3beta/auth/…`
    if call.target.path().split('/').nth(2) != Some("auth") {
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

/// A word that `sh` takes as it is.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::Operation,
        raw::RawRequest,
        v2::{ChangePassword, CreateUser, Exists, Get, Set},
    };

    fn curl(operation: &impl Operation) -> String {
        let endpoint = "http://127.0.0.1:2379".parse().unwrap();
        operation.encode().unwrap().to_curl(&endpoint)
    }

    const START: &str = "curl --disable --globoff --path-as-is --silent --show-error";

    #[test]
    fn a_read_a_head_and_a_write() {
        assert_eq!(
            curl(&Get::new("/a b").recursive(true)),
            format!("{START} 'http://127.0.0.1:2379/v2/keys/a%20b?recursive=true'")
        );
        assert_eq!(
            curl(&Exists::new("/a")),
            format!("{START} --head 'http://127.0.0.1:2379/v2/keys/a'")
        );
        assert_eq!(
            curl(&Set::new("/a", "it's $HOME `x` \\ \"!\n@")),
            format!(
                "{START} --request 'PUT' --header 'Content-Type: application/x-www-form-urlencoded' \
                 --data-raw 'value=it'\\''s $HOME `x` \\ \"!\n@' 'http://127.0.0.1:2379/v2/keys/a'"
            )
        );
    }

    #[test]
    fn bytes_that_no_argument_can_hold_come_by_standard_input() {
        let command = curl(&Set::new("/a", "\0"));
        assert!(
            command.starts_with("printf '\\166\\141\\154\\165\\145\\075\\000' | curl "),
            "{command}"
        );
        assert!(command.contains(" --data-binary @- "), "{command}");
    }

    #[test]
    fn passwords_are_left_out() {
        let json = serde_json::json!({"name": "a", "deep": [{"password": "s3cret"}]});
        let raw = |path: &str| RawRequest::new(Method::POST, path);
        for command in [
            curl(&CreateUser::new("a", "s3cret")),
            curl(&ChangePassword::new("a", "s3cret")),
            curl(&raw("/v3/auth/authenticate").json(&json)),
            curl(&raw("/v3beta/auth/user/add").form("password", "s3cret")),
        ] {
            assert!(!command.contains("s3cret"), "{command}");
            assert!(command.contains(REDACTED), "{command}");
        }
        let key_of_that_name = curl(&Set::new("/auth/password", "shown"));
        assert!(key_of_that_name.contains("shown"), "{key_of_that_name}");
    }
}
