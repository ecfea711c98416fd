//! Versions of etcd.

use std::{fmt, str::FromStr};

use crate::error::{Error, invalid};

/// The version of an etcd binary, such as 3.5.16. Versions are ordered by their three numbers.
///
/// ```
/// use etcd_server::Version;
///
/// let version: Version = "v3.5.16".parse()?;
/// assert!(version >= Version::new(3, 5, 0));
/// assert_eq!(version.to_string(), "3.5.16");
/// # Ok::<(), etcd_server::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Version {
    /// The major version.
    pub major: u32,
    /// The minor version: 3.4, 3.5 and 3.6 have different features.
    pub minor: u32,
    /// The patch version.
    pub patch: u32,
}

impl Version {
    /// Version `major.minor.patch`.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// Whether this version can serve the v2 API, which etcd 3.6 removed.
    pub const fn has_v2(self) -> bool {
        self.major < 3 || (self.major == 3 && self.minor < 6)
    }
}

impl FromStr for Version {
    type Err = Error;

    /// Parses `3.5.16`, with or without a leading `v`; a suffix that begins with `-`, `+` or `~` is ignored.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| invalid(format!("{text:?} is not a version such as 3.5.16")))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The version in the output of `etcd --version`.
pub(crate) fn reported(output: &str) -> Option<Version> {
    output
        .lines()
        .find_map(|line| line.strip_prefix("etcd Version:"))
        .and_then(parse)
}

fn parse(text: &str) -> Option<Version> {
    let text = text.trim();
    let text = text.strip_prefix('v').unwrap_or(text);
    let numbers = text.split(['-', '+', '~']).next()?;
    let mut numbers = numbers.split('.').map(|number| number.parse().ok());
    let version = Version::new(numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_etcds_output() {
        let output = "etcd Version: 3.4.23\nGit SHA: Not provided\nGo Version: go1.19.8\n";
        assert_eq!(reported(output), Some(Version::new(3, 4, 23)));
        assert_eq!(
            reported("etcd Version: 3.6.0-rc.1\n"),
            Some(Version::new(3, 6, 0))
        );
        assert_eq!(reported("command not found"), None);
    }

    #[test]
    fn an_invalid_version_is_rejected() {
        for text in ["", "3", "3.5", "3.5.x", "3.5.1.2", "latest"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_v2_api_ends_with_3_5() {
        assert!(Version::new(3, 4, 23).has_v2() && Version::new(3, 5, 30).has_v2());
        assert!(!Version::new(3, 6, 0).has_v2() && !Version::new(4, 0, 0).has_v2());
    }
}
