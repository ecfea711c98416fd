//! Keys and values: bytes, which text and byte types convert into.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

macro_rules! from_bytes {
    ($name:ident: copied $($type:ty),+) => {$(
        impl From<$type> for $name {
            fn from(bytes: $type) -> Self {
                Self(Bytes::copy_from_slice(bytes.as_ref()))
            }
        }
    )+};
    ($name:ident: $($type:ty),+) => {$(
        impl From<$type> for $name {
            fn from(bytes: $type) -> Self {
                Self(bytes.into())
            }
        }
    )+};
}

macro_rules! bytes_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Bytes);

        impl $name {
            /// The bytes, without a copy.
            pub fn into_bytes(self) -> Bytes {
                self.0
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        /// Prints the bytes as text with escapes: `b"foo\xff"`.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Bytes> for $name {
            fn from(bytes: Bytes) -> Self {
                Self(bytes)
            }
        }

        impl From<&Bytes> for $name {
            fn from(bytes: &Bytes) -> Self {
                Self(bytes.clone())
            }
        }

        impl From<&$name> for $name {
            fn from(bytes: &$name) -> Self {
                bytes.clone()
            }
        }

        impl From<$name> for Bytes {
            fn from(bytes: $name) -> Self {
                bytes.0
            }
        }

        from_bytes!($name: String, Vec<u8>, Box<[u8]>);
        from_bytes!($name: copied &str, &String, &[u8], &Vec<u8>);

        impl<const N: usize> From<&[u8; N]> for $name {
            fn from(bytes: &[u8; N]) -> Self {
                Self(Bytes::copy_from_slice(bytes))
            }
        }

        impl<const N: usize> From<[u8; N]> for $name {
            fn from(bytes: [u8; N]) -> Self {
                Self(Bytes::copy_from_slice(&bytes))
            }
        }

        impl From<Cow<'_, str>> for $name {
            fn from(text: Cow<'_, str>) -> Self {
                Self(text.into_owned().into())
            }
        }

        impl From<Cow<'_, [u8]>> for $name {
            fn from(bytes: Cow<'_, [u8]>) -> Self {
                Self(bytes.into_owned().into())
            }
        }
    };
}

bytes_type! {
    /// A key: bytes, of any kind.
    ///
    /// Every `impl Into<Key>` accepts text and bytes, borrowed or owned. [`Bytes`] are not copied, neither by value nor
    /// by reference: the key of a [`KeyValue`](crate::v3::KeyValue) can be passed on as `&kv.key`.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use etcd_http::v3::{Put, Range};
    ///
    /// let (text, key) = (String::from("config"), Bytes::from_static(b"config"));
    /// let _ = (Put::new(&text, "on"), Put::new(&key, b"\x01"), Range::new(key));
    /// ```
    Key
}

bytes_type! {
    /// A value: bytes, of any kind. See [`Key`] for what it can be made from.
    Value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::{
        Campaign, Compare, DeleteRange, ExactlyOnce, GetLeader, KeyRange, KeyValue, Lock, Observe,
        Proclaim, Put, Range, Txn, Unlock, Watch, testing::body,
    };

    /// Each of these expressions can be used as a key and as a value.
    macro_rules! anything {
        ($(|$kv:ident| $bytes:expr;)+) => {$({
            let $kv = KeyValue {
                key: "foo".into(),
                ..KeyValue::default()
            };
            let expected = body(&Put::new("foo", "foo"));
            assert_eq!(body(&Put::new($bytes, $bytes)), expected, stringify!($bytes));
            let _ = Put::keep_value($bytes);
            assert_eq!(Range::new($bytes), Range::new("foo"));
            assert_eq!(KeyRange::from($bytes), KeyRange::key($bytes));
            assert_eq!(KeyRange::prefix($bytes), KeyRange::between($bytes, "fop"));
            let _ = (KeyRange::starting_at($bytes), KeyRange::between("a", $bytes));
            let _ = (DeleteRange::new($bytes), Watch::new($bytes));
            let _ = (Compare::exists($bytes), Compare::value($bytes).equal($bytes));
            let _ = ExactlyOnce::new($bytes, Txn::new());
            let _ = (Lock::new($bytes, 7), Unlock::new($bytes));
            let _ = (Campaign::new($bytes, 7, $bytes), GetLeader::new($bytes));
            let _ = (Observe::new($bytes), Proclaim::new(Default::default(), $bytes));
        })+};
    }

    #[test]
    fn a_key_is_made_from_anything_like_bytes_or_text() {
        anything! {
            |_kv| "foo";
            |_kv| &String::from("foo");
            |_kv| String::from("foo");
            |_kv| &b"foo"[..];
            |_kv| b"foo";
            |_kv| *b"foo";
            |_kv| b"foo".to_vec();
            |_kv| &b"foo".to_vec();
            |_kv| b"foo".to_vec().into_boxed_slice();
            |_kv| Cow::Borrowed("foo");
            |_kv| Cow::Borrowed(&b"foo"[..]);
            |_kv| Bytes::from_static(b"foo");
            |_kv| &Bytes::from_static(b"foo");
            |kv| &kv.key;
            |kv| kv.key.clone();
        }
        let (key, value) = (Key::from("foo"), Value::from("foo"));
        assert_eq!(body(&Put::new(&key, &value)), body(&Put::new("foo", "foo")));
        assert_eq!(KeyRange::from(&key), KeyRange::from(key));
    }

    #[test]
    fn bytes_are_not_copied() {
        let bytes = Bytes::from(b"foo".to_vec());
        assert_eq!(Key::from(&bytes).into_bytes().as_ptr(), bytes.as_ptr());
        assert_eq!(
            Value::from(bytes.clone()).into_bytes().as_ptr(),
            bytes.as_ptr()
        );
        let vec = b"foo".to_vec();
        let start = vec.as_ptr();
        assert_eq!(Key::from(vec).into_bytes().as_ptr(), start);
        assert_eq!(KeyRange::from(&bytes).start().as_ptr(), bytes.as_ptr());
        assert_eq!(KeyRange::prefix(&bytes).start().as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn keys_and_values_are_shown_as_text() {
        assert_eq!(format!("{:?}", Key::from(b"a\xff\n")), r#"b"a\xff\n""#);
        assert_eq!(format!("{:?}", Value::from("v")), r#"b"v""#);
    }
}
