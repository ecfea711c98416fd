use std::fmt::Write;

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::v3::protocol::message::{Encode, Fields, ToWire, WriteValue};

/// The message as JSON.
pub(crate) fn to_json(message: &impl Encode) -> String {
    let mut length = Length(0);
    length.message(message);
    let mut json = String::with_capacity(length.0);
    ToWire::write(message, Json(&mut json));
    json
}

/// Writes one value.
struct Json<'a>(&'a mut String);

impl WriteValue for Json<'_> {
    /// Base64 in the standard alphabet and padded: all that etcd 3.4 understands.
    fn bytes(self, value: &[u8]) {
        self.0.push('"');
        BASE64_STANDARD.encode_string(value, self.0);
        self.0.push('"');
    }

    fn string(self, value: &str) {
        let escaped = serde_json::Value::from(value);
        // Writing to a `String` does not fail.
        let _ = write!(self.0, "{escaped}");
    }

    fn bool(self, value: bool) {
        self.0.push_str(if value { "true" } else { "false" });
    }

    /// 64 bits do not fit JavaScript's numbers, so protobuf's JSON has them as strings.
    fn int64(self, value: i64) {
        let _ = write!(self.0, "\"{value}\"");
    }

    fn uint64(self, value: u64) {
        let _ = write!(self.0, "\"{value}\"");
    }

    fn enumeration(self, _: i32, name: &'static str) {
        self.0.push('"');
        self.0.push_str(name);
        self.0.push('"');
    }

    fn message(self, value: &impl Encode) {
        self.0.push('{');
        value.fields(&mut JsonFields {
            json: self.0,
            is_empty: true,
        });
        self.0.push('}');
    }

    fn list<V: ToWire>(self, values: &[V]) {
        self.0.push('[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            value.write(Json(self.0));
        }
        self.0.push(']');
    }
}

/// Where a message puts its fields.
struct JsonFields<'a> {
    json: &'a mut String,
    is_empty: bool,
}

impl Fields for JsonFields<'_> {
    fn put(&mut self, _tag: u32, name: &'static str, value: &impl ToWire) -> &mut Self {
        if !value.is_default() {
            self.json.push_str(if self.is_empty { "\"" } else { ",\"" });
            self.json.push_str(name);
            self.json.push_str("\":");
            value.write(Json(self.json));
            self.is_empty = false;
        }
        self
    }
}

/// How many bytes a message takes, escapes in strings aside: the buffer is allocated once.
struct Length(usize);

impl WriteValue for &mut Length {
    fn bytes(self, value: &[u8]) {
        self.0 += 2 + value.len().div_ceil(3) * 4;
    }

    fn string(self, value: &str) {
        self.0 += 2 + value.len();
    }

    fn bool(self, _: bool) {
        self.0 += "false".len();
    }

    fn int64(self, value: i64) {
        self.0 += usize::from(value < 0);
        self.uint64(value.unsigned_abs());
    }

    fn uint64(self, value: u64) {
        let digits = value.checked_ilog10().unwrap_or_default() as usize + 1;
        self.0 += 2 + digits;
    }

    fn enumeration(self, _: i32, name: &'static str) {
        self.0 += 2 + name.len();
    }

    fn message(self, value: &impl Encode) {
        self.0 += 2;
        value.fields(self);
    }

    fn list<V: ToWire>(self, values: &[V]) {
        self.0 += 2;
        for value in values {
            self.0 += 1;
            value.write(&mut *self);
        }
    }
}

impl Fields for Length {
    fn put(&mut self, _tag: u32, name: &'static str, value: &impl ToWire) -> &mut Self {
        if !value.is_default() {
            self.0 += 4 + name.len();
            value.write(&mut *self);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

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
        fn fields<F: Fields>(&self, to: &mut F) {
            to.put(1, "key", &self.key)
                .put(2, "name", &self.name)
                .put(3, "number", &self.number)
                .put(4, "id", &self.id)
                .put(5, "flag", &self.flag)
                .put(6, "inner", &self.inner)
                .put(7, "list", &self.list);
        }
    }

    impl Encode for Box<Sample> {
        fn fields<F: Fields>(&self, to: &mut F) {
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

    #[test]
    fn the_buffer_is_as_long_as_the_message_needs() {
        let sample = Sample {
            key: Bytes::from_static(b"\xff\xfe\0a"),
            name: "a name".into(),
            number: -17,
            id: 1_000,
            inner: Some(Box::default()),
            list: vec![Sample::default(), Sample::default()],
            flag: false,
        };
        let json = to_json(&sample);
        assert!(
            json.capacity() - json.len() <= 4,
            "{} {json}",
            json.capacity()
        );
    }
}
