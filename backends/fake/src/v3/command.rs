//! What is written through Raft.

use super::{
    Store,
    alarm::cost_of_txn,
    error::V3Error,
    message::{
        auth::{
            AuthDisableRequest, AuthEnableRequest, AuthResponse, AuthRoleAddRequest,
            AuthRoleDeleteRequest, AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest,
            AuthUserAddRequest, AuthUserChangePasswordRequest, AuthUserDeleteRequest,
            AuthUserGrantRoleRequest, AuthUserRevokeRoleRequest,
        },
        kv::{
            CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse,
            PutRequest, PutResponse, ResponseHeader, TxnRequest, TxnResponse,
        },
        lease::{LeaseRevokeRequest, LeaseRevokeResponse},
        maintenance::{AlarmMember, AlarmRequest},
    },
    mvcc::Batch,
};
use crate::cluster::state::Moment;

/// What changes the store, with a result of its own type.
pub(crate) trait Write: Clone + Into<Command> {
    type Output;

    fn write(self, store: &mut Store, at: Moment) -> Result<Self::Output, V3Error>;
}

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

/// Makes a token valid for a user whose password was right.
#[derive(Clone, Debug)]
pub(crate) struct Authenticate {
    pub(crate) name: String,
    pub(crate) token: String,
}

/// Begins or ends a downgrade of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct SetDowngrade {
    pub(crate) is_enabled: bool,
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
            pub(crate) fn replay(self, store: &mut Store, at: Moment) {
                match self {
                    $(Self::$name(command) => drop(command.write(store, at)),)*
                }
            }
        }

        $(
            impl From<$name> for Command {
                fn from(command: $name) -> Self {
                    Self::$name(command)
                }
            }

            impl Write for $name {
                type Output = $output;

                fn write(self, $store: &mut Store, $at: Moment) -> Result<$output, V3Error> {
                    let $command = self;
                    $body
                }
            }
        )*
    };
}

commands! {
    PutRequest(store, command, _at) -> PutResponse {
        store.alarms.check_growth()?;
        let mut batch = Batch::new(&mut store.mvcc, &mut store.leases);
        let response = batch.put(&command)?;
        batch.commit();
        store.notify();
        Ok(response)
    }

    DeleteRangeRequest(store, command, _at) -> DeleteRangeResponse {
        store.alarms.check_write()?;
        let mut batch = Batch::new(&mut store.mvcc, &mut store.leases);
        let response = batch.delete_range(&command);
        batch.commit();
        store.notify();
        Ok(response)
    }

    TxnRequest(store, command, _at) -> TxnResponse {
        store.alarms.check_write()?;
        if cost_of_txn(&command) > 0 {
            store.alarms.check_growth()?;
        }
        let response = store.mvcc.txn(&command, &mut store.leases)?;
        store.notify();
        Ok(response)
    }

    CompactionRequest(store, command, at) -> CompactionResponse {
        store.alarms.check_write()?;
        store.mvcc.compact(command.revision, at.profile)?;
        let header = ResponseHeader::of_revision(store.mvcc.revision());
        Ok(CompactionResponse { header: Some(header) })
    }

    CreateLease(store, command, at) -> i64 {
        store.alarms.check_growth()?;
        store.leases.grant(command.id, command.ttl, at.now)
    }

    RenewLease(store, command, at) -> i64 {
        store.leases.renew(command.id, at.now).ok_or(V3Error::LEASE_NOT_FOUND)
    }

    LeaseRevokeRequest(store, command, _at) -> LeaseRevokeResponse {
        store.alarms.check_write()?;
        if !store.revoke(command.id) {
            return Err(V3Error::LEASE_NOT_FOUND);
        }
        let header = ResponseHeader::of_revision(store.mvcc.revision());
        Ok(LeaseRevokeResponse { header: Some(header) })
    }

    AlarmRequest(store, command, at) -> Vec<AlarmMember> {
        Ok(store.alarms.request(&command, at.profile))
    }

    Authenticate(store, command, at) -> () {
        store.auth.add_token(command.token, command.name, at.now);
        Ok(())
    }

    SetDowngrade(store, command, _at) -> () {
        store.is_downgrading = command.is_enabled;
        Ok(())
    }

    AuthEnableRequest(store, _command, _at) -> AuthResponse {
        store.auth.enable().map(|()| AuthResponse::default())
    }

    AuthDisableRequest(store, _command, _at) -> AuthResponse {
        store.auth.disable();
        Ok(AuthResponse::default())
    }

    AuthUserAddRequest(store, command, _at) -> AuthResponse {
        store.auth.add_user(command).map(|()| AuthResponse::default())
    }

    AuthUserDeleteRequest(store, command, _at) -> AuthResponse {
        store.auth.delete_user(&command.name).map(|()| AuthResponse::default())
    }

    AuthUserChangePasswordRequest(store, command, _at) -> AuthResponse {
        let changed = store.auth.change_password(&command.name, command.hashed_password);
        changed.map(|()| AuthResponse::default())
    }

    AuthUserGrantRoleRequest(store, command, _at) -> AuthResponse {
        let changed = store.auth.grant_role(&command.user, &command.role);
        changed.map(|()| AuthResponse::default())
    }

    AuthUserRevokeRoleRequest(store, command, _at) -> AuthResponse {
        let changed = store.auth.revoke_role(&command.name, &command.role);
        changed.map(|()| AuthResponse::default())
    }

    AuthRoleAddRequest(store, command, _at) -> AuthResponse {
        store.auth.add_role(command.name).map(|()| AuthResponse::default())
    }

    AuthRoleDeleteRequest(store, command, _at) -> AuthResponse {
        store.auth.delete_role(&command.role).map(|()| AuthResponse::default())
    }

    AuthRoleGrantPermissionRequest(store, command, at) -> AuthResponse {
        let changed = store.auth.grant_permission(command, at.profile);
        changed.map(|()| AuthResponse::default())
    }

    AuthRoleRevokePermissionRequest(store, command, _at) -> AuthResponse {
        let changed = store.auth.revoke_permission(&command);
        changed.map(|()| AuthResponse::default())
    }
}
