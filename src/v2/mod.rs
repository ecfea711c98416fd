//! The v2 API: keys in a tree of directories, with TTLs, compare-and-swap and watches.
//!
//! etcd 3.4 and 3.5 have it when started with `--enable-v2`; etcd 3.6 has none. Each operation is a value with its
//! options, and [`V2`] has a short form for the plain case of each. etcd's own documentation:
//! <https://etcd.io/docs/v2.3/api/>.

mod auth;
mod handle;
mod keys;
mod members;
mod node;
mod once;
pub(crate) mod protocol;
mod stats;
mod ttl;
mod watch;

pub use auth::{
    ChangePassword, CreateRole, CreateUser, DeleteRole, DeleteUser, DisableAuth, EnableAuth,
    GetAuthStatus, GetRole, GetUser, GrantPermissions, GrantRoles, ListRoles, ListUsers,
    Permissions, RevokePermissions, RevokeRoles, Role, User, UserDetails,
};
pub use handle::V2;
pub use keys::{
    CompareAndDelete, CompareAndSwap, Condition, Create, CreateDir, CreateInOrder,
    CreateInOrderDir, Delete, DeleteDir, Exists, Get, Refresh, Set, SetDir, Update, UpdateDir,
    WithoutValue,
};
pub use members::{
    AddMember, GetLeader, ListMachines, ListMembers, Member, RemoveMember, UpdateMember,
};
pub use node::Node;
pub use once::Once;
pub use stats::{
    Counts, FollowerStats, GetLeaderStats, GetSelfStats, GetStoreStats, Latency, LeaderInfo,
    LeaderStats, SelfStats, StoreStats,
};
pub use watch::{
    Action, ClusterInfo, Event, Resync, ResyncingWatch, Until, Watch, WatchUpdate, Written,
};
