use super::{Answered, Call};
use crate::{
    password,
    profile::Profile,
    v3::{
        Authenticate, Write,
        auth::{AuthStore, Caller},
        error::{Code, V3Error},
        message::auth::{
            AuthResponse, AuthRoleGetRequest, AuthRoleGetResponse, AuthRoleListRequest,
            AuthRoleListResponse, AuthStatusRequest, AuthStatusResponse, AuthUserAddRequest,
            AuthUserChangePasswordRequest, AuthUserGetRequest, AuthUserGetResponse,
            AuthUserListRequest, AuthUserListResponse, AuthenticateRequest, AuthenticateResponse,
        },
    },
};

/// How many letters a token begins with.
const TOKEN_LETTERS: usize = 16;

const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const PASSWORD_TOO_LONG: V3Error =
    V3Error::new(Code::Unknown, "bcrypt: password length exceeds 72 bytes");

impl Call<'_> {
    /// Changes users and roles, or whether auth is enabled.
    pub(crate) fn write_auth<C>(&mut self, command: C) -> Answered<AuthResponse>
    where
        C: Write<Output = AuthResponse>,
    {
        let mut response: AuthResponse = self.propose_as_admin(command)?;
        self.fill(&mut response.header);
        Ok(response)
    }

    pub(crate) fn user_add(&mut self, mut request: AuthUserAddRequest) -> Answered<AuthResponse> {
        let has_password = !request.options.as_ref().is_some_and(|all| all.no_password);
        if has_password {
            request.hashed_password = self.hash_password(&request.password)?;
        }
        request.password.clear();
        self.write_auth(request)
    }

    pub(crate) fn user_change_password(
        &mut self,
        mut request: AuthUserChangePasswordRequest,
    ) -> Answered<AuthResponse> {
        request.hashed_password = self.hash_password(&request.password)?;
        request.password.clear();
        self.write_auth(request)
    }

    /// Returns a token: random letters, and the index of the Raft entry that has made it valid.
    pub(crate) fn authenticate(
        &mut self,
        request: &AuthenticateRequest,
    ) -> Answered<AuthenticateResponse> {
        self.confirm_read()?;
        let auth = &self.cluster.local(self.endpoint).v3.auth;
        auth.check_password(&request.name, &request.password)?;
        if self.profile() == Profile::V3_4 {
            // A token is looked at even here.
            self.caller()?;
        }
        let mut token = String::with_capacity(TOKEN_LETTERS + 8);
        for _ in 0..TOKEN_LETTERS {
            let letter = self.cluster.rng.below(LETTERS.len());
            token.extend(LETTERS.get(letter).map(|&letter| char::from(letter)));
        }
        token.push_str(&format!(".{}", self.cluster.raft_index + 1));
        self.cluster.propose(
            self.endpoint,
            Authenticate {
                name: request.name.clone(),
                token: token.clone(),
            },
        )?;
        let header = None;
        let mut response = AuthenticateResponse { header, token };
        self.fill(&mut response.header);
        Ok(response)
    }

    pub(crate) fn auth_status(&mut self, _: AuthStatusRequest) -> Answered<AuthStatusResponse> {
        let mut response = self.read_auth(AuthStore::check_admin, |auth| {
            Ok(AuthStatusResponse {
                header: None,
                enabled: auth.is_enabled(),
                auth_revision: auth.revision(),
            })
        })?;
        self.fill(&mut response.header);
        Ok(response)
    }

    pub(crate) fn user_get(
        &mut self,
        request: &AuthUserGetRequest,
    ) -> Answered<AuthUserGetResponse> {
        let name = &request.name;
        let roles = self.read_auth(
            |auth, caller| auth.check_user(caller, name),
            |auth| auth.roles_of(name),
        )?;
        let header = None;
        let mut response = AuthUserGetResponse { header, roles };
        self.fill(&mut response.header);
        Ok(response)
    }

    pub(crate) fn user_list(&mut self, _: AuthUserListRequest) -> Answered<AuthUserListResponse> {
        let users = self.read_auth(AuthStore::check_admin, |auth| Ok(auth.user_names()))?;
        let header = None;
        let mut response = AuthUserListResponse { header, users };
        self.fill(&mut response.header);
        Ok(response)
    }

    pub(crate) fn role_get(
        &mut self,
        request: &AuthRoleGetRequest,
    ) -> Answered<AuthRoleGetResponse> {
        let role = &request.role;
        let perm = self.read_auth(
            |auth, caller| auth.check_role(caller, role),
            |auth| auth.permissions_of(role),
        )?;
        let header = None;
        let mut response = AuthRoleGetResponse { header, perm };
        self.fill(&mut response.header);
        Ok(response)
    }

    pub(crate) fn role_list(&mut self, _: AuthRoleListRequest) -> Answered<AuthRoleListResponse> {
        let roles = self.read_auth(AuthStore::check_admin, |auth| Ok(auth.role_names()))?;
        let header = None;
        let mut response = AuthRoleListResponse { header, roles };
        self.fill(&mut response.header);
        Ok(response)
    }

    /// Reads users and roles. That goes through Raft like a write.
    fn read_auth<T>(
        &mut self,
        check: impl FnOnce(&AuthStore, &Caller) -> Result<(), V3Error>,
        read: impl FnOnce(&AuthStore) -> Result<T, V3Error>,
    ) -> Answered<T> {
        let caller = self.caller()?;
        self.confirm_read()?;
        self.cluster.confirm_read(self.endpoint);
        let store = &self.cluster.local(self.endpoint).v3;
        if !store.alarms.is_limited() {
            check(&store.auth, &caller)?;
        }
        Ok(read(&store.auth)?)
    }

    fn hash_password(&mut self, password: &str) -> Result<String, V3Error> {
        let password = password.as_bytes();
        let known = match password.get(..password::MAX_LENGTH + 1) {
            Some(_) if self.profile() == Profile::V3_5 => return Err(PASSWORD_TOO_LONG),
            Some(longer) => longer.get(..password::MAX_LENGTH).unwrap_or(longer),
            None => password,
        };
        let salt = self.cluster.rng.next();
        Ok(password::hash(known, salt))
    }
}
