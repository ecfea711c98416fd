use std::time::Duration;

use http::Method;

use crate::{
    endpoints::wire::Wire,
    error::Result,
    form::{Query, push_form_pair},
    operation::Operation,
    pipeline::{
        answer::Answer,
        call::Call,
        exchange::{Encoded, Exchange, FORM, TypedExchange},
    },
    v2::{
        keys::CompareAndSwap,
        operation::operation,
        protocol,
        ttl::Ttl,
        watch::event::{self, Event, Written},
    },
};

/// The encoding that all writes of a key share: conditions and flags in the query, the stored values in the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) key: String,
    pub(super) value: Option<String>,
    pub(super) ttl: Ttl,
}

impl Write {
    pub(super) fn file(key: String, value: String) -> Self {
        Self {
            key,
            value: Some(value),
            ttl: Ttl::None,
        }
    }

    pub(super) fn dir(key: String) -> Self {
        Self {
            key,
            value: None,
            ttl: Ttl::None,
        }
    }

    pub(super) fn key_and_value(&self) -> (&str, &str) {
        (&self.key, self.value.as_deref().unwrap_or_default())
    }

    /// Returns the call. `previous` is the required previous value.
    pub(super) fn call(
        &self,
        operation: &'static str,
        method: Method,
        query: &[(&str, &str)],
        previous: Option<&str>,
    ) -> Result<Encoded> {
        let mut parameters = Query::new();
        for (name, value) in query {
            parameters.push(name, value);
        }
        let mut form = String::new();
        if let Some(value) = &self.value {
            push_form_pair(&mut form, "value", value);
        }
        if let Some(previous) = previous {
            push_form_pair(&mut form, "prevValue", previous);
        }
        if let Some(seconds) = self.ttl.field(operation)? {
            push_form_pair(&mut form, "ttl", &seconds);
        }
        let form = protocol::checked_form(operation, form)?;
        let encoded = protocol::at_key(operation, method, &self.key, &parameters)?;
        // With any other content type etcd stores an empty value and reports success.
        Ok(encoded.body(&FORM, form))
    }
}

