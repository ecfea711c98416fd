//! `etcdserverpb.Auth` and `authpb`.

use bytes::Bytes;

use super::{enumerations, kv::ResponseHeader, messages};

enumerations! {
    PermissionType = "authpb.Permission_Type" {
        READ = 0,
        WRITE = 1,
        READWRITE = 2,
    }
}

messages! {
    /// What a role may do with the keys of a range.
    Permission {
        perm_type: PermissionType = 1 as "permType";
        key: Bytes = 2;
        range_end: Bytes = 3;
    }
    /// The response to every write to the store of users and roles.
    AuthResponse {
        header: Option<ResponseHeader> = 1;
    }
    AuthEnableRequest {}
    AuthDisableRequest {}
    AuthStatusRequest {}
    AuthStatusResponse {
        header: Option<ResponseHeader> = 1;
        enabled: bool = 2;
        auth_revision: u64 = 3 as "authRevision";
    }
    AuthenticateRequest {
        name: String = 1;
        password: String = 2;
    }
    AuthenticateResponse {
        header: Option<ResponseHeader> = 1;
        token: String = 2;
    }
    UserAddOptions {
        no_password: bool = 1;
    }
    AuthUserAddRequest {
        name: String = 1;
        password: String = 2;
        options: Option<UserAddOptions> = 3;
        hashed_password: String = 4 as "hashedPassword";
    }
    AuthUserGetRequest {
        name: String = 1;
    }
    AuthUserGetResponse {
        header: Option<ResponseHeader> = 1;
        roles: Vec<String> = 2;
    }
    AuthUserListRequest {}
    AuthUserListResponse {
        header: Option<ResponseHeader> = 1;
        users: Vec<String> = 2;
    }
    AuthUserDeleteRequest {
        name: String = 1;
    }
    AuthUserChangePasswordRequest {
        name: String = 1;
        password: String = 2;
        hashed_password: String = 3 as "hashedPassword";
    }
    AuthUserGrantRoleRequest {
        user: String = 1;
        role: String = 2;
    }
    AuthUserRevokeRoleRequest {
        name: String = 1;
        role: String = 2;
    }
    AuthRoleAddRequest {
        name: String = 1;
    }
    AuthRoleGetRequest {
        role: String = 1;
    }
    AuthRoleGetResponse {
        header: Option<ResponseHeader> = 1;
        perm: Vec<Permission> = 2;
    }
    AuthRoleListRequest {}
    AuthRoleListResponse {
        header: Option<ResponseHeader> = 1;
        roles: Vec<String> = 2;
    }
    AuthRoleDeleteRequest {
        role: String = 1;
    }
    AuthRoleGrantPermissionRequest {
        name: String = 1;
        perm: Option<Permission> = 2;
    }
    AuthRoleRevokePermissionRequest {
        role: String = 1;
        key: Bytes = 2;
        range_end: Bytes = 3;
    }
}
