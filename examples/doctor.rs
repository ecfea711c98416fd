//! Says what is wrong with the endpoints of an etcd, and what to do. It only reads, but for a lease that it grants and
//! revokes with `--leases`.
//!
//! ```text
//! cargo run --example doctor --features fake,hyper-rustls -- http://10.0.0.1:2379 http://10.0.0.2:2379
//! cargo run --example doctor --features fake,hyper-rustls -- --user root:secret --cacert ca.pem https://etcd:2379
//! cargo run --example doctor --features fake,hyper
//! ```
//!
//! It ends with the status 1 if something cannot be used. Without an endpoint, it examines an etcd in memory with a learner.

use std::{env, error::Error, process::ExitCode};

use etcd_http::{
    Client, ClientBuilder,
    check::{CheckOptions, Report, Severity},
    fake::FakeEtcd,
    hyper::HyperTransport,
    transport::Transport,
};

const USAGE: &str = "usage: doctor [--user NAME:PASSWORD] [--cacert FILE] [--leases] [ENDPOINT...]";

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut options = CheckOptions::new();
    let mut user = None;
    let mut authority = None;
    let mut endpoints = Vec::new();
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--user" => user = Some(arguments.next().ok_or(USAGE)?),
            "--leases" => options = options.lease_clock(true),
            "--cacert" => authority = Some(arguments.next().ok_or(USAGE)?),
            option if option.starts_with('-') => return Err(USAGE.into()),
            _ => endpoints.push(argument),
        }
    }
    let report = if endpoints.is_empty() {
        let etcd = FakeEtcd::builder()
            .member("voter", "http://127.0.0.1:2379")
            .learner("learner", "http://127.0.0.1:12379")
            .build();
        let endpoints = etcd.endpoints();
        examine(Client::builder(etcd).endpoints(endpoints), user, &options).await?
    } else {
        let client = Client::builder(transport(authority)?).endpoints(endpoints);
        examine(client, user, &options).await?
    };
    println!("{report}");
    Ok(match report.severity() {
        Some(Severity::Error) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

/// The user is one of both APIs.
async fn examine<T: Transport>(
    mut client: ClientBuilder<T>,
    user: Option<String>,
    options: &CheckOptions,
) -> Result<Report, Box<dyn Error>> {
    if let Some(user) = user {
        let (name, password) = user.split_once(':').ok_or(USAGE)?;
        client = client.v3_auth(name, password).basic_auth(name, password);
    }
    Ok(client.build()?.check_with(options).await)
}

/// A transport that trusts this authority, if one is given.
#[cfg(feature = "hyper-rustls")]
fn transport(authority: Option<String>) -> Result<HyperTransport, Box<dyn Error>> {
    Ok(match authority {
        Some(file) => HyperTransport::builder()
            .root_certificates(std::fs::read(file)?)
            .build()?,
        None => HyperTransport::default(),
    })
}

#[cfg(not(feature = "hyper-rustls"))]
fn transport(authority: Option<String>) -> Result<HyperTransport, Box<dyn Error>> {
    match authority {
        Some(_) => Err("--cacert needs the feature hyper-rustls".into()),
        None => Ok(HyperTransport::default()),
    }
}
