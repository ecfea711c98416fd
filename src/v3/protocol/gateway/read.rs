use std::{borrow::Cow, fmt, marker::PhantomData};

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor},
};

/// A message from etcd. [`decode!`](super::decode) implements it.
pub(crate) trait Decode: Default {
    /// Takes in one field.
    fn take<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        field: FieldOf<'_, A>,
    ) -> Result<(), A::Error>;

    /// A field that is missing, and without which this is no message of etcd's.
    fn lacks(&self) -> Option<&'static str> {
        None
    }
}

/// What a field can be.
pub(crate) trait FromWire: Sized {
    fn read<'de, D: Deserializer<'de>>(json: D) -> Result<Self, D::Error>;
}

/// The message in this JSON.
pub(crate) fn parse<M: Decode>(json: &[u8]) -> serde_json::Result<M> {
    serde_json::from_slice(json).map(|As(message)| message)
}

/// The messages that stand one after the other in this JSON.
pub(crate) fn parse_all<M: Decode>(json: &[u8]) -> impl Iterator<Item = serde_json::Result<M>> {
    let values = serde_json::Deserializer::from_slice(json).into_iter::<As<M>>();
    values.map(|message| message.map(|As(message)| message))
}

/// The value of a field that is about to be read.
pub(crate) struct FieldOf<'a, A>(&'a mut A);

impl<'de, A: MapAccess<'de>> FieldOf<'_, A> {
    pub(crate) fn into<V: FromWire>(self, place: &mut V) -> Result<(), A::Error> {
        let As(value) = self.0.next_value()?;
        *place = value;
        Ok(())
    }

    pub(crate) fn skip(self) -> Result<(), A::Error> {
        self.0.next_value::<IgnoredAny>().map(drop)
    }
}

/// Lends serde our way of reading.
pub(super) struct As<V>(pub(super) V);

impl<'de, V: FromWire> Deserialize<'de> for As<V> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        V::read(json).map(As)
    }
}

impl<M: Decode> FromWire for M {
    fn read<'de, D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Message<M>(PhantomData<M>);

        impl<'de, M: Decode> Visitor<'de> for Message<M> {
            type Value = M;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
                let mut message = M::default();
                while let Some(FieldName(name)) = map.next_key()? {
                    message.take(&name, FieldOf(&mut map))?;
                }
                match message.lacks() {
                    Some(field) => Err(de::Error::missing_field(field)),
                    None => Ok(message),
                }
            }
        }

        json.deserialize_map(Message(PhantomData))
    }
}

impl<V: FromWire> FromWire for Vec<V> {
    fn read<'de, D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct List<V>(PhantomData<V>);

        impl<'de, V: FromWire> Visitor<'de> for List<V> {
            type Value = Vec<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<V>, A::Error> {
                let mut list = Vec::new();
                while let Some(As(element)) = elements.next_element()? {
                    list.push(element);
                }
                Ok(list)
            }
        }

        json.deserialize_seq(List(PhantomData))
    }
}

impl<V: FromWire> FromWire for Option<V> {
    fn read<'de, D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        Ok(Option::<As<V>>::deserialize(json)?.map(|As(value)| value))
    }
}

impl FromWire for bool {
    fn read<'de, D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        bool::deserialize(json)
    }
}

impl FromWire for String {
    fn read<'de, D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        String::deserialize(json)
    }
}

/// Reads a value out of a string or a number, without keeping the string.
macro_rules! from_text {
    ($json:ident, $value:ty, $expecting:literal, $from_text:expr, $from_number:expr) => {{
        struct Text;

        impl Visitor<'_> for Text {
            type Value = $value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expecting)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<$value, E> {
                let from_text: fn(&str) -> Option<$value> = $from_text;
                from_text(text)
                    .ok_or_else(|| E::invalid_value(Unexpected::Other("this text"), &self))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<$value, E> {
                let from_number: fn(i128) -> Option<$value> = $from_number;
                from_number(number.into())
                    .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<$value, E> {
                let from_number: fn(i128) -> Option<$value> = $from_number;
                from_number(number.into())
                    .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
            }
        }

        $json.deserialize_any(Text)
    }};
}

macro_rules! integers {
    ($($type:ty),+) => {$(
        impl FromWire for $type {
            fn read<'de, D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
                from_text!(
                    json, $type, "an integer, or one in a string",
                    |text| text.parse().ok(),
                    |number| number.try_into().ok()
                )
            }
        }
    )+};
}

integers!(i64, u64, u32);

impl FromWire for Bytes {
    fn read<'de, D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        from_text!(json, Bytes, "base64", from_base64, |_| None)
    }
}

/// etcd's standard and padded, and what others may send: URL-safe, or without padding.
fn from_base64(text: &str) -> Option<Bytes> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD_ENGINE: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
    const URL_SAFE_ENGINE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

    let bytes = STANDARD_ENGINE.decode(text);
    bytes
        .or_else(|_| URL_SAFE_ENGINE.decode(text))
        .ok()
        .map(Bytes::from)
}

