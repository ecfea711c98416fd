use bytes::Bytes;

use crate::{
    error::Result,
    v3::{
        KeyRange, LeaseId, Value,
        protocol::message::{self, Encode, Fields},
    },
};

/// A comparison that must hold for a [`Txn`](super::Txn) to succeed. For a range, it must hold for every key in it.
///
/// The version, revisions and lease of a key that does not exist are 0. It has no value: every comparison of its value
/// is false, even `not_equal`. A range without keys compares like a key that does not exist.
///
/// ```
/// use etcd_http::v3::Compare;
///
/// let unchanged = Compare::mod_revision("config").equal(42);
/// let is_new = Compare::missing("config");
/// let expected = Compare::value("config").equal("old");
/// # let _ = (unchanged, is_new, expected);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a comparison does nothing by itself"]
pub struct Compare {
    pub(in crate::v3) range: KeyRange,
    target: Target,
    relation: Relation,
    operand: Operand,
}

impl Compare {
    /// Compares the version: how many times the key was put since it was created.
    pub fn version(range: impl Into<KeyRange>) -> CompareTarget<i64> {
        CompareTarget::new(range, Target::Version, Operand::Number)
    }

    /// Compares the revision that created the key.
    pub fn create_revision(range: impl Into<KeyRange>) -> CompareTarget<i64> {
        CompareTarget::new(range, Target::Create, Operand::Number)
    }

    /// The revision that last changed the key.
    pub fn mod_revision(range: impl Into<KeyRange>) -> CompareTarget<i64> {
        CompareTarget::new(range, Target::Mod, Operand::Number)
    }

    /// Compares the value, byte by byte.
    pub fn value(range: impl Into<KeyRange>) -> CompareTarget<Value> {
        CompareTarget::new(range, Target::Value, |value| {
            Operand::Value(value.into_bytes())
        })
    }

    /// Compares the lease that the key is attached to.
    pub fn lease(range: impl Into<KeyRange>) -> CompareTarget<LeaseId> {
        CompareTarget::new(range, Target::Lease, Operand::Lease)
    }

    /// Holds if the key exists.
    pub fn exists(key: impl Into<KeyRange>) -> Self {
        Self::version(key).greater(0)
    }

    /// Holds if the key does not exist.
    pub fn missing(key: impl Into<KeyRange>) -> Self {
        Self::version(key).equal(0)
    }
}

/// A property of a key, to be compared with a value.
#[derive(Clone, Debug)]
#[must_use = "a comparison does nothing by itself"]
pub struct CompareTarget<V> {
    range: KeyRange,
    target: Target,
    operand: fn(V) -> Operand,
}

impl<V> CompareTarget<V> {
    /// Holds if the property is equal to this.
    pub fn equal(self, value: impl Into<V>) -> Compare {
        self.compared(Relation::Equal, value)
    }

    /// Holds if the property is not equal to this.
    pub fn not_equal(self, value: impl Into<V>) -> Compare {
        self.compared(Relation::NotEqual, value)
    }

    /// Holds if the property is greater than this.
    pub fn greater(self, value: impl Into<V>) -> Compare {
        self.compared(Relation::Greater, value)
    }

    /// Holds if the property is less than this.
    pub fn less(self, value: impl Into<V>) -> Compare {
        self.compared(Relation::Less, value)
    }

    fn new(range: impl Into<KeyRange>, target: Target, operand: fn(V) -> Operand) -> Self {
        Self {
            range: range.into(),
            target,
            operand,
        }
    }

    fn compared(self, relation: Relation, value: impl Into<V>) -> Compare {
        Compare {
            range: self.range,
            target: self.target,
            relation,
            operand: (self.operand)(value.into()),
        }
    }
}

impl Encode for Compare {
    fn check(&self, operation: &'static str) -> Result<()> {
        self.range.check(operation)
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "result", &self.relation)
            .put(2, "target", &self.target)
            .put(3, "key", self.range.wire_key());
        match (&self.target, &self.operand) {
            (Target::Create, Operand::Number(number)) => to.put(5, "create_revision", number),
            (Target::Mod, Operand::Number(number)) => to.put(6, "mod_revision", number),
            (_, Operand::Number(number)) => to.put(4, "version", number),
            (_, Operand::Value(value)) => to.put(7, "value", value),
            (_, Operand::Lease(lease)) => to.put(8, "lease", lease),
        }
        .put(64, "range_end", self.range.wire_end());
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operand {
    Number(i64),
    Value(Bytes),
    Lease(LeaseId),
}

message::names! {
    enum Target {
        Version = 0 "VERSION",
        Create = 1 "CREATE",
        Mod = 2 "MOD",
        Value = 3 "VALUE",
        Lease = 4 "LEASE",
    }
}

message::names! {
    enum Relation {
        Equal = 0 "EQUAL",
        Greater = 1 "GREATER",
        Less = 2 "LESS",
        NotEqual = 3 "NOT_EQUAL",
    }
}
