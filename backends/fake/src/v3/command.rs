//! What is written through Raft.

use super::{
    Store,
    error::V3Error,
    message::{
        kv::{
            CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse,
            PutRequest, PutResponse, ResponseHeader, TxnRequest, TxnResponse,
        },
        lease::{LeaseRevokeRequest, LeaseRevokeResponse},
    },
    mvcc::Batch,
};
use crate::{
    cluster::state::{Apply, Moment},
    state::{self, Stores},
};

/// A grant with the id that the server has chosen, if the client has not.
#[derive(Clone, Debug)]
pub(crate) struct CreateLease {
    pub(crate) id: i64,
    pub(crate) ttl: i64,
}

/// A keep-alive. etcd's leader alone knows of it; here, every copy of the leases does.
#[derive(Clone, Debug)]
pub(crate) struct RenewLease {
    pub(crate) id: i64,
}

/// Declares the commands, and how each is applied.
macro_rules! commands {
    ($($name:ident($store:ident, $command:ident, $at:ident) -> $output:ty $body:block)*) => {
        /// A command of any kind.
        #[derive(Clone, Debug)]
        pub(crate) enum Command {
            $($name($name),)*
        }

        impl Command {
            /// Applies a command whose result is not used.
            pub(crate) fn replay(self, stores: &mut Stores, at: Moment) {
                match self {
                    $(Self::$name(command) => drop(command.apply(stores, at)),)*
                }
            }
        }

        $(
            impl From<$name> for state::Command {
                fn from(command: $name) -> Self {
                    Self::V3(Command::$name(command))
                }
            }

            impl Apply<Stores> for $name {
                type Output = Result<$output, V3Error>;

                fn apply(self, stores: &mut Stores, $at: Moment) -> Self::Output {
                    let ($store, $command): (&mut Store, Self) = (&mut stores.v3, self);
                    $body
                }
            }
        )*
    };
}

commands! {
    PutRequest(store, command, _at) -> PutResponse {
        let mut batch = Batch::new(&mut store.mvcc, &mut store.leases);
        let response = batch.put(&command)?;
        batch.commit();
        store.notify();
        Ok(response)
    }

    DeleteRangeRequest(store, command, _at) -> DeleteRangeResponse {
        let mut batch = Batch::new(&mut store.mvcc, &mut store.leases);
        let response = batch.delete_range(&command);
        batch.commit();
        store.notify();
        Ok(response)
    }

    TxnRequest(store, command, _at) -> TxnResponse {
        let response = store.mvcc.txn(&command, &mut store.leases)?;
        store.notify();
        Ok(response)
    }

    CompactionRequest(store, command, at) -> CompactionResponse {
        store.mvcc.compact(command.revision, at.profile)?;
        let header = ResponseHeader::of_revision(store.mvcc.revision());
        Ok(CompactionResponse { header: Some(header) })
    }

    CreateLease(store, command, at) -> i64 {
        store.leases.grant(command.id, command.ttl, at.now)
    }

    RenewLease(store, command, at) -> i64 {
        store.leases.renew(command.id, at.now).ok_or(V3Error::LEASE_NOT_FOUND)
    }

    LeaseRevokeRequest(store, command, _at) -> LeaseRevokeResponse {
        if !store.revoke(command.id) {
            return Err(V3Error::LEASE_NOT_FOUND);
        }
        let header = ResponseHeader::of_revision(store.mvcc.revision());
        Ok(LeaseRevokeResponse { header: Some(header) })
    }
}