/// Declares a write: its documentation, name, method and query, and its constructor's arguments.
macro_rules! write_operation {
    (
        $(#[$doc:meta])*
        $name:ident($($argument:ident),+) = $write:expr;
        $operation:literal, $method:ident, $query:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[must_use = "an operation does nothing before `Client::send`"]
        pub struct $name(Write);

        impl $name {
            /// Creates the operation with these arguments and without a TTL.
            pub fn new($($argument: impl AsRef<str>),+) -> Self {
                $(let $argument = $argument.as_ref().to_owned();)+
                Self($write)
            }

            /// Sets the time to live, after which the server deletes the key: whole seconds, from 0 to 6 × 10⁹, by the
            /// server's clock and up to half a second late. Without a TTL the key does not expire, and loses the TTL
            /// that it had.
            pub fn ttl(mut self, ttl: Duration) -> Self {
                self.0.ttl = Ttl::After(ttl);
                self
            }

            fn encoded(&self, operation: &'static str) -> Result<Encoded> {
                self.0.call(operation, Method::$method, $query, None)
            }
        }

        operation!($name => Event, $operation, KEYS.write, event::decode);
    };
}

write_operation! {
    /// Creates or replaces a file: `PUT /v2/keys/KEY` with `value`.
    ///
    /// Atomic. Missing parent directories are created. A replaced key counts as new: `created_index` changes, and the
    /// TTL that it had is lost.
    ///
    /// # Errors
    /// [`is_not_a_file`](crate::Error::is_not_a_file) if the key is a directory.
    #[doc(alias = "put")]
    Set(key, value) = Write::file(key, value);
    "v2.keys.set", PUT, &[]
}

write_operation! {
    /// Creates a directory, and replaces a file: `PUT /v2/keys/KEY?dir=true`.
    ///
    /// # Errors
    /// [`is_not_a_file`](crate::Error::is_not_a_file) if it is already a directory.
    #[doc(alias = "mkdir")]
    SetDir(key) = Write::dir(key);
    "v2.keys.set_dir", PUT, &[("dir", "true")]
}

write_operation! {
    /// Creates a file that must not exist: `PUT /v2/keys/KEY?prevExist=false`. Atomic: of several concurrent creates,
    /// one succeeds.
    ///
    /// # Errors
    /// [`is_already_exists`](crate::Error::is_already_exists), also for a directory.
    Create(key, value) = Write::file(key, value);
    "v2.keys.create", PUT, &[("prevExist", "false")]
}

write_operation! {
    /// Creates a directory that must not exist: `PUT /v2/keys/KEY?dir=true&prevExist=false`.
    ///
    /// # Errors
    /// [`is_already_exists`](crate::Error::is_already_exists), also for a file.
    #[doc(alias = "mkdir")]
    CreateDir(key) = Write::dir(key);
    "v2.keys.create_dir", PUT, &[("dir", "true"), ("prevExist", "false")]
}

write_operation! {
    /// Replaces the value of a file that must exist: `PUT /v2/keys/KEY?prevExist=true`.
    ///
    /// `created_index` stays. **Without a TTL in the operation, the file loses the one that it had.**
    ///
    /// # Errors
    /// [`is_key_not_found`](crate::Error::is_key_not_found), [`is_not_a_file`](crate::Error::is_not_a_file) (with an
    /// empty value, etcd accepts a directory and treats the request as [`UpdateDir`]).
    Update(key, value) = Write::file(key, value);
    "v2.keys.update", PUT, &[("prevExist", "true")]
}

write_operation! {
    /// Sets or removes the TTL of a directory: `PUT /v2/keys/KEY?dir=true&prevExist=true`.
    ///
    /// If the key is a file, etcd empties its value.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) from etcd 3.5, which does not support it ([etcd issue
    /// 13589](https://github.com/etcd-io/etcd/issues/13589)); [`is_key_not_found`](crate::Error::is_key_not_found).
    UpdateDir(key) = Write::dir(key);
    "v2.keys.update_dir", PUT, &[("dir", "true"), ("prevExist", "true")]
}

write_operation! {
    /// Creates a file in a directory, with a key that is greater than all before: `POST /v2/keys/DIR`.
    ///
    /// The name is the store's index as 20 digits. A missing directory is created. A sorted listing has the files in
    /// the order of their creation.
    ///
    /// # Errors
    /// [`is_not_a_directory`](crate::Error::is_not_a_directory).
    #[doc(alias = "post")]
    #[doc(alias = "queue")]
    CreateInOrder(dir, value) = Write::file(dir, value);
    "v2.keys.create_in_order", POST, &[]
}

write_operation! {
    /// Creates a directory in a directory, with a key that is greater than all before: `POST /v2/keys/DIR?dir=true`.
    ///
    /// # Errors
    /// [`is_not_a_directory`](crate::Error::is_not_a_directory).
    CreateInOrderDir(dir) = Write::dir(dir);
    "v2.keys.create_in_order_dir", POST, &[("dir", "true")]
}

/// Sets the TTL of a file without notifying watches: `PUT /v2/keys/KEY?refresh=true&prevExist=true` with `ttl`.
///
/// The value stays. The store's index still advances.
///
/// # Errors
/// [`is_key_not_found`](crate::Error::is_key_not_found) if it has already expired.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Refresh(Write);

impl Refresh {
    /// Sets the TTL of this key, from now on: whole seconds, by the server's clock.
    pub fn new(key: impl AsRef<str>, ttl: Duration) -> Self {
        Self(Write {
            key: key.as_ref().to_owned(),
            value: None,
            ttl: Ttl::After(ttl),
        })
    }

    fn encoded(&self, operation: &'static str) -> Result<Encoded> {
        let query = [("refresh", "true"), ("prevExist", "true")];
        self.0.call(operation, Method::PUT, &query, None)
    }
}

operation!(Refresh => Event, "v2.keys.refresh", KEYS.write, event::decode);

impl Create {
    /// What [`V2::once`](crate::v2::V2::once) looks for: the key, and the value.
    pub(in crate::v2) fn key_and_value(&self) -> (&str, &str) {
        self.0.key_and_value()
    }
}

impl CreateInOrder {
    /// What [`V2::once`](crate::v2::V2::once) looks for: the directory, and the value.
    pub(in crate::v2) fn dir_and_value(&self) -> (&str, &str) {
        self.0.key_and_value()
    }
}

/// A write whose response omits the nodes (`noValueOnSuccess=true`): for large values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct WithoutValue<O>(O);

macro_rules! without_value {
    ($($name:ident),+) => {$(
        impl $name {
            /// Omits the nodes from the response.
            #[doc(alias = "noValueOnSuccess")]
            pub fn without_value(self) -> WithoutValue<Self> {
                WithoutValue(self)
            }
        }
    )+};
}

without_value!(Set, Create, Update, CompareAndSwap);

impl<O: Operation<Output = Event>> Operation for WithoutValue<O> {
    type Output = Written;
    const NAME: &'static str = O::NAME;
}

impl<O: Operation<Output = Event>> Exchange for WithoutValue<O> {
    fn call(&self) -> Call {
        protocol::KEYS.write(Self::NAME)
    }

    fn encode(&self, _: Wire) -> Result<Encoded> {
        let encoded = self.0.encode(Wire::Http)?;
        encoded.and_query(Self::NAME, "noValueOnSuccess=true")
    }
}

impl<O: Operation<Output = Event>> TypedExchange for WithoutValue<O> {
    type Decoded = Written;

    fn decode(&self, answer: Box<Answer>) -> Result<Written> {
        event::decode_without_value(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pipeline::call::Repeat, testing::AsRequest, v2::Condition};

    #[track_caller]
    fn is(operation: impl Operation, request: &str) {
        let call = operation.request().unwrap();
        let body = String::from_utf8(call.body_bytes().to_vec()).unwrap();
        assert_eq!(
            format!("{} {} {body}", call.method(), call.target()),
            request
        );
        assert_eq!(
            call.content_type(),
            Some("application/x-www-form-urlencoded")
        );
        assert_eq!(call.repeat(), Repeat::IfUnsent);
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn files_are_written_as_documented() {
        is(
            Set::new("/message", "Hello world"),
            "PUT /v2/keys/message value=Hello world",
        );
        is(
            Set::new("foo", "").ttl(MINUTE),
            "PUT /v2/keys/foo value=&ttl=60",
        );
        is(
            Create::new("/foo", "Three"),
            "PUT /v2/keys/foo?prevExist=false value=Three",
        );
        is(
            Update::new("/foo", "x").ttl(Duration::ZERO),
            "PUT /v2/keys/foo?prevExist=true value=x&ttl=0",
        );
        is(
            CreateInOrder::new("/queue", "Job1"),
            "POST /v2/keys/queue value=Job1",
        );
        is(
            Refresh::new("/foo", MINUTE),
            "PUT /v2/keys/foo?refresh=true&prevExist=true ttl=60",
        );
    }

    #[test]
    fn directories_are_written_as_documented() {
        is(
            SetDir::new("/dir").ttl(MINUTE),
            "PUT /v2/keys/dir?dir=true ttl=60",
        );
        is(
            CreateDir::new("/dir"),
            "PUT /v2/keys/dir?dir=true&prevExist=false ",
        );
        is(
            UpdateDir::new("/dir").ttl(MINUTE),
            "PUT /v2/keys/dir?dir=true&prevExist=true ttl=60",
        );
        is(CreateInOrderDir::new("/dir"), "POST /v2/keys/dir?dir=true ");
    }

    #[test]
    fn the_nodes_can_be_left_out() {
        is(
            Set::new("a", "b").without_value(),
            "PUT /v2/keys/a?noValueOnSuccess=true value=b",
        );
        is(
            CompareAndSwap::new("a", "b", Condition::index_is(7)).without_value(),
            "PUT /v2/keys/a?prevIndex=7&noValueOnSuccess=true value=b",
        );
    }

    #[test]
    fn a_form_that_etcd_would_refuse_for_its_size_is_not_sent() {
        let error = Set::new("a", "x".repeat(10 << 20)).request().unwrap_err();
        assert_eq!(
            error.to_string(),
            "v2.keys.set: the value makes a form of 10485766 bytes, and etcd accepts at most 10485760: \
             store less in one key"
        );
        assert!(Set::new("a", "x".repeat((10 << 20) - 6)).request().is_ok());
    }
}
