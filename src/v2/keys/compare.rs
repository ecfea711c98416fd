use std::time::Duration;

use http::Method;

use crate::{
    error::{Error, Result},
    form::Query,
    pipeline::exchange::Encoded,
    v2::{
        keys::put::Write,
        operation::operation,
        protocol,
        ttl::Ttl,
        watch::event::{self, Event},
    },
};

/// The condition of a [`CompareAndSwap`] or [`CompareAndDelete`]: the file has this value, this index, or both.
///
/// A condition always compares something.
///
/// ```
/// use etcd_http::v2::Condition;
///
/// let _ = Condition::value_is("old");
/// let _ = Condition::index_is(42).and_value_is("old");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a condition does nothing by itself"]
pub struct Condition {
    value: Option<String>,
    index: Option<u64>,
}

impl Condition {
    /// Holds if the file has this value. etcd cannot compare with an empty value: use the index.
    #[doc(alias = "prevValue")]
    pub fn value_is(value: impl AsRef<str>) -> Self {
        Self {
            value: Some(value.as_ref().to_owned()),
            index: None,
        }
    }

    /// Holds if the file was last changed at this index ([`Node::modified_index`](crate::v2::Node::modified_index)).
    #[doc(alias = "prevIndex")]
    pub fn index_is(modified_index: u64) -> Self {
        Self {
            value: None,
            index: Some(modified_index),
        }
    }

    /// Also requires this value.
    pub fn and_value_is(mut self, value: impl AsRef<str>) -> Self {
        self.value = Some(value.as_ref().to_owned());
        self
    }

    /// Also requires that the file was last changed at this index.
    pub fn and_index_is(mut self, modified_index: u64) -> Self {
        self.index = Some(modified_index);
        self
    }

    /// Returns value and index, or an error if etcd would compare something else, or nothing at all.
    fn parts(&self, operation: &'static str) -> Result<(Option<&str>, Option<String>)> {
        if self.value.as_deref() == Some("") {
            let reason = "etcd cannot compare with an empty value: compare the index";
            return Err(Error::invalid(operation, reason));
        }
        if self.index == Some(0) {
            let reason = "no file has index 0, and etcd would compare nothing";
            return Err(Error::invalid(operation, reason));
        }
        let index = self.index.map(|index| index.to_string());
        Ok((self.value.as_deref(), index))
    }
}

/// Replaces the value of a file if a condition holds: `PUT /v2/keys/KEY?prevIndex=…` with `value` and `prevValue`.
/// Atomic. `created_index` stays. **Without a TTL in the operation, the file loses the one that it had.**
///
/// # Errors
/// [`is_compare_failed`](crate::Error::is_compare_failed), [`is_key_not_found`](crate::Error::is_key_not_found),
/// [`is_not_a_file`](crate::Error::is_not_a_file).
#[doc(alias = "cas")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct CompareAndSwap {
    write: Write,
    condition: Condition,
}

impl CompareAndSwap {
    /// Sets the value of `key` if the condition holds.
    pub fn new(key: impl AsRef<str>, value: impl AsRef<str>, condition: Condition) -> Self {
        Self {
            write: Write::file(key.as_ref().to_owned(), value.as_ref().to_owned()),
            condition,
        }
    }

    /// Sets the TTL. See [`Set::ttl`](super::Set::ttl).
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.write.ttl = Ttl::After(ttl);
        self
    }

    /// What [`V2::once`](crate::v2::V2::once) looks for: the key, and the value.
    pub(in crate::v2) fn key_and_value(&self) -> (&str, &str) {
        self.write.key_and_value()
    }

    /// Returns the index that the file must have, if the condition has one.
    pub(in crate::v2) fn index(&self) -> Option<u64> {
        self.condition.index
    }

    fn encoded(&self, operation: &'static str) -> Result<Encoded> {
        let (value, index) = self.condition.parts(operation)?;
        let query = index.as_deref().map(|index| ("prevIndex", index));
        self.write
            .call(operation, Method::PUT, query.as_slice(), value)
    }
}

operation!(CompareAndSwap => Event, "v2.keys.compare_and_swap", KEYS.write, event::decode);

/// Deletes a file if a condition holds: `DELETE /v2/keys/KEY?prevValue=…&prevIndex=…`. Atomic.
///
/// etcd reads the condition of a delete from the URL only, so key and value together are limited to about 64 KiB,
/// encoded. Compare a longer value by its index.
///
/// # Errors
/// As for [`CompareAndSwap`].
#[doc(alias = "cad")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct CompareAndDelete {
    key: String,
    condition: Condition,
}

impl CompareAndDelete {
    /// Deletes `key` if the condition holds.
    pub fn new(key: impl AsRef<str>, condition: Condition) -> Self {
        Self {
            key: key.as_ref().to_owned(),
            condition,
        }
    }

    fn encoded(&self, operation: &'static str) -> Result<Encoded> {
        let (value, index) = self.condition.parts(operation)?;
        let mut query = Query::new();
        if let Some(value) = value {
            query.push("prevValue", value);
        }
        if let Some(index) = index {
            query.push("prevIndex", &index);
        }
        protocol::at_key(operation, Method::DELETE, &self.key, &query)
    }
}

operation!(CompareAndDelete => Event, "v2.keys.compare_and_delete", KEYS.write, event::decode);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pipeline::call::Repeat, testing::AsRequest};

    #[test]
    fn a_swap_has_its_index_in_the_query_and_its_values_in_the_form() {
        let condition = Condition::value_is("o&ne").and_index_is(7);
        let swap = CompareAndSwap::new("/foo", "two", condition).ttl(Duration::from_secs(5));
        let call = swap.request().unwrap();
        assert_eq!(
            (call.method(), call.target()),
            (&Method::PUT, "/v2/keys/foo?prevIndex=7")
        );
        assert_eq!(call.body_bytes(), b"value=two&prevValue=o%26ne&ttl=5");
        assert_eq!(call.repeat(), Repeat::IfUnsent);
    }

    #[test]
    fn a_delete_has_its_condition_in_the_query() {
        let condition = Condition::index_is(8).and_value_is("two words");
        let call = CompareAndDelete::new("/foo", condition).request().unwrap();
        assert_eq!(call.method(), Method::DELETE);
        assert_eq!(
            call.target(),
            "/v2/keys/foo?prevValue=two%20words&prevIndex=8"
        );
        assert!(call.body_bytes().is_empty());
    }

    #[test]
    fn a_condition_that_etcd_would_not_check_is_refused() {
        for (condition, reason) in [
            (
                Condition::value_is(""),
                "etcd cannot compare with an empty value: compare the index",
            ),
            (
                Condition::index_is(0),
                "no file has index 0, and etcd would compare nothing",
            ),
        ] {
            let swap = CompareAndSwap::new("a", "b", condition.clone())
                .request()
                .unwrap_err();
            assert_eq!(
                swap.to_string(),
                format!("v2.keys.compare_and_swap: {reason}")
            );
            let delete = CompareAndDelete::new("a", condition).request().unwrap_err();
            assert_eq!(
                delete.to_string(),
                format!("v2.keys.compare_and_delete: {reason}")
            );
        }
    }

    #[test]
    fn a_condition_that_does_not_fit_a_url_is_refused() {
        let long = Condition::value_is("x".repeat(70_000));
        let error = CompareAndDelete::new("a", long).request().unwrap_err();
        assert_eq!(
            error.to_string(),
            "v2.keys.compare_and_delete: this path cannot be sent: uri too long"
        );
    }
}
