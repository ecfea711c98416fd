//! The processes of servers, their directories and their ports.

pub(crate) mod child;
pub(crate) mod directory;
pub(crate) mod lifecycle;
pub(crate) mod ports;
mod watchdog;
