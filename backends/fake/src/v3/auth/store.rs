//! Changes of users and roles.

use super::{AuthStore, ROOT, User};
use crate::{
    password,
    profile::Profile,
    v3::{
        error::{Code, V3Error},
        message::auth::{
            AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest, AuthUserAddRequest,
            Permission,
        },
    },
};

type Changed = Result<(), V3Error>;

const fn precondition(message: &'static str) -> V3Error {
    V3Error::new(Code::FailedPrecondition, message)
}

const ROOT_USER_MISSING: V3Error = precondition("etcdserver: root user does not exist");
const ROOT_ROLE_MISSING: V3Error = precondition("etcdserver: root user does not have root role");
const USER_EXISTS: V3Error = precondition("etcdserver: user name already exists");
const USER_NOT_FOUND: V3Error = precondition("etcdserver: user name not found");
const ROLE_EXISTS: V3Error = precondition("etcdserver: role name already exists");
const ROLE_NOT_FOUND: V3Error = precondition("etcdserver: role name not found");
const ROLE_NOT_GRANTED: V3Error = precondition("etcdserver: role is not granted to the user");
const PERMISSION_NOT_GRANTED: V3Error =
    precondition("etcdserver: permission is not granted to the role");
const NOT_ENABLED: V3Error = precondition("etcdserver: authentication is not enabled");
const EMPTY_ROLE: V3Error = V3Error::new(Code::InvalidArgument, "etcdserver: role name is empty");
const PERMISSION_NOT_GIVEN: V3Error =
    V3Error::new(Code::InvalidArgument, "etcdserver: permission not given");
const INVALID_MANAGEMENT: V3Error =
    V3Error::new(Code::InvalidArgument, "etcdserver: invalid auth management");
const AUTH_FAILED: V3Error = V3Error::new(
    Code::InvalidArgument,
    "etcdserver: authentication failed, invalid user ID or password",
);
const NO_PASSWORD_USER: V3Error = V3Error::new(
    Code::Unknown,
    "auth: authentication failed, password was given for no password user",
);

impl AuthStore {
    pub(crate) fn enable(&mut self) -> Changed {
        if self.is_enabled {
            return Ok(());
        }
        let root = self.users.get(ROOT).ok_or(ROOT_USER_MISSING)?;
        if !root.has_role(ROOT) {
            return Err(ROOT_ROLE_MISSING);
        }
        self.is_enabled = true;
        Ok(())
    }

    pub(crate) fn disable(&mut self) {
        if self.is_enabled {
            self.is_enabled = false;
            self.tokens.clear();
            self.revision += 1;
        }
    }

    /// Whether the password is the user's.
    pub(crate) fn check_password(&self, name: &str, given: &str) -> Changed {
        if !self.is_enabled {
            return Err(NOT_ENABLED);
        }
        let user = self.users.get(name).ok_or(AUTH_FAILED)?;
        let hash = user.password.as_ref().ok_or(NO_PASSWORD_USER)?;
        let given = given.as_bytes();
        // bcrypt reads no more.
        let given = given.get(..password::MAX_LENGTH).unwrap_or(given);
        if password::is_right(given, hash) {
            Ok(())
        } else {
            Err(AUTH_FAILED)
        }
    }

