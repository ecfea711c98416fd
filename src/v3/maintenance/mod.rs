//! Maintenance of members and of the cluster. "The member" is the one whose endpoint the client chooses. To choose it
//! yourself, use a client with that endpoint only.

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
