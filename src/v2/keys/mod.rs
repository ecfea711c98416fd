//! The keys API: <https://etcd.io/docs/v2.3/api/>

mod compare;
mod delete;
mod get;
mod put;

pub use compare::{CompareAndDelete, CompareAndSwap, Condition};
pub use delete::{Delete, DeleteDir};
pub use get::{Exists, Get};
pub use put::{
    Create, CreateDir, CreateInOrder, CreateInOrderDir, Refresh, Set, SetDir, Update, UpdateDir,
    WithoutValue,
};
