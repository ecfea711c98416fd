use http::Method;

use crate::{
    error::Result,
    form::Query,
    pipeline::exchange::Encoded,
    v2::{
        operation::operation,
        protocol,
        watch::event::{self, Event},
    },
};

/// Deletes a file: `DELETE /v2/keys/KEY`.
///
/// # Errors
/// [`is_key_not_found`](crate::Error::is_key_not_found); [`is_not_a_file`](crate::Error::is_not_a_file) for a directory.
#[doc(alias = "remove")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct Delete {
    key: String,
}

impl Delete {
    /// Deletes this key.
    pub fn new(key: impl AsRef<str>) -> Self {
        Self {
            key: key.as_ref().to_owned(),
        }
    }

    fn encoded(&self, operation: &'static str) -> Result<Encoded> {
        protocol::at_key(operation, Method::DELETE, &self.key, &Query::new())
    }
}

operation!(Delete => Event, "v2.keys.delete", KEYS.write, event::decode);

/// Deletes a directory, if empty, or with everything below it: `DELETE /v2/keys/KEY?dir=true[&recursive=true]`.
///
/// Atomic: the tree is deleted in one step, with one event. A file is deleted, too: etcd does not require a directory.
///
/// # Errors
/// [`is_directory_not_empty`](crate::Error::is_directory_not_empty) unless recursive (hidden children count);
/// [`is_key_not_found`](crate::Error::is_key_not_found).
#[doc(alias = "rmdir")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct DeleteDir {
    key: String,
    recursive: bool,
}

impl DeleteDir {
    /// Deletes this directory if it is empty.
    pub fn new(key: impl AsRef<str>) -> Self {
        Self {
            key: key.as_ref().to_owned(),
            recursive: false,
        }
    }

    /// Also deletes everything below the directory.
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    fn encoded(&self, operation: &'static str) -> Result<Encoded> {
        let mut query = Query::new();
        query.flag("dir", true);
        query.flag("recursive", self.recursive);
        protocol::at_key(operation, Method::DELETE, &self.key, &query)
    }
}

operation!(DeleteDir => Event, "v2.keys.delete_dir", KEYS.write, event::decode);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pipeline::call::Repeat, testing::AsRequest};

    #[test]
    fn deletes_are_as_documented() {
        let call = Delete::new("/foo").request().unwrap();
        assert_eq!(
            (call.method(), call.target()),
            (&Method::DELETE, "/v2/keys/foo")
        );
        assert_eq!(call.repeat(), Repeat::IfUnsent);
        let call = DeleteDir::new("/dir").request().unwrap();
        assert_eq!(call.target(), "/v2/keys/dir?dir=true");
        let call = DeleteDir::new("/dir").recursive(true).request().unwrap();
        assert_eq!(call.target(), "/v2/keys/dir?dir=true&recursive=true");
    }
}
