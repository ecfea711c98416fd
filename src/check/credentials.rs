//! Whether authentication is on, and whether the client's credentials are good.

use etcd_transport::Transport;

use crate::{
    check::{EndpointReport, Problem, probe::KEY, probe::Prober},
    endpoints::protocol::Protocol,
    error::{EtcdErrorKind, Result},
    v3::Range,
};

/// Examines the credentials of both APIs. Returns whether v3 accepts the client's.
pub(super) async fn examine<T: Transport>(
    prober: &Prober<'_, T>,
    report: &mut EndpointReport,
    protocol: Protocol,
) -> Result<bool> {
    if report.has_v2 == Some(true) {
        of_v2(prober, report).await?;
    }
    of_v3(prober, report, protocol).await
}

async fn of_v3<T: Transport>(
    prober: &Prober<'_, T>,
    report: &mut EndpointReport,
    protocol: Protocol,
) -> Result<bool> {
    let client = prober.at(&report.endpoint, protocol)?;
    // Any member serves it, and nothing is returned.
    let read = Range::new(KEY).serializable(true).count_only(true);
    report.has_auth = match client.send(read).await {
        Ok(_) => Some(false),
        Err(error) if error.is_unauthorized() => Some(true),
        Err(_) => None,
    };
    let Some(source) = &prober.client.pipeline().token_source else {
        // A client's certificate may name a user, who was then not permitted to read this key.
        if report.has_auth == Some(true) {
            report.add(
                Problem::AuthRequired,
                "v3's authentication is enabled, and this client has no user",
                "set one with `ClientBuilder::v3_auth`",
            );
        }
        return Ok(false);
    };
    match client.pipeline().request_token(source).await {
        Ok(Some(_)) => return Ok(true),
        Ok(None) => report.add(
            Problem::AuthDisabled,
            "this client has a user for v3, and authentication is disabled",
            "enable it (`etcdctl auth enable`), if access is to be limited",
        ),
        Err(error) if error.etcd_kind() == Some(EtcdErrorKind::AuthenticationFailed) => report.add(
            Problem::BadCredentials,
            format!("v3: {}", error.reason()),
            "the user does not exist, or the password is another one (`etcdctl user list`, `etcdctl user passwd`)",
        ),
        Err(_) => {}
    }
    Ok(false)
}

async fn of_v2<T: Transport>(prober: &Prober<'_, T>, report: &mut EndpointReport) -> Result<()> {
    let client = prober.at(&report.endpoint, Protocol::Gateway)?;
    let has_credentials = prober.client.pipeline().credentials.is_some();
    if !matches!(client.v2().get_auth_status().await, Ok(true)) {
        return Ok(());
    }
    let client = prober.with_credentials(&report.endpoint, Protocol::Gateway)?;
    let Err(error) = client.v2().get(format!("/{KEY}")).await else {
        return Ok(());
    };
    if !error.is_unauthorized() {
        return Ok(());
    }
    if has_credentials {
        report.add(
            Problem::BadCredentials,
            format!("v2: {}", error.reason()),
            format!(
                "the user or the password is wrong, or the user may not read /{KEY}: see `etcdctl user get` of the v2 API"
            ),
        );
    } else {
        report.add(
            Problem::AuthRequired,
            "v2's authentication is enabled, guests may not read, and this client has no user",
            "set one with `ClientBuilder::basic_auth`",
        );
    }
    Ok(())
}
