use bytes::Bytes;

use crate::{
    error::Result,
    v3::{
        KeyRange, LeaseId,
        protocol::gateway::{self, Encode, Fields},
    },
};

/// What must be true of a key for a [`Txn`](super::Txn) to succeed. Of a range, it must be true of every key in it.
///
/// A key that does not exist has version, revisions and lease 0. It has no value: every comparison of its value is
/// false, `not_equal` too. A range without keys is like a key that does not exist.
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
    /// How often the key was put since it was created.
    pub fn version(range: impl Into<KeyRange>) -> CompareTarget<i64> {
        CompareTarget::new(range, Target::Version, Operand::Number)
    }

    /// The revision that created it.
    pub fn create_revision(range: impl Into<KeyRange>) -> CompareTarget<i64> {
        CompareTarget::new(range, Target::Create, Operand::Number)
    }

    /// The revision that last changed it.
    pub fn mod_revision(range: impl Into<KeyRange>) -> CompareTarget<i64> {
        CompareTarget::new(range, Target::Mod, Operand::Number)
    }

    /// Its value, in the order of bytes.
    pub fn value(range: impl Into<KeyRange>) -> CompareTarget<Vec<u8>> {
        CompareTarget::new(range, Target::Value, |value| Operand::Value(value.into()))
    }

    /// Its lease.
    pub fn lease(range: impl Into<KeyRange>) -> CompareTarget<LeaseId> {
        CompareTarget::new(range, Target::Lease, Operand::Lease)
    }

    /// The key exists.
    pub fn exists(key: impl Into<KeyRange>) -> Self {
        Self::version(key).greater(0)
    }

    /// The key does not exist.
    pub fn missing(key: impl Into<KeyRange>) -> Self {
        Self::version(key).equal(0)
    }
}

/// A property of a key that is about to be compared: with what?
#[derive(Clone, Debug)]
#[must_use = "a comparison does nothing by itself"]
pub struct CompareTarget<V> {
    range: KeyRange,
    target: Target,
    operand: fn(V) -> Operand,
}

impl<V> CompareTarget<V> {
    /// It is this.
    pub fn equal(self, value: impl Into<V>) -> Compare {
        self.compared(Relation::Equal, value)
    }

    /// It is not this.
    pub fn not_equal(self, value: impl Into<V>) -> Compare {
        self.compared(Relation::NotEqual, value)
    }

    /// It is greater than this.
    pub fn greater(self, value: impl Into<V>) -> Compare {
        self.compared(Relation::Greater, value)
    }

    /// It is less than this.
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

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("result", &self.relation)
            .put("target", &self.target)
            .put("key", self.range.wire_key());
        match (&self.target, &self.operand) {
            (Target::Create, Operand::Number(number)) => to.put("create_revision", number),
            (Target::Mod, Operand::Number(number)) => to.put("mod_revision", number),
            (_, Operand::Number(number)) => to.put("version", number),
            (_, Operand::Value(value)) => to.put("value", value),
            (_, Operand::Lease(lease)) => to.put("lease", lease),
        }
        .put("range_end", self.range.wire_end());
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operand {
    Number(i64),
    Value(Bytes),
    Lease(LeaseId),
}

gateway::names! {
    enum Target {
        Version = "VERSION",
        Create = "CREATE",
        Mod = "MOD",
        Value = "VALUE",
        Lease = "LEASE",
    }
}

gateway::names! {
    enum Relation {
        Equal = "EQUAL",
        Greater = "GREATER",
        Less = "LESS",
        NotEqual = "NOT_EQUAL",
    }
}
