//! Who may do what while auth is enabled.

use bytes::Bytes;

use super::{AuthStore, Caller, ROOT, permission::Access, store::USER_NOT_FOUND};
use crate::v3::{
    error::V3Error,
    lease::Leases,
    message::kv::{DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest},
};

type Permitted = Result<(), V3Error>;

impl AuthStore {
    /// Whether the caller may administer the cluster.
    pub(crate) fn check_admin(&self, caller: &Caller) -> Permitted {
        if !self.is_enabled {
            return Ok(());
        }
        let name = caller.0.as_ref().filter(|name| !name.is_empty());
        let name = name.ok_or(V3Error::EMPTY_USER)?;
        // A certificate may have a name that no user has.
        let user = self.users.get(name).ok_or(USER_NOT_FOUND)?;
        permitted(user.has_role(ROOT))
    }

    /// Whether the caller may read about a user: everybody may about themselves.
    pub(crate) fn check_user(&self, caller: &Caller, name: &str) -> Permitted {
        if caller.0.as_deref() == Some(name) {
            return Ok(());
        }
        self.check_admin(caller)
    }

    /// Whether the caller may read about a role: everybody may about their own.
    pub(crate) fn check_role(&self, caller: &Caller, role: &str) -> Permitted {
        let user = caller.0.as_ref().and_then(|name| self.users.get(name));
        if user.is_some_and(|user| user.has_role(role)) {
            return Ok(());
        }
        self.check_admin(caller)
    }

    pub(crate) fn check_range(&self, caller: &Caller, request: &RangeRequest) -> Permitted {
        self.check_read(caller, &request.key, &request.range_end)
    }

    pub(crate) fn check_put(
        &self,
        caller: &Caller,
        request: &PutRequest,
        leases: &Leases,
    ) -> Permitted {
        self.check(caller, &request.key, &Bytes::new(), Access::Write)?;
        self.check_lease(caller, request.lease, leases)?;
        if request.prev_kv {
            self.check_read(caller, &request.key, &Bytes::new())?;
        }
        Ok(())
    }

    pub(crate) fn check_delete(&self, caller: &Caller, request: &DeleteRangeRequest) -> Permitted {
        let (key, end) = (&request.key, &request.range_end);
        self.check(caller, key, end, Access::Write)?;
        if request.prev_kv {
            self.check_read(caller, key, end)?;
        }
        Ok(())
    }

    /// Whether the caller may do all that a transaction could do, whichever branch it takes. These releases of etcd do not
    /// look into a transaction inside it.
    pub(crate) fn check_txn(&self, caller: &Caller, request: &TxnRequest) -> Permitted {
        for compare in &request.compare {
            self.check_read(caller, &compare.key, &compare.range_end)?;
        }
        let mut ops = request.success.iter().chain(&request.failure);
        ops.try_for_each(|op| self.check_op(caller, op))
    }

    /// Whether the caller may write all keys of a lease.
    pub(crate) fn check_lease(&self, caller: &Caller, id: i64, leases: &Leases) -> Permitted {
        self.check_keys_of_lease(caller, id, leases, Access::Write)
    }

    /// Whether the caller may be told the keys of a lease. It takes a user even if there are none.
    pub(crate) fn check_lease_read(&self, caller: &Caller, id: i64, leases: &Leases) -> Permitted {
        if self.is_enabled && caller.0.is_none() {
            return Err(V3Error::EMPTY_USER);
        }
        self.check_keys_of_lease(caller, id, leases, Access::Read)
    }

    /// Whether the caller may watch a range. etcd takes one without an end for its first key here.
    pub(crate) fn check_watch(&self, caller: &Caller, key: &Bytes, range_end: &Bytes) -> Permitted {
        let (first, none) = (Bytes::from_static(&[0]), Bytes::new());
        let key = if key.is_empty() { &first } else { key };
        let is_open = range_end[..] == [0];
        self.check_read(caller, key, if is_open { &none } else { range_end })
    }

    fn check_op(&self, caller: &Caller, op: &RequestOp) -> Permitted {
        if let Some(range) = &op.request_range {
            self.check_range(caller, range)
        } else if let Some(put) = &op.request_put {
            self.check(caller, &put.key, &Bytes::new(), Access::Write)
        } else if let Some(delete) = &op.request_delete_range {
            self.check_delete(caller, delete)
        } else {
            Ok(())
        }
    }

    fn check_keys_of_lease(
        &self,
        caller: &Caller,
        id: i64,
        leases: &Leases,
        access: Access,
    ) -> Permitted {
        let mut keys = leases.get(id).into_iter().flat_map(|lease| lease.keys());
        keys.try_for_each(|key| self.check(caller, key, &Bytes::new(), access))
    }

    fn check_read(&self, caller: &Caller, key: &Bytes, end: &Bytes) -> Permitted {
        self.check(caller, key, end, Access::Read)
    }

    fn check(&self, caller: &Caller, key: &Bytes, end: &Bytes, access: Access) -> Permitted {
        if !self.is_enabled {
            return Ok(());
        }
        let name = caller.0.as_ref().ok_or(V3Error::EMPTY_USER)?;
        let user = self.users.get(name);
        permitted(
            user.is_some_and(|user| user.has_role(ROOT) || self.covers(user, key, end, access)),
        )
    }
}

fn permitted(is_permitted: bool) -> Permitted {
    if is_permitted {
        Ok(())
    } else {
        Err(V3Error::PERMISSION_DENIED)
    }
}
