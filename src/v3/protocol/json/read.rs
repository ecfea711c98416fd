use std::{borrow::Cow, fmt, marker::PhantomData};

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor},
};

use crate::{
    base::budget,
    json,
    v3::{
        Header,
        protocol::message::{Decode, Field, FromWire, Key, Named, ReadValue},
    },
};

/// The message in this JSON.
pub(crate) fn parse<M: Decode>(json: &[u8]) -> serde_json::Result<M> {
    json::parse(json).map(|As(message)| message)
}

/// The response in this JSON, of which the header was read before: most of a short response.
pub(crate) fn parse_after_header<M: Decode>(json: &[u8], header: Header) -> serde_json::Result<M> {
    json::parse_seed(json, AfterHeader(header, PhantomData))
}

/// Reads a response and skips its first header.
struct AfterHeader<M>(Header, PhantomData<M>);

impl<'de, M: Decode> DeserializeSeed<'de> for AfterHeader<M> {
    type Value = M;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<M, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, M: Decode> Visitor<'de> for AfterHeader<M> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
        let mut message = M::default();
        let mut header = Some(self.0);
        while let Some(FieldName(name)) = map.next_key()? {
            if name == "header"
                && let Some(place) = message.header()
                && let Some(header) = header.take()
            {
                *place = header;
                map.next_value::<IgnoredAny>()?;
            } else {
                message.take(Key::Name(&name), JsonField(&mut map, PhantomData))?;
            }
        }
        match message.missing() {
            Some(field) => Err(de::Error::missing_field(field)),
            None => Ok(message),
        }
    }
}

/// The messages that follow one another in this JSON.
pub(crate) fn parse_all<M: Decode>(json: &[u8]) -> impl Iterator<Item = serde_json::Result<M>> {
    let values = serde_json::Deserializer::from_slice(json).into_iter::<As<M>>();
    values.map(|message| message.map(|As(message)| message))
}

/// Lets serde read a value through [`FromWire`].
pub(super) struct As<V>(pub(super) V);

impl<'de, V: FromWire> Deserialize<'de> for As<V> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        V::read(Json::new(json)).map(As)
    }
}

/// Lets serde read a value into its field.
struct Seed<'a, V>(&'a mut V);

impl<'de, V: FromWire> DeserializeSeed<'de> for Seed<'_, V> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        self.0.merge(Json::new(json))
    }
}

/// A field in an object.
struct JsonField<'a, 'de, A>(&'a mut A, PhantomData<&'de ()>);

impl<'de, A: MapAccess<'de>> Field for JsonField<'_, 'de, A> {
    type Error = A::Error;

    fn read_into(self, place: &mut impl FromWire) -> Result<(), A::Error> {
        self.0.next_value_seed(Seed(place))
    }

    fn skip(self) -> Result<(), A::Error> {
        self.0.next_value::<IgnoredAny>().map(drop)
    }
}

/// Reads a value from a string or a number, without a copy of the string.
macro_rules! from_text {
    ($json:expr, $value:ty, $expecting:literal, $from_text:expr, $from_number:expr) => {{
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

        $json.0.deserialize_any(Text)
    }};
}

macro_rules! integer {
    ($json:expr, $type:ty) => {
        from_text!(
            $json,
            $type,
            "an integer, or one in a string",
            |text| text.parse().ok(),
            |number| number.try_into().ok()
        )
    };
}

/// A value. Where a name occurs twice in an object, the last value replaces the first.
struct Json<'de, D>(D, PhantomData<&'de ()>);

impl<'de, D: Deserializer<'de>> Json<'de, D> {
    fn new(json: D) -> Self {
        Self(json, PhantomData)
    }
}

impl<'de, D: Deserializer<'de>> ReadValue for Json<'de, D> {
    type Error = D::Error;

    fn bytes(self) -> Result<Bytes, D::Error> {
        from_text!(self, Bytes, "base64", from_base64, |_| None)
    }

    fn string(self) -> Result<String, D::Error> {
        String::deserialize(self.0)
    }

    fn bool(self) -> Result<bool, D::Error> {
        bool::deserialize(self.0)
    }

    fn int64(self) -> Result<i64, D::Error> {
        integer!(self, i64)
    }

    fn uint64(self) -> Result<u64, D::Error> {
        integer!(self, u64)
    }

    fn uint32(self) -> Result<u32, D::Error> {
        integer!(self, u32)
    }

    fn enumeration<V: Copy + 'static>(
        self,
        all: &'static [Named<V>],
        other: Option<V>,
    ) -> Result<V, D::Error> {
        self.0.deserialize_any(Names { all, other })
    }

    fn message(self, place: &mut impl Decode) -> Result<(), D::Error> {
        struct Message<'a, M>(&'a mut M);

        impl<'de, M: Decode> Visitor<'de> for Message<'_, M> {
            type Value = ();

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                let message = self.0;
                *message = M::default();
                while let Some(FieldName(name)) = map.next_key()? {
                    message.take(Key::Name(&name), JsonField(&mut map, PhantomData))?;
                }
                match message.missing() {
                    Some(field) => Err(de::Error::missing_field(field)),
                    None => Ok(()),
                }
            }
        }

        self.0.deserialize_map(Message(place))
    }

    fn list<V: FromWire>(self, list: &mut Vec<V>) -> Result<(), D::Error> {
        struct List<'a, V>(&'a mut Vec<V>);

        impl<'de, V: FromWire> Visitor<'de> for List<'_, V> {
            type Value = ();

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
                self.0.clear();
                while let Some(As(element)) = elements.next_element()? {
                    budget::push(self.0, element).map_err(de::Error::custom)?;
                }
                Ok(())
            }
        }

        self.0.deserialize_seq(List(list))
    }

    fn option<V: FromWire>(self, place: &mut Option<V>) -> Result<(), D::Error> {
        *place = Option::<As<V>>::deserialize(self.0)?.map(|As(value)| value);
        Ok(())
    }

    fn invalid(what: &'static str) -> D::Error {
        de::Error::custom(what)
    }
}

/// Reads base64 as etcd writes it, standard and padded, and as others may: URL-safe, or without padding.
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

/// Reads a value of an enumeration by its name or its number.
struct Names<V: 'static> {
    all: &'static [Named<V>],
    other: Option<V>,
}

impl<V: Copy> Visitor<'_> for Names<V> {
    type Value = V;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of ")?;
        f.debug_list()
            .entries(self.all.iter().map(|(_, name, _)| name))
            .finish()
    }

    fn visit_str<E: de::Error>(self, given: &str) -> Result<V, E> {
        let found = self.all.iter().find(|(_, name, _)| *name == given);
        found
            .map(|(_, _, value)| *value)
            .or(self.other)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(given), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<V, E> {
        let found = self
            .all
            .iter()
            .find(|(known, ..)| u64::try_from(*known) == Ok(number));
        found
            .map(|(_, _, value)| *value)
            .or(self.other)
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: de::Error>(self, negative: i64) -> Result<V, E> {
        self.other
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(negative), &self))
    }
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
mod tests;
