//! Settings from the keys of a prefix.

use std::{error::Error as StdError, str};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// An error of the settings' own code, or a text.
pub(super) type Reason = Box<dyn StdError + Send + Sync>;

/// Puts the keys, each with its path and value, over the defaults, and decodes the result.
pub(super) fn assemble<'a, V: Serialize + DeserializeOwned>(
    defaults: &V,
    keys: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<V, Reason> {
    let mut document = serde_json::to_value(defaults)?;
    for (path, value) in keys {
        set(&mut document, path, value)?;
    }
    Ok(serde_json::from_value(document)?)
}

/// How many groups a field may be in, as in a JSON text.
const MAX_DEPTH: usize = 128;

/// Sets the field at this path, such as `limits/rate`.
fn set(document: &mut Value, path: &str, value: &[u8]) -> Result<(), Reason> {
    if path.split('/').nth(MAX_DEPTH).is_some() {
        return Err("its path has too many parts".into());
    }
    let mut place = document;
    for name in path.split('/') {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(fields) = place else {
            return Err("a key of its own sets a part of what is not a group".into());
        };
        place = fields.entry(name).or_insert(Value::Null);
    }
    let text = str::from_utf8(value)?;
    *place = match place {
        Value::String(_) => Value::String(text.to_owned()),
        _ => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Settings {
        name: String,
        level: Level,
        port: u16,
        ratio: Option<f64>,
        comment: Option<String>,
        tags: Vec<String>,
        limits: Limits,
        weights: BTreeMap<String, u32>,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Limits {
        rate: u32,
        burst: u32,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Level {
        #[default]
        Info,
        Debug,
    }

    fn read(keys: &[(&str, &str)]) -> Result<Settings, String> {
        let keys = keys.iter().map(|(path, value)| (*path, value.as_bytes()));
        assemble(&Settings::default(), keys).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_are_put_over_the_defaults() {
        assert_eq!(read(&[]), Ok(Settings::default()));
        let found = read(&[
            ("name", "42"),
            ("level", "debug"),
            ("port", "80"),
            ("ratio", "0.5"),
            ("comment", "two words"),
            ("tags", r#"["a","b"]"#),
            ("limits/rate", "7"),
            ("weights/a", "1"),
            ("weights/b", "2"),
            ("unknown/group", "ignored"),
        ]);
        let expected = Settings {
            name: "42".to_owned(),
            level: Level::Debug,
            port: 80,
            ratio: Some(0.5),
            comment: Some("two words".to_owned()),
            tags: ["a", "b"].map(str::to_owned).into(),
            limits: Limits { rate: 7, burst: 0 },
            weights: [("a".to_owned(), 1), ("b".to_owned(), 2)].into(),
        };
        assert_eq!(found, Ok(expected));
        let whole = read(&[("limits", r#"{"rate":1,"burst":2}"#), ("limits/burst", "3")]).unwrap();
        assert_eq!(whole.limits, Limits { rate: 1, burst: 3 });
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (path, value, reason) in [
            ("port", "-1", "invalid value"),
            ("port", "many", "invalid type"),
            ("limits", "7", "invalid type"),
            ("level", "loud", "unknown variant"),
            ("port/http", "80", "a part of what is not a group"),
            // Deeper than the stack.
            (&"x/".repeat(1 << 20), "1", "too many parts"),
        ] {
            let error = read(&[(path, value)]).unwrap_err();
            assert!(error.contains(reason), "{value}: {error}");
        }
    }
}
