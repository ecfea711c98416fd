//! Intervals of keys, as etcd's tree of intervals compares them.

use super::{AuthStore, ROOT, User};
use crate::v3::message::auth::{Permission, PermissionType};

/// The keys from `begin` up to and without `end`. No end is after all keys.
#[derive(Clone, Debug)]
struct Interval {
    begin: Vec<u8>,
    end: Option<Vec<u8>>,
}

/// What is to be done with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl AuthStore {
    /// Whether the roles of a user, root aside, cover a range together. An empty end stands for one key.
    pub(super) fn covers(&self, user: &User, key: &[u8], end: &[u8], access: Access) -> bool {
        let roles = user.roles.iter().filter(|role| *role != ROOT);
        let permissions = roles.filter_map(|role| self.roles.get(role)).flatten();
        let granted = permissions.filter(|permission| permission.allows(access));
        let mut granted: Vec<Interval> = granted
            .map(|permission| Interval::new(&permission.key, &permission.range_end))
            .collect();
        let wanted = Interval::new(key, end);
        granted.retain(|interval| wanted.overlaps(interval));
        if end.is_empty() {
            return !granted.is_empty();
        }
        granted.sort_by(|a, b| a.begin.cmp(&b.begin));
        let mut granted = granted.iter();
        let Some(first) = granted.next() else {
            return false;
        };
        let mut reached = &first.end;
        for interval in granted {
            if !is_before(&interval.begin, reached) && reached.as_ref() != Some(&interval.begin) {
                return false;
            }
            if is_later(&interval.end, reached) {
                reached = &interval.end;
            }
        }
        first.begin <= wanted.begin && !is_later(&wanted.end, reached)
    }
}

impl Permission {
    fn allows(&self, access: Access) -> bool {
        let alone = match access {
            Access::Read => PermissionType::READ,
            Access::Write => PermissionType::WRITE,
        };
        [alone, PermissionType::READWRITE].contains(&self.perm_type)
    }
}

impl Interval {
    fn new(key: &[u8], range_end: &[u8]) -> Self {
        let end = match range_end {
            [] => Some([key, b"\0"].concat()),
            [0] => None,
            _ => Some(range_end.to_vec()),
        };
        let begin = key.to_vec();
        Self { begin, end }
    }

    /// Whether the two have a key in common. An inverted interval is where it begins, as in etcd.
    fn overlaps(&self, other: &Self) -> bool {
        let is_left = self.begin < other.begin && !is_before(&other.begin, &self.end);
        let is_right = !is_before(&self.begin, &other.end);
        !is_left && !is_right
    }
}

fn is_before(key: &[u8], end: &Option<Vec<u8>>) -> bool {
    end.as_ref().is_none_or(|end| key < &end[..])
}

fn is_later(end: &Option<Vec<u8>>, other: &Option<Vec<u8>>) -> bool {
    match (end, other) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(end), Some(other)) => end > other,
    }
}