    pub(crate) fn add_user(&mut self, request: AuthUserAddRequest) -> Changed {
        if request.name.is_empty() {
            return Err(V3Error::EMPTY_USER);
        }
        if self.users.contains_key(&request.name) {
            return Err(USER_EXISTS);
        }
        let has_password = !request.options.is_some_and(|options| options.no_password);
        let user = User {
            password: has_password.then_some(request.hashed_password),
            roles: Vec::new(),
        };
        self.users.insert(request.name, user);
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn delete_user(&mut self, name: &str) -> Changed {
        if self.is_enabled && name == ROOT {
            return Err(INVALID_MANAGEMENT);
        }
        self.users.remove(name).ok_or(USER_NOT_FOUND)?;
        self.revoke_tokens(name);
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn change_password(&mut self, name: &str, hashed_password: String) -> Changed {
        let user = self.user_mut(name)?;
        if let Some(password) = &mut user.password {
            *password = hashed_password;
        }
        self.revoke_tokens(name);
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn grant_role(&mut self, name: &str, role: &str) -> Changed {
        let is_role = role == ROOT || self.roles.contains_key(role);
        let user = self.user_mut(name)?;
        if !is_role {
            return Err(ROLE_NOT_FOUND);
        }
        if user.has_role(role) {
            return Ok(());
        }
        user.roles.push(role.to_owned());
        user.roles.sort_unstable();
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn revoke_role(&mut self, name: &str, role: &str) -> Changed {
        if self.is_enabled && name == ROOT && role == ROOT {
            return Err(INVALID_MANAGEMENT);
        }
        let user = self.user_mut(name)?;
        if !user.has_role(role) {
            return Err(ROLE_NOT_GRANTED);
        }
        user.roles.retain(|other| other != role);
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn add_role(&mut self, name: String) -> Changed {
        if name.is_empty() {
            return Err(EMPTY_ROLE);
        }
        if self.roles.contains_key(&name) {
            return Err(ROLE_EXISTS);
        }
        self.roles.insert(name, Vec::new());
        self.revision += 1;
        Ok(())
    }

    /// Deletes a role, and takes it from the users that have it.
    pub(crate) fn delete_role(&mut self, role: &str) -> Changed {
        if self.is_enabled && role == ROOT {
            return Err(INVALID_MANAGEMENT);
        }
        self.roles.remove(role).ok_or(ROLE_NOT_FOUND)?;
        for user in self.users.values_mut() {
            user.roles.retain(|other| other != role);
        }
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn grant_permission(
        &mut self,
        request: AuthRoleGrantPermissionRequest,
        profile: Profile,
    ) -> Changed {
        if profile == Profile::V3_5 && request.perm.is_none() {
            return Err(PERMISSION_NOT_GIVEN);
        }
        let new = request.perm.unwrap_or_default();
        if profile == Profile::V3_5 && !is_valid_range(&new) {
            return Err(INVALID_MANAGEMENT);
        }
        let permissions = self.roles.get_mut(&request.name).ok_or(ROLE_NOT_FOUND)?;
        // etcd compares with the first permission of the same key alone.
        let first = permissions.iter_mut().find(|old| old.key >= new.key);
        match first {
            Some(old) if old.key == new.key && old.range_end == new.range_end => {
                old.perm_type = new.perm_type;
            }
            _ => {
                permissions.push(new);
                permissions.sort_by(|a, b| a.key.cmp(&b.key));
            }
        }
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn revoke_permission(
        &mut self,
        request: &AuthRoleRevokePermissionRequest,
    ) -> Changed {
        let permissions = self.roles.get_mut(&request.role).ok_or(ROLE_NOT_FOUND)?;
        let count = permissions.len();
        permissions.retain(|old| old.key != request.key || old.range_end != request.range_end);
        if permissions.len() == count {
            return Err(PERMISSION_NOT_GRANTED);
        }
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn user_names(&self) -> Vec<String> {
        self.users.keys().cloned().collect()
    }

    pub(crate) fn role_names(&self) -> Vec<String> {
        self.roles.keys().cloned().collect()
    }

    pub(crate) fn roles_of(&self, name: &str) -> Result<Vec<String>, V3Error> {
        let user = self.users.get(name).ok_or(USER_NOT_FOUND)?;
        Ok(user.roles.clone())
    }

    pub(crate) fn permissions_of(&self, role: &str) -> Result<Vec<Permission>, V3Error> {
        self.roles.get(role).cloned().ok_or(ROLE_NOT_FOUND)
    }

    fn user_mut(&mut self, name: &str) -> Result<&mut User, V3Error> {
        self.users.get_mut(name).ok_or(USER_NOT_FOUND)
    }

    fn revoke_tokens(&mut self, user: &str) {
        self.tokens.retain(|_, token| token.user != user);
    }
}

impl User {
    pub(super) fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|other| other == role)
    }
}

fn is_valid_range(permission: &Permission) -> bool {
    let (key, end) = (&permission.key, &permission.range_end[..]);
    !key.is_empty() && (end.is_empty() || end == [0] || key[..] < *end)
}
