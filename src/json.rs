//! Public types that are decoded from JSON, without an implementation of serde's traits: those would be part of the public
//! interface.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};

use crate::{
    base::budget,
    error::Result as ClientResult,
    pipeline::answer::{Answer, NOT_ETCD},
};

/// A type that is decoded from JSON.
pub(crate) trait Decode: Sized {
    /// Decodes a value.
    ///
    /// # Errors
    /// If the JSON is of another form.
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// What serde decodes by [`Decode`].
pub(crate) struct Json<D>(pub(crate) D);

impl<'de, T: Decode> Deserialize<'de> for Json<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::decode(deserializer).map(Self)
    }
}

/// Decodes JSON. That it is UTF-8 is checked once, which is faster than for each of its strings.
///
/// # Errors
/// If it is not JSON, or of another form.
pub(crate) fn parse<'de, D: Deserialize<'de>>(json: &'de [u8]) -> serde_json::Result<D> {
    parse_seed(json, PhantomData)
}

/// Likewise, by a seed.
///
/// # Errors
/// As for [`parse`].
pub(crate) fn parse_seed<'de, S: DeserializeSeed<'de>>(
    json: &'de [u8],
    seed: S,
) -> serde_json::Result<S::Value> {
    let text = str::from_utf8(json).map_err(de::Error::custom)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Responses whose bodies are JSON.
impl Answer {
    /// Decodes the body of a success.
    pub(crate) fn json<D: DeserializeOwned>(self: Box<Self>) -> ClientResult<D> {
        let answer = self.success()?;
        answer.decode_within(NOT_ETCD, || parse(&answer.reply.body))
    }

    /// Decodes the body of a success, of a public type.
    pub(crate) fn decode<D: Decode>(self: Box<Self>) -> ClientResult<D> {
        self.json().map(|Json(decoded)| decoded)
    }
}

/// Go's encoder sometimes writes an empty list as `null`.
impl<T: Decode> Decode for Vec<T> {
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);

        impl<'de, T: Decode> Visitor<'de> for List<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Vec<T>, E> {
                Ok(Vec::new())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(Json(item)) = items.next_element()? {
                    budget::push(&mut list, item).map_err(de::Error::custom)?;
                }
                Ok(list)
            }
        }

        deserializer.deserialize_any(List(PhantomData))
    }
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<T>(PhantomData<T>);

        impl<'de, T: Decode> Visitor<'de> for Map<T> {
            type Value = BTreeMap<String, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut map = BTreeMap::new();
                while let Some((key, Json(item))) = entries.next_entry()? {
                    // The nodes of the tree may be half full.
                    budget::charge(2 * size_of::<(String, T)>()).map_err(de::Error::custom)?;
                    map.insert(key, item);
                }
                Ok(map)
            }
        }

        deserializer.deserialize_map(Map(PhantomData))
    }
}

impl Decode for String {
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

/// Declares a public struct of public fields, and how it is decoded: attributes of serde's follow the documentation of the
/// struct and of each field. `#[serde(deserialize_with = "Decode::decode")]` decodes a field that serde does not know.
macro_rules! decoded {
    (
        $(#[doc = $doc:expr])*
        #[derive($($derive:ident),+)]
        $(#[serde($($serde:tt)+)])?
        pub struct $name:ident {$(
            $(#[doc = $field_doc:expr])*
            $(#[serde($($field_serde:tt)+)])*
            pub $field:ident: $type:ty,
        )+}
    ) => {
        $(#[doc = $doc])*
        #[derive($($derive),+)]
        #[non_exhaustive]
        pub struct $name {$(
            $(#[doc = $field_doc])*
            pub $field: $type,
        )+}

        impl $crate::json::Decode for $name {
            fn decode<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Default, serde::Deserialize)]
                $(#[serde($($serde)+)])?
                struct Wire {$(
                    $(#[serde($($field_serde)+)])*
                    $field: $type,
                )+}

                let Wire { $($field),+ } = serde::Deserialize::deserialize(deserializer)?;
                Ok(Self { $($field),+ })
            }
        }
    };
}

pub(crate) use decoded;