/// Reads one of an enumeration's values, by its name or its place; `other` instead of any that is not listed.
pub(crate) fn read_name<'de, D: Deserializer<'de>, V: Copy + 'static>(
    json: D,
    all: &'static [(&'static str, V)],
    other: Option<V>,
) -> Result<V, D::Error> {
    struct Names<V: 'static> {
        all: &'static [(&'static str, V)],
        other: Option<V>,
    }

    impl<V: Copy> Visitor<'_> for Names<V> {
        type Value = V;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("one of ")?;
            f.debug_list()
                .entries(self.all.iter().map(|(name, _)| name))
                .finish()
        }

        fn visit_str<E: de::Error>(self, given: &str) -> Result<V, E> {
            let found = self.all.iter().find(|(name, _)| *name == given);
            found
                .map(|(_, value)| *value)
                .or(self.other)
                .ok_or_else(|| E::invalid_value(Unexpected::Str(given), &self))
        }

        fn visit_u64<E: de::Error>(self, place: u64) -> Result<V, E> {
            let found = usize::try_from(place).ok().and_then(|at| self.all.get(at));
            found
                .map(|(_, value)| *value)
                .or(self.other)
                .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(place), &self))
        }

        fn visit_i64<E: de::Error>(self, negative: i64) -> Result<V, E> {
            self.other
                .ok_or_else(|| E::invalid_value(Unexpected::Signed(negative), &self))
        }
    }

    json.deserialize_any(Names { all, other })
}

/// The name of a field: borrowed, unless it has escapes in it.
pub(super) struct FieldName<'de>(pub(super) Cow<'de, str>);

impl<'de> Deserialize<'de> for FieldName<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Name;

        impl<'de> Visitor<'de> for Name {
            type Value = FieldName<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(FieldName(Cow::Borrowed(name)))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(FieldName(Cow::Owned(name.to_owned())))
            }
        }

        json.deserialize_str(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::protocol::gateway;

    #[derive(Debug, Default, PartialEq)]
    struct Sample {
        key: Bytes,
        number: i64,
        id: u64,
        small: u32,
        flag: bool,
        name: String,
        inner: Option<Inner>,
        list: Vec<Inner>,
    }

    #[derive(Debug, Default, PartialEq)]
    struct Inner {
        color: Color,
    }

    gateway::names! {
        /// A colour.
        enum Color {
            /// The default.
            Red = "RED",
            /// Another.
            Blue = "BLUE",
        }
    }

    gateway::decode!(Inner { "color" => color });

    gateway::decode!(Sample {
        "key" => key,
        "number" => number,
        "ID" => id,
        "small" => small,
        "flag" => flag,
        "name" => name,
        "inner" => inner,
        "list" => list,
    });

    fn sample(json: &str) -> Sample {
        parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn v3_4_what_is_absent_is_zero_and_what_is_unknown_is_passed_over() {
        assert_eq!(sample("{}"), Sample::default());
        let unknown = r#"{"x":{"key":"YQ==","y":[1,{"z":null}]},"k\u0065y":"Yg==","n\t":1}"#;
        assert_eq!(sample(unknown).key, "b");
    }

    #[test]
    fn v3_7_spacing_does_not_matter() {
        let compact = r#"{"number":"1","inner":{"color":"BLUE"},"list":[{},{"color":"RED"}]}"#;
        let spaced = compact.replace(',', ", ").replace(':', " :\n ");
        assert_eq!(sample(compact), sample(&spaced));
        assert_eq!(sample(compact).inner, Some(Inner { color: Color::Blue }));
        assert_eq!(sample(compact).list.len(), 2);
    }

    #[test]
    fn v3_4_integers_are_strings_or_numbers_of_all_64_bits() {
        let strings =
            r#"{"number":"-9223372036854775808","ID":"18446744073709551615","small":"7"}"#;
        let numbers = r#"{"number":-9223372036854775808,"ID":18446744073709551615,"small":7}"#;
        assert_eq!(sample(strings), sample(numbers));
        assert_eq!(sample(strings).number, i64::MIN);
        assert_eq!(sample(strings).id, u64::MAX);
        for wrong in [
            r#"{"number":"9223372036854775808"}"#,
            r#"{"number":""}"#,
            r#"{"ID":-1}"#,
            r#"{"small":4294967296}"#,
            r#"{"number":1.5}"#,
        ] {
            assert!(parse::<Sample>(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn base64_of_every_kind_is_read() {
        for text in ["//4AYQ==", "//4AYQ", "__4AYQ==", "__4AYQ", r"\/\/4AYQ=="] {
            let json = format!(r#"{{"key":"{text}"}}"#);
            assert_eq!(sample(&json).key, &b"\xff\xfe\0a"[..], "{text}");
        }
        for wrong in [r#"{"key":"a"}"#, r#"{"key":"*"}"#, r#"{"key":1}"#] {
            assert!(parse::<Sample>(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn enumerations_are_read_by_name_or_number() {
        let color = |json: &str| parse::<Inner>(json.as_bytes()).map(|inner| inner.color);
        assert_eq!(color(r#"{"color":"BLUE"}"#).unwrap(), Color::Blue);
        assert_eq!(color(r#"{"color":1}"#).unwrap(), Color::Blue);
        let error = color(r#"{"color":"GREEN"}"#).unwrap_err().to_string();
        let expected = r#"invalid value: string "GREEN", expected one of ["RED", "BLUE"]"#;
        assert!(error.starts_with(expected), "{error}");
        for wrong in [r#"{"color":2}"#, r#"{"color":-1}"#, r#"{"color":true}"#] {
            assert!(color(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_value_that_only_a_later_etcd_has_is_read_where_there_is_a_place_for_it() {
        gateway::names! {
            /// A size.
            enum Size {
                /// The default.
                Small = "SMALL",
            }
            else {
                /// Another.
                Other
            }
        }
        let size = |json: &str| {
            let mut json = serde_json::Deserializer::from_str(json);
            Size::read(&mut json)
        };
        assert_eq!(size("\"SMALL\"").unwrap(), Size::Small);
        assert_eq!(size("0").unwrap(), Size::Small);
        for other in ["\"HUGE\"", "\"\"", "7", "-1"] {
            assert_eq!(size(other).unwrap(), Size::Other, "{other}");
        }
        for wrong in ["true", "{}", "1.5"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Size::Other.name(), "UNKNOWN");
    }
}
