/// An error of the v2 API: a code, what caused it, and the store's index at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreError {
    pub(crate) code: Code,
    pub(crate) cause: Vec<u8>,
    pub(crate) index: u64,
}

impl StoreError {
    pub(crate) fn new(code: Code, cause: impl Into<Vec<u8>>, index: u64) -> Self {
        Self {
            code,
            cause: cause.into(),
            index,
        }
    }

    /// An error found before the store was used. Its index is 0.
    pub(crate) fn request(code: Code, cause: impl Into<Vec<u8>>) -> Self {
        Self::new(code, cause, 0)
    }
}

/// The error codes that a keys endpoint of etcd 3.4 and 3.5 sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    KeyNotFound,
    CompareFailed,
    NotFile,
    NotDir,
    NodeExist,
    RootReadOnly,
    DirNotEmpty,
    Unauthorized,
    PrevValueRequired,
    TtlNotANumber,
    IndexNotANumber,
    InvalidField,
    InvalidForm,
    RefreshValue,
    RefreshTtlRequired,
    RaftInternal,
    EventIndexCleared,
}

impl Code {
    pub(crate) const fn number(self) -> u16 {
        match self {
            Self::KeyNotFound => 100,
            Self::CompareFailed => 101,
            Self::NotFile => 102,
            Self::NotDir => 104,
            Self::NodeExist => 105,
            Self::RootReadOnly => 107,
            Self::DirNotEmpty => 108,
            Self::Unauthorized => 110,
            Self::PrevValueRequired => 201,
            Self::TtlNotANumber => 202,
            Self::IndexNotANumber => 203,
            Self::InvalidField => 209,
            Self::InvalidForm => 210,
            Self::RefreshValue => 211,
            Self::RefreshTtlRequired => 212,
            Self::RaftInternal => 300,
            Self::EventIndexCleared => 401,
        }
    }

    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::KeyNotFound => "Key not found",
            Self::CompareFailed => "Compare failed",
            Self::NotFile => "Not a file",
            Self::NotDir => "Not a directory",
            Self::NodeExist => "Key already exists",
            Self::RootReadOnly => "Root is read only",
            Self::DirNotEmpty => "Directory not empty",
            Self::Unauthorized => "The request requires user authentication",
            Self::PrevValueRequired => "PrevValue is Required in POST form",
            Self::TtlNotANumber => "The given TTL in POST form is not a number",
            Self::IndexNotANumber => "The given index in POST form is not a number",
            Self::InvalidField => "Invalid field",
            Self::InvalidForm => "Invalid POST form",
            Self::RefreshValue => "Value provided on refresh",
            Self::RefreshTtlRequired => "A TTL must be provided on refresh",
            Self::RaftInternal => "Raft Internal Error",
            Self::EventIndexCleared => "The event in requested index is outdated and cleared",
        }
    }

    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::KeyNotFound => 404,
            Self::NotFile | Self::DirNotEmpty => 403,
            Self::Unauthorized => 401,
            Self::CompareFailed | Self::NodeExist => 412,
            Self::RaftInternal => 500,
            _ => 400,
        }
    }
}
