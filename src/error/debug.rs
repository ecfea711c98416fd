//! `Debug` of errors: what `unwrap` prints is for people. The texts have no more in them than those of `Display`.

use std::{error::Error as StdError, fmt};

use crate::error::{
    Error, EtcdError, HttpError, InvalidInput, TimeoutError, TransportFailure, UnexpectedResponse,
    Unsupported,
};

/// What `Display` says, with the variant, the kind of etcd's error, the outcome, and the causes.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variant = match self {
            Self::Etcd(_) => "Etcd",
            Self::Http(_) => "Http",
            Self::Transport(_) => "Transport",
            Self::Timeout(_) => "Timeout",
            Self::Unexpected(_) => "Unexpected",
            Self::Unsupported(_) => "Unsupported",
            Self::Invalid(_) => "Invalid",
        };
        f.write_str(variant)?;
        if let Some(kind) = self.etcd_kind() {
            write!(f, "({kind:?})")?;
        }
        write!(f, ": {self} [outcome: {:?}]", self.outcome())?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, "; caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// The kind, and the text of `Display`.
impl fmt::Debug for EtcdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EtcdError({:?}: {self})", self.kind())
    }
}

/// `Debug` is the text of `Display`, which a person can read, with the name of the type.
macro_rules! debug_as_text {
    ($($error:ident),+) => {$(
        impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($error))
            }
        }
    )+};
}

debug_as_text!(
    HttpError,
    TransportFailure,
    TimeoutError,
    UnexpectedResponse,
    Unsupported,
    InvalidInput
);
