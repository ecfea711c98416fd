use std::collections::BTreeSet;

use super::model::{Permissions, Role, User};
use crate::{
    password,
    profile::Profile,
    state::EtcdCluster,
    v2::{
        quorum_get,
        store::{
            error::{Code, StoreError},
            event::Text,
            write::{Ttl, Write},
        },
    },
};

const ROOT: &str = "root";
const GUEST: &str = "guest";
const PREFIX: &str = "/2";

/// Why an auth endpoint refuses a request.
#[derive(Debug)]
pub(crate) enum AuthError {
    /// A status and etcd's message, without its `auth: `.
    Refused(u16, String),
    /// A 400 of the endpoint, with its message.
    BadRequest(String),
    /// An error of the store, which etcd passes on.
    Store(StoreError),
    /// Anything else: a 500.
    Internal,
}

fn refused<T>(status: u16, message: impl Into<String>) -> Result<T, AuthError> {
    Err(AuthError::Refused(status, message.into()))
}

/// Users, roles, and whether auth is enabled. They are in the store below `/2`, and their reads and writes are counted.
pub(crate) struct Auth<'a> {
    pub(crate) cluster: &'a mut EtcdCluster,
    pub(crate) endpoint: usize,
}

impl Auth<'_> {
    pub(crate) fn is_enabled(&mut self) -> bool {
        let store = &mut self.cluster.local(self.endpoint).v2;
        let found = store.probe(b"/2/enabled");
        found.is_some_and(|id| {
            store
                .tree
                .value(id)
                .is_some_and(|value| **value == *b"true")
        })
    }

    pub(crate) fn enable(&mut self) -> Result<(), AuthError> {
        if self.is_enabled() {
            return refused(409, "already enabled");
        }
        if self.user(ROOT, true).is_err() {
            return refused(409, "No root user available, please create one");
        }
        if self.role(GUEST, true).is_err() {
            self.create_role(all_permissions(GUEST))?;
        }
        self.write("/enabled", b"true".to_vec(), true)?;
        Ok(())
    }

    pub(crate) fn disable(&mut self) -> Result<(), AuthError> {
        if !self.is_enabled() {
            return refused(409, "already disabled");
        }
        self.write("/enabled", b"false".to_vec(), true)?;
        Ok(())
    }

    /// The names of all users, sorted.
    pub(crate) fn user_names(&mut self) -> Vec<String> {
        self.names("/users")
    }

    /// The names of all roles, sorted. Root is always one of them.
    pub(crate) fn role_names(&mut self) -> Vec<String> {
        let mut names = self.names("/roles");
        names.push(ROOT.to_owned());
        names.sort_unstable();
        names
    }

    pub(crate) fn user(&mut self, name: &str, quorum: bool) -> Result<User, AuthError> {
        match self.read(&format!("/users/{name}"), quorum) {
            Ok(value) => {
                let mut user = User::parse(&value).ok_or(AuthError::Internal)?;
                if user.user == ROOT {
                    attach_root_role(&mut user);
                }
                Ok(user)
            }
            Err(error) if error.code == Code::KeyNotFound => {
                refused(404, format!("User {name} does not exist."))
            }
            Err(error) => Err(AuthError::Store(error)),
        }
    }

    pub(crate) fn role(&mut self, name: &str, quorum: bool) -> Result<Role, AuthError> {
        if name == ROOT {
            return Ok(all_permissions(ROOT));
        }
        match self.read(&format!("/roles/{name}"), quorum) {
            Ok(value) => Role::parse(&value).ok_or(AuthError::Internal),
            Err(error) if error.code == Code::KeyNotFound => {
                refused(404, format!("Role {name} does not exist."))
            }
            Err(error) => Err(AuthError::Store(error)),
        }
    }

    /// Creates a user or changes its password; returns whether it was created.
    pub(crate) fn create_or_update_user(&mut self, user: User) -> Result<(User, bool), AuthError> {
        if self.user(&user.user, true).is_ok() {
            return Ok((self.update_user(&user)?, false));
        }
        Ok((self.create_user(user)?, true))
    }

    pub(crate) fn create_user(&mut self, mut user: User) -> Result<User, AuthError> {
        if user.user == ROOT {
            attach_root_role(&mut user);
        }
        if user.password.is_empty() {
            let name = &user.user;
            return refused(
                400,
                format!("Cannot create user {name} with an empty password"),
            );
        }
        user.password = self.hash(&user.password)?;
        let mut value = Vec::new();
        user.push(&mut value, self.cluster.profile);
        match self.write(&format!("/users/{}", user.user), value, false) {
            Ok(()) => Ok(user),
            Err(error) if error.code == Code::NodeExist => {
                refused(409, format!("User {} already exists.", user.user))
            }
            Err(error) => Err(AuthError::Store(error)),
        }
    }

    pub(crate) fn update_user(&mut self, wanted: &User) -> Result<User, AuthError> {
        let old = self.user(&wanted.user, true)?;
        let new = self.merge_user(&old, wanted)?;
        if old == new {
            let message = "User not updated. Use grant/revoke/password to update the user.";
            return refused(400, message);
        }
        let mut value = Vec::new();
        new.push(&mut value, self.cluster.profile);
        self.write(&format!("/users/{}", wanted.user), value, true)?;
        Ok(new)
    }

    pub(crate) fn delete_user(&mut self, name: &str) -> Result<(), AuthError> {
        if self.is_enabled() && name == ROOT {
            return refused(403, "Cannot delete root user while auth is enabled.");
        }
        match self.delete(&format!("/users/{name}")) {
            Err(error) if error.code == Code::KeyNotFound => {
                refused(404, format!("User {name} does not exist"))
            }
            result => Ok(result?),
        }
    }

    pub(crate) fn create_role(&mut self, role: Role) -> Result<(), AuthError> {
        refuse_root(&role.role)?;
        let mut value = Vec::new();
        role.push(&mut value, self.cluster.profile);
        match self.write(&format!("/roles/{}", role.role), value, false) {
            Err(error) if error.code == Code::NodeExist => {
                refused(409, format!("Role {} already exists.", role.role))
            }
            result => Ok(result?),
        }
    }

    pub(crate) fn update_role(&mut self, wanted: &Role) -> Result<Role, AuthError> {
        refuse_root(&wanted.role)?;
        let old = self.role(&wanted.role, true)?;
        let mut permissions = old.permissions.clone();
        if let Some(grant) = &wanted.grant {
            permissions = granted(&permissions, grant)?;
        }
        if let Some(revoke) = &wanted.revoke {
            permissions = revoked(&permissions, revoke);
        }
        let new = Role {
            role: old.role.clone(),
            permissions,
            grant: None,
            revoke: None,
        };
        if old == new {
            let message = "Role not updated. Use grant/revoke to update the role.";
            return refused(400, message);
        }
        let mut value = Vec::new();
        new.push(&mut value, self.cluster.profile);
        self.write(&format!("/roles/{}", wanted.role), value, true)?;
        Ok(new)
    }

    pub(crate) fn delete_role(&mut self, name: &str) -> Result<(), AuthError> {
        refuse_root(name)?;
        match self.delete(&format!("/roles/{name}")) {
            Err(error) if error.code == Code::KeyNotFound => {
                refused(404, format!("Role {name} doesn't exist."))
            }
            result => Ok(result?),
        }
    }

    /// Whether this is the user's password.
    pub(crate) fn is_right(&self, user: &User, password: &[u8]) -> bool {
        let limit = password.len().min(password::MAX_LENGTH);
        password::is_right(&password[..limit], &user.password)
    }

    fn hash(&mut self, password: &str) -> Result<String, AuthError> {
        let password = password.as_bytes();
        let limit = password.len().min(password::MAX_LENGTH);
        if password.len() > limit && self.cluster.profile != Profile::V3_4 {
            return Err(AuthError::Internal);
        }
        let salt = self.cluster.rng.next();
        Ok(password::hash(&password[..limit], salt))
    }

    fn merge_user(&mut self, old: &User, wanted: &User) -> Result<User, AuthError> {
        let password = if wanted.password.is_empty() {
            old.password.clone()
        } else {
            self.hash(&wanted.password)?
        };
        let name = &wanted.user;
        let mut roles: BTreeSet<String> = old.roles.iter().flatten().cloned().collect();
        for role in wanted.grant.iter().flatten() {
            if !roles.insert(role.clone()) {
                return refused(
                    409,
                    format!("Granting duplicate role {role} for user {name}"),
                );
            }
        }
        for role in wanted.revoke.iter().flatten() {
            if !roles.remove(role) {
                return refused(
                    409,
                    format!("Revoking ungranted role {role} for user {name}"),
                );
            }
        }
        Ok(User {
            user: old.user.clone(),
            password,
            roles: Some(roles.into_iter().collect()),
            grant: None,
            revoke: None,
        })
    }

    fn names(&mut self, directory: &str) -> Vec<String> {
        let path = format!("{PREFIX}{directory}");
        let store = &mut self.cluster.local(self.endpoint).v2;
        let Ok(id) = store.get(path.as_bytes()) else {
            return Vec::new();
        };
        let children = store.tree.children(id).iter().copied();
        let visible = children.filter(|&child| !store.tree.is_hidden(child));
        let names = visible.map(|child| String::from_utf8_lossy(store.tree.name(child)).into());
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    }

    fn read(&mut self, resource: &str, quorum: bool) -> Result<Text, StoreError> {
        let path = format!("{PREFIX}{resource}");
        let id = if quorum {
            quorum_get(self.cluster, self.endpoint, path.as_bytes())?
        } else {
            self.cluster.local(self.endpoint).v2.get(path.as_bytes())?
        };
        let value = self.cluster.local(self.endpoint).v2.tree.value(id).cloned();
        value.ok_or_else(|| StoreError::request(Code::NotFile, path))
    }

    fn write(&mut self, resource: &str, value: Vec<u8>, exists: bool) -> Result<(), StoreError> {
        self.prepare()?;
        let path = format!("{PREFIX}{resource}").into_bytes();
        let write = if exists {
            Write::Update {
                path,
                value: value.into(),
                ttl: Ttl::default(),
            }
        } else {
            Write::Create {
                path,
                dir: false,
                value: value.into(),
                expires: None,
            }
        };
        self.cluster.propose(self.endpoint, write)?;
        Ok(())
    }

    fn delete(&mut self, resource: &str) -> Result<(), StoreError> {
        self.prepare()?;
        let delete = Write::Delete {
            path: format!("{PREFIX}{resource}").into_bytes(),
            dir: false,
            recursive: false,
        };
        self.cluster.propose(self.endpoint, delete)?;
        Ok(())
    }

    /// Creates the directories and the flag, once in a run of the server.
    fn prepare(&mut self) -> Result<(), StoreError> {
        if self.cluster.state.v2.is_auth_prepared {
            return Ok(());
        }
        for (resource, dir) in [
            ("", true),
            ("/users", true),
            ("/roles", true),
            ("/enabled", false),
        ] {
            let value: &[u8] = if dir { b"" } else { b"false" };
            let create = Write::Create {
                path: format!("{PREFIX}{resource}").into_bytes(),
                dir,
                value: value.into(),
                expires: None,
            };
            match self.cluster.propose(self.endpoint, create) {
                Err(error) if error.code != Code::NodeExist => return Err(error),
                _ => {}
            }
        }
        self.cluster.state.v2.is_auth_prepared = true;
        Ok(())
    }
}

