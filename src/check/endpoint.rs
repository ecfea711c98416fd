//! What an endpoint serves.

use etcd_transport::Transport;
use http::Method;

use crate::{
    base::endpoint::Endpoint,
    check::{EndpointReport, Problem, credentials, identity, probe::Prober, probe::Served},
    endpoints::protocol::Protocol,
    error::{Error, Result},
    status::Health,
    v3::{GetStatus, ListMembers, Member, StatusResponse},
};

/// What was found out at one endpoint.
pub(super) struct Examined {
    pub(super) report: EndpointReport,
    /// The members of its cluster, if it lists them.
    pub(super) members: Vec<Member>,
}

/// Examines one endpoint.
pub(super) async fn examine<T: Transport>(prober: &Prober<'_, T>, endpoint: Endpoint) -> Examined {
    let mut report = EndpointReport::new(endpoint);
    let mut members = Vec::new();
    let version = prober.version(&report.endpoint).await;
    match version {
        Ok(version) => {
            report.version = Some(version.server);
            // Without it, there is no endpoint to examine.
            if let Ok(listed) = of_etcd(prober, &mut report).await {
                members = listed;
            }
        }
        Err(error) => {
            let finding = identity::explain(prober, &report.endpoint, &error).await;
            report.findings.push(finding);
        }
    }
    Examined { report, members }
}

/// Examines an endpoint that is an etcd.
async fn of_etcd<T: Transport>(
    prober: &Prober<'_, T>,
    report: &mut EndpointReport,
) -> Result<Vec<Member>> {
    let endpoint = report.endpoint.clone();
    let gateway = prober.at(&endpoint, Protocol::Gateway)?;
    let grpc = prober.at(&endpoint, Protocol::Grpc)?;
    let (health, v2, by_gateway, by_grpc, streams) = futures::join!(
        gateway.health(),
        gateway.v2().list_machines(),
        gateway.send(GetStatus::new()),
        grpc.send(GetStatus::new()),
        prober.delivers_streams(&endpoint),
    );
    if has_no_path(&health) && is_peer_port(prober, &endpoint).await? {
        report.add(
            Problem::PeerPort,
            "this port is where members talk to each other",
            "use a port of --listen-client-urls, usually 2379",
        );
        return Ok(Vec::new());
    }
    add_version(report);
    add_v2(report, &v2);
    let (gateway, grpc) = (Served::of(&by_gateway), Served::of(&by_grpc));
    (report.has_gateway, report.has_grpc) = (gateway.known(), grpc.known());
    add_v3(report, &gateway, &grpc);
    if streams == Some(false) && matches!(gateway, Served::Yes) {
        report.add(
            Problem::Buffered,
            "the messages of a stream do not arrive while it is open, although other calls get a response: a proxy on the way \
             buffers responses",
            "switch its buffering off for etcd, in nginx by `proxy_buffering off`; until then, events arrive up to two seconds late",
        );
    }
    let status = by_grpc.or(by_gateway).ok();
    add_status(report, status.as_ref(), &health);
    let protocol = if report.has_grpc == Some(true) {
        Protocol::Grpc
    } else {
        Protocol::Gateway
    };
    let are_good = credentials::examine(prober, report, protocol).await?;
    let lister = if are_good {
        prober.with_credentials(&endpoint, protocol)?
    } else {
        prober.at(&endpoint, protocol)?
    };
    Ok(lister.send(ListMembers::new()).await?.members)
}

/// Whether the server does not have the path of the request.
fn has_no_path<O>(result: &Result<O>) -> bool {
    matches!(result, Err(Error::Http(error)) if error.status() == http::StatusCode::NOT_FOUND)
}

/// A port for peers lists the members below a path that a port for clients does not have.
async fn is_peer_port<T: Transport>(prober: &Prober<'_, T>, endpoint: &Endpoint) -> Result<bool> {
    let client = prober.at(endpoint, Protocol::Gateway)?;
    let members = client.send(client.request(Method::GET, "/members")).await;
    Ok(members.is_ok_and(|it| it.json::<Vec<serde_json::Value>>().is_ok()))
}

