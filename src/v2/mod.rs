//! The v2 API: keys in a tree of directories, with times to live, compare-and-swap and watches.
//!
//! ```
//! # #[cfg(feature = "fake")]
//! # futures::executor::block_on(async {
//! use etcd_http::{
//!     Client,
//!     v2::{Condition, Get},
//! };
//!
//! # let etcd = etcd_http::fake::FakeEtcd::new();
//! # let client = Client::new(etcd.clone(), etcd.endpoints())?;
//! let v2 = client.v2();
//! v2.set("/app/color", "red").await?;
//! v2.compare_and_swap("/app/color", "green", Condition::value_is("red")).await?;
//!
//! // Options make an operation a value of its own, and `Client::send` executes it.
//! let app = client.send(Get::new("/app").sorted(true).quorum(true)).await?;
//! assert_eq!(app.node.nodes[0].value.as_deref(), Some("green"));
//! # Ok::<(), etcd_http::Error>(())
//! # }).unwrap();
//! ```
//!
//! etcd 3.4 and 3.5 have this API when started with `--enable-v2`; etcd 3.6 has none. Each operation is a value with its
//! options, and [`V2`] has a short form for the plain case of each. etcd's own documentation:
//! <https://etcd.io/docs/v2.3/api/>.

mod api;
mod auth;
mod error;
mod handle;
mod keys;
mod members;
mod node;
mod number;
mod once;
mod operation;
pub(crate) mod protocol;
mod stats;
mod ttl;
mod watch;

pub use auth::{
    AddRole, AddUser, ChangePassword, DeleteRole, DeleteUser, DisableAuth, EnableAuth,
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
    Action, ClusterInfo, Event, Resync, ResyncingWatch, Until, Watch, WatchCursor, WatchUpdate,
    Written,
};

pub(crate) use api::API;
