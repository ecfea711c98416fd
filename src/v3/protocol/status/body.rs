//! The JSON of a refusal, in any of the shapes that gateways use.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// The fields that a refusal may have. All others are skipped.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body {
    pub(super) error: Option<Part>,
    pub(super) grpc_code: Option<Part>,
    pub(super) code: Option<Part>,
    pub(super) message: Option<Part>,
}

/// A value in a refusal.
#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    Number(u64),
    Object(Box<Body>),
    /// It says nothing, whatever it is: nothing of it is kept.
    Other,
}

impl Body {
    /// Reads a body that may be anything, such as a listing.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        match serde_json::from_slice(json).ok()? {
            Part::Object(body) => Some(*body),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PartVisitor;

        impl<'de> Visitor<'de> for PartVisitor {
            type Value = Part;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Part, E> {
                Ok(Part::Text(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Part, E> {
                Ok(Part::Number(number))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Part, A::Error> {
                let body = Body::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Part::Object(Box::new(body)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Part, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Part::Other)
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Part, E> {
                Ok(Part::Other)
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Part, E> {
                Ok(Part::Other)
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Part, E> {
                Ok(Part::Other)
            }

            fn visit_unit<E: Error>(self) -> Result<Part, E> {
                Ok(Part::Other)
            }
        }

        deserializer.deserialize_any(PartVisitor)
    }
}