fn add_version(report: &mut EndpointReport) {
    let Some(version) = report.version.clone() else {
        return;
    };
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let release = (numbers.next(), numbers.next());
    if let (Some(Ok(major)), Some(Ok(minor))) = release
        && (major, minor) < (3, 4)
    {
        report.add(
            Problem::OldVersion,
            format!("etcd {version}"),
            "this client supports etcd 3.4 and later",
        );
    }
}

fn add_v2(report: &mut EndpointReport, v2: &Result<Vec<String>>) {
    report.has_v2 = match v2 {
        Ok(_) => Some(true),
        Err(Error::Unsupported(_)) => Some(false),
        Err(_) => None,
    };
    if report.has_v2 == Some(false) {
        report.add(
            Problem::NoV2,
            "the v2 API is not served",
            "if you need it: etcd 3.4 and 3.5 have it with --enable-v2, etcd 3.6 has none",
        );
    }
}

fn add_v3(report: &mut EndpointReport, gateway: &Served, grpc: &Served) {
    match (gateway, grpc) {
        (Served::No(gateway), Served::No(grpc)) => report.add(
            Problem::NoV3,
            format!("by gRPC: {grpc}; by the gateway: {gateway}"),
            "a proxy before etcd must pass on /v3, or HTTP/2: see docs/behind-a-proxy.md",
        ),
        (_, Served::No(why)) => report.add(
            Problem::NoGrpc,
            format!("no gRPC: {why}"),
            "calls travel by the JSON gateway, which costs the server more: let proxies pass HTTP/2, as haproxy does in `mode \
             tcp` and nginx by `grpc_pass`",
        ),
        (Served::No(why), _) => report.add(
            Problem::NoGateway,
            format!("no gateway: {why}"),
            "calls travel by gRPC; transports without HTTP/2 need --enable-grpc-gateway",
        ),
        _ => {}
    }
}

fn add_status(
    report: &mut EndpointReport,
    status: Option<&StatusResponse>,
    health: &Result<Health>,
) {
    let mut errors = Vec::new();
    let mut has_leader = true;
    if let Some(status) = status {
        let member = status.header.member_id;
        report.member_id = Some(member);
        report.cluster_id = Some(status.header.cluster_id);
        report.is_leader = Some(status.leader == member);
        report.is_learner = Some(status.is_learner);
        has_leader = status.leader != 0;
        errors.clone_from(&status.errors);
    }
    if report.is_learner == Some(true) {
        report.add(
            Problem::Learner,
            "the member is a learner, which serves hardly any call",
            "promote it (`etcdctl member promote`), or leave it out of the endpoints",
        );
    } else if !has_leader {
        report.add(
            Problem::NoLeader,
            "the member knows no leader: the cluster has no majority, or this member is cut off from it",
            "see which members are up (`etcdctl endpoint status`), and whether they reach each other's peer URLs",
        );
    } else if let Some(reason) = unhealthy(health) {
        errors.extend((!reason.is_empty()).then_some(reason));
        let why = if errors.is_empty() {
            "it does not say why".to_owned()
        } else {
            errors.join(", ")
        };
        report.add(
            Problem::Unhealthy,
            format!("the member cannot serve: {why}"),
            "for NOSPACE: compact, defragment, and disarm the alarm (`etcdctl alarm list`); otherwise see whether a majority of \
             the members is up, and the log of this one",
        );
    }
}

/// Why a member is not healthy, in its own words; `None` if it is, or if something keeps it from saying so.
fn unhealthy(health: &Result<Health>) -> Option<String> {
    match health {
        Ok(health) => (!health.healthy).then(|| health.reason.clone()),
        Err(error @ Error::Timeout(_)) => Some(format!("its health: {}", error.reason())),
        Err(_) => None,
    }
}
