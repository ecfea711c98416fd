/// The version of etcd that a fake behaves as.
///
/// The two v2 APIs differ only in whether a directory can be updated, how backspace and form feed are escaped, and the
/// responses of `/version` and `/health`. The gateways of the v3 API differ in many ways: how JSON is read and spaced,
/// the bodies and statuses of errors, and which paths exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// etcd 3.4.23.
    V3_4,
    /// etcd 3.5.16.
    #[default]
    V3_5,
}

impl Profile {
    /// The server's version, as `/version` reports it.
    pub const fn server_version(self) -> &'static str {
        match self {
            Self::V3_4 => "3.4.23",
            Self::V3_5 => "3.5.16",
        }
    }

    /// The cluster's version, as `/version` reports it.
    pub const fn cluster_version(self) -> &'static str {
        match self {
            Self::V3_4 => "3.4.0",
            Self::V3_5 => "3.5.0",
        }
    }
}
