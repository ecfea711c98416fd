use std::fmt::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;

use crate::{error::Result, pipeline::deadline::Deadline};

/// A message to etcd: the fields it has.
pub(crate) trait Encode {
    /// Whether etcd could carry it out; the error says what is wrong with it.
    fn check(&self, _operation: &'static str) -> Result<()> {
        Ok(())
    }

    /// Names every field and its value.
    fn fields(&self, to: &mut Fields<'_>);

    /// How long it may take.
    fn deadline(&self) -> Deadline {
        Deadline::Usual
    }

    /// About how many bytes of keys and values there are, to make room for at once.
    fn payload(&self) -> usize {
        0
    }
}

/// The value of a field.
pub(crate) trait ToWire {
    /// Whether it is left out, as every zero is.
    fn is_default(&self) -> bool;

    fn write(&self, json: &mut String);
}

/// Where a message puts its fields.
pub(crate) struct Fields<'a> {
    json: &'a mut String,
    is_empty: bool,
}

impl Fields<'_> {
    /// The field with this name has this value.
    pub(crate) fn put(&mut self, name: &'static str, value: &impl ToWire) -> &mut Self {
        if !value.is_default() {
            self.json.push_str(if self.is_empty { "\"" } else { ",\"" });
            self.json.push_str(name);
            self.json.push_str("\":");
            value.write(self.json);
            self.is_empty = false;
        }
        self
    }
}

/// The message as JSON.
pub(crate) fn to_json(message: &impl Encode) -> String {
    let mut json = String::with_capacity(64 + message.payload() / 3 * 4);
    message.write(&mut json);
    json
}

impl<M: Encode> ToWire for M {
    fn is_default(&self) -> bool {
        false
    }

    fn write(&self, json: &mut String) {
        json.push('{');
        self.fields(&mut Fields {
            json,
            is_empty: true,
        });
        json.push('}');
    }
}

impl<V: ToWire> ToWire for Option<V> {
    fn is_default(&self) -> bool {
        self.is_none()
    }

    fn write(&self, json: &mut String) {
        if let Some(value) = self {
            value.write(json);
        }
    }
}

impl<V: ToWire> ToWire for Vec<V> {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, json: &mut String) {
        for (index, value) in self.iter().enumerate() {
            json.push(if index == 0 { '[' } else { ',' });
            value.write(json);
        }
        json.push(']');
    }
}

/// Base64, of the standard alphabet and padded: all that etcd 3.4 understands.
impl ToWire for Bytes {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, json: &mut String) {
        json.push('"');
        BASE64_STANDARD.encode_string(self, json);
        json.push('"');
    }
}

impl ToWire for String {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, json: &mut String) {
        let escaped = serde_json::Value::from(self.as_str());
        // Writing to a `String` does not fail.
        let _ = write!(json, "{escaped}");
    }
}

impl ToWire for bool {
    fn is_default(&self) -> bool {
        !self
    }

    fn write(&self, json: &mut String) {
        json.push_str(if *self { "true" } else { "false" });
    }
}

/// 64 bits do not fit JavaScript's numbers, so protobuf's JSON has them as strings.
macro_rules! integers {
    ($($type:ty),+) => {$(
        impl ToWire for $type {
            fn is_default(&self) -> bool {
                *self == 0
            }

            fn write(&self, json: &mut String) {
                let _ = write!(json, "\"{self}\"");
            }
        }
    )+};
}

integers!(i64, u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Sample {
        key: Bytes,
        name: String,
        number: i64,
        id: u64,
        flag: bool,
        inner: Option<Box<Sample>>,
        list: Vec<Sample>,
    }

    impl Encode for Sample {
        fn fields(&self, to: &mut Fields<'_>) {
            to.put("key", &self.key)
                .put("name", &self.name)
                .put("number", &self.number)
                .put("id", &self.id)
                .put("flag", &self.flag)
                .put("inner", &self.inner)
                .put("list", &self.list);
        }
    }

    impl Encode for Box<Sample> {
        fn fields(&self, to: &mut Fields<'_>) {
            (**self).fields(to);
        }
    }

    #[test]
    fn zeros_are_left_out_but_an_empty_message_is_there() {
        assert_eq!(to_json(&Sample::default()), "{}");
        let sample = Sample {
            inner: Some(Box::default()),
            list: vec![Sample::default(), Sample::default()],
            ..Sample::default()
        };
        assert_eq!(to_json(&sample), r#"{"inner":{},"list":[{},{}]}"#);
    }

    #[test]
    fn v3_5_6_bytes_are_padded_base64_and_numbers_are_strings() {
        let sample = Sample {
            key: Bytes::from_static(b"\xff\xfe\0a"),
            name: "a\"\\\n".into(),
            number: i64::MIN,
            id: u64::MAX,
            flag: true,
            ..Sample::default()
        };
        assert_eq!(
            to_json(&sample),
            r#"{"key":"//4AYQ==","name":"a\"\\\n","number":"-9223372036854775808","id":"18446744073709551615","flag":true}"#
        );
    }
}
