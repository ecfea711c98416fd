//! Whether a history of registers, or of [`transactions`], is linearizable: Wing and Gong's search, with Lowe's cache of visited
//! states.
//!
//! Registers are independent, so each is checked by itself. An operation of unknown outcome may take effect at any time
//! after its call, or never. Many of these are alike: they write a value that nothing else names, so it makes no difference which
//! of them takes effect. One of them is tried, and the search stays small.

mod search;
pub mod transactions;

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use search::{Call, Effect};

/// One operation on one register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// When it was called, by a clock that never gives the same time twice.
    pub called: u64,
    /// When it returned; `None` if its outcome is unknown.
    pub returned: Option<u64>,
    /// The call, and its response.
    pub what: What,
}

/// A call and its response. If the outcome is unknown, the response is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Read this value.
    Read(Option<String>),
    /// Set to the first value; the second is the previous one.
    Set(String, Option<String>),
    /// Created with this value; `false` if the register was not empty.
    Create(String, bool),
    /// Swapped from the first value to the second, or why not.
    Swap(String, String, Swapped),
    /// Deleted; `None` if it was empty.
    Delete(Option<String>),
}

/// The result of a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// The value was swapped.
    Done,
    /// The register had another value.
    SomethingElse,
    /// The register was empty.
    Nothing,
}

/// The operations of a register that is not linearizable.
#[derive(Debug)]
pub struct NotLinearizable {
    /// Its name.
    pub register: String,
    /// Its operations.
    pub ops: Vec<Op>,
}

/// Checks the histories of registers, by their names.
///
/// # Errors
/// With the first register that is not linearizable.
pub fn check(registers: &BTreeMap<String, Vec<Op>>) -> Result<(), NotLinearizable> {
    for (register, ops) in registers {
        if !is_linearizable(ops) {
            return Err(NotLinearizable {
                register: register.clone(),
                ops: ops.clone(),
            });
        }
    }
    Ok(())
}

/// Whether some order of these operations on one register, empty at first, explains all responses.
pub fn is_linearizable(ops: &[Op]) -> bool {
    let named: HashSet<&str> = ops.iter().flat_map(Op::names).collect();
    let calls = ops.iter().map(|op| Call {
        called: op.called,
        returned: op.returned,
        effect: OnRegister { op, named: &named },
    });
    search::is_linearizable(calls, None)
}

type State<'a> = Option<&'a str>;

/// Stands for every value that nothing names.
const UNNAMED: &str = "a value that nothing names";

/// What a write of unknown outcome requires.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Precondition<'a> {
    None,
    Empty,
    Value(&'a str),
}

/// An operation, and the values that a response or a comparison names. All others are alike.
struct OnRegister<'a> {
    op: &'a Op,
    named: &'a HashSet<&'a str>,
}

impl<'a> Effect for OnRegister<'a> {
    type State = State<'a>;
    type Precondition = Precondition<'a>;

    fn apply(&self, state: &State<'a>) -> Option<State<'a>> {
        let next = self.op.apply(*state)?;
        Some(next.map(|value| self.named.get(value).copied().unwrap_or(UNNAMED)))
    }

    fn precondition(&self) -> Precondition<'a> {
        self.op.precondition()
    }
}

impl Op {
    /// The values that it depends on.
    fn names(&self) -> impl Iterator<Item = &str> {
        let known = self.returned.is_some();
        let value = match &self.what {
            What::Read(value) | What::Set(_, value) | What::Delete(value) if known => {
                value.as_deref()
            }
            What::Swap(from, ..) => Some(from.as_str()),
            _ => None,
        };
        value.into_iter()
    }

    /// The state in which it writes something if its outcome is unknown.
    fn precondition(&self) -> Precondition<'_> {
        match &self.what {
            What::Create(..) => Precondition::Empty,
            What::Swap(from, ..) => Precondition::Value(from),
            _ => Precondition::None,
        }
    }

    /// The state after this operation, if it can take effect in `state` with this response.
    fn apply<'a>(&'a self, state: State<'a>) -> Option<State<'a>> {
        let known = self.returned.is_some();
        match &self.what {
            What::Read(value) => (!known || state == value.as_deref()).then_some(state),
            What::Set(value, before) => {
                (!known || state == before.as_deref()).then_some(Some(value))
            }
            What::Create(value, created) => match state {
                None => (!known || *created).then_some(Some(value)),
                Some(_) => (!known || !*created).then_some(state),
            },
            What::Swap(from, to, answer) => {
                let (then, next) = match state {
                    None => (Swapped::Nothing, state),
                    Some(value) if value == from => (Swapped::Done, Some(to.as_str())),
                    Some(_) => (Swapped::SomethingElse, state),
                };
                (!known || *answer == then).then_some(next)
            }
            What::Delete(before) => (!known || state == before.as_deref()).then_some(None),
        }
    }
}

impl fmt::Display for NotLinearizable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no order explains what {} answered:", self.register)?;
        for Op {
            called,
            returned,
            what,
        } in &self.ops
        {
            match returned {
                Some(returned) => writeln!(f, "  {called:>6} to {returned:>6}: {what:?}")?,
                None => writeln!(f, "  {called:>6} to      ?: {what:?}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