impl From<StoreError> for AuthError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Role {
    /// Whether the role may read or write this key, as the URL has it.
    pub(crate) fn allows(&self, key: &str, write: bool, recursive: bool) -> bool {
        if self.role == ROOT {
            return true;
        }
        let patterns = if write {
            &self.permissions.write
        } else {
            &self.permissions.read
        };
        let mut patterns = patterns.iter().flatten();
        patterns.any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => key.starts_with(prefix),
            None => !recursive && key == pattern,
        })
    }
}

/// Whether a user with this role may do anything.
pub(crate) fn is_root_role(role: &str) -> bool {
    role == ROOT
}

/// The role of requests without credentials.
pub(crate) fn guest() -> &'static str {
    GUEST
}

fn all_permissions(role: &str) -> Role {
    let all = || Some(vec!["/*".to_owned()]);
    Role {
        role: role.to_owned(),
        permissions: Permissions {
            read: all(),
            write: all(),
        },
        grant: None,
        revoke: None,
    }
}

fn attach_root_role(user: &mut User) {
    let roles = user.roles.get_or_insert_default();
    if !roles.iter().any(|role| role == ROOT) {
        roles.push(ROOT.to_owned());
    }
}

fn refuse_root(role: &str) -> Result<(), AuthError> {
    if role == ROOT {
        return refused(403, format!("Cannot modify role {role}: is root role."));
    }
    Ok(())
}

fn granted(old: &Permissions, grant: &Permissions) -> Result<Permissions, AuthError> {
    let with = |old: &Option<Vec<String>>, new: &Option<Vec<String>>, kind: &str| {
        let mut all: BTreeSet<String> = old.iter().flatten().cloned().collect();
        for pattern in new.iter().flatten() {
            if !all.insert(pattern.clone()) {
                let message = format!("Granting duplicate {kind} permission {pattern}");
                return refused(409, message);
            }
        }
        Ok(Some(all.into_iter().collect()))
    };
    Ok(Permissions {
        read: with(&old.read, &grant.read, "read")?,
        write: with(&old.write, &grant.write, "write")?,
    })
}

fn revoked(old: &Permissions, revoke: &Permissions) -> Permissions {
    let without = |old: &Option<Vec<String>>, gone: &Option<Vec<String>>| {
        let mut all: BTreeSet<String> = old.iter().flatten().cloned().collect();
        for pattern in gone.iter().flatten() {
            all.remove(pattern);
        }
        Some(all.into_iter().collect())
    };
    Permissions {
        read: without(&old.read, &revoke.read),
        write: without(&old.write, &revoke.write),
    }
}
