//! The forms of one response, by the version of etcd and its gateway.

use serde_json::{Value, json};

/// Returns every form of this response, with its status.
pub(super) fn of(status: u16, json: &str) -> Vec<(u16, String)> {
    if status < 400 {
        return successes(json).map(|form| (status, form)).into();
    }
    // A page, or something that etcd does not send.
    let Ok(Value::Object(refusal)) = serde_json::from_str(json) else {
        return vec![];
    };
    let (Some(code), Some(message)) = (refusal.get("code"), refusal.get("message")) else {
        return vec![];
    };
    let shapes = [
        json!({"error": message, "message": message, "code": code}).to_string(),
        format!(r#"{{"error":{message},"code":{code},"message":{message}}}"#),
        format!(r#"{{"code":{code}, "message":{message}}}"#),
        format!(r#"{{"code":{code},"message":{message},"details":[]}}"#),
    ];
    // Only code 9 has had two statuses.
    let statuses = if *code == 9 {
        vec![400, 412]
    } else {
        vec![status]
    };
    let all = statuses
        .iter()
        .flat_map(|status| shapes.iter().map(|shape| (*status, shape.clone())));
    all.collect()
}

/// Compact, as etcd 3.4 writes it; with spaces, as 3.5 and 3.6 may; and with fields that only a later one has.
fn successes(json: &str) -> [String; 4] {
    let compact = rewritten(json, |byte| if byte == b' ' { "" } else { AS_IT_IS });
    let spaced = rewritten(&compact, |byte| if byte == b',' { ", " } else { AS_IT_IS });
    let first = rewritten(&compact, |byte| match byte {
        b'{' => r#"{"later":{"a":["}",{"b":null}]},"#,
        _ => AS_IT_IS,
    });
    let last = rewritten(&compact, |byte| match byte {
        b'}' => r#","laterEnum":7}"#,
        _ => AS_IT_IS,
    });
    [
        compact,
        spaced,
        first.replace(",}", "}"),
        last.replace("{,", "{"),
    ]
}

const AS_IT_IS: &str = "\0";

/// Returns the JSON with some bytes replaced, outside of strings.
fn rewritten(json: &str, instead: impl Fn(u8) -> &'static str) -> String {
    let (mut text, mut in_string, mut escaped) = (String::new(), false, false);
    for character in json.chars() {
        let byte = u8::try_from(character).unwrap_or(b'x');
        let new = if in_string { AS_IT_IS } else { instead(byte) };
        match new {
            AS_IT_IS => text.push(character),
            new => text.push_str(new),
        }
        in_string ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
    }
    text
}

#[test]
fn the_forms_are_what_the_gateways_write() {
    let given = r#"{"a":"b, \"c","d":{}, "e":[1,{"f":2}]}"#;
    let [compact, spaced, first, last] = successes(given);
    assert_eq!(compact, r#"{"a":"b, \"c","d":{},"e":[1,{"f":2}]}"#);
    assert_eq!(spaced, r#"{"a":"b, \"c", "d":{}, "e":[1, {"f":2}]}"#);
    for later in [first, last] {
        let value: Value = serde_json::from_str(&later).unwrap();
        assert_eq!(
            (&value["a"], &value["e"][1]["f"]),
            (&json!("b, \"c"), &json!(2))
        );
        assert_eq!(later.matches("later").count(), 3);
    }
    let refusals = of(412, r#"{"code":9,"message":"m"}"#);
    assert_eq!(refusals.len(), 8);
    assert!(refusals.contains(&(400, r#"{"error":"m","code":9,"message":"m"}"#.to_owned())));
    assert!(of(404, "Not Found\n").is_empty());
}
