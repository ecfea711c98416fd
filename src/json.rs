//! Public types that are decoded from JSON, without an implementation of serde's traits: those would be part of the public
//! interface.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

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

/// Go's encoder sometimes writes an empty list as `null`.
impl<T: Decode> Decode for Vec<T> {
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list: Option<Vec<Json<T>>> = Option::deserialize(deserializer)?;
        let items = list.unwrap_or_default().into_iter();
        Ok(items.map(|Json(item)| item).collect())
    }
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map: BTreeMap<String, Json<T>> = BTreeMap::deserialize(deserializer)?;
        Ok(map
            .into_iter()
            .map(|(key, Json(item))| (key, item))
            .collect())
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
