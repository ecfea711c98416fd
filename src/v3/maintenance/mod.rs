//! Looking after a member, and the cluster. What is said of «the member» is the one that the client happens to ask: to
//! ask a certain one, use a client with its endpoint alone.

mod alarm;
mod defragment;
mod downgrade;
mod hash;
mod leadership;
mod snapshot;
mod status;

pub use alarm::{AlarmKind, ListAlarms, RaisedAlarm, SetAlarm};
pub use defragment::Defragment;
pub use downgrade::{Downgrade, DowngradeResponse};
pub use hash::{GetHash, GetHashKv, HashKvResponse, HashResponse};
pub use leadership::TransferLeadership;
pub use snapshot::Snapshot;
pub use status::{DowngradeInfo, GetStatus, StatusResponse};
