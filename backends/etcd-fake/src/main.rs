//! `etcd-fake`: an etcd in memory on a real port, started as etcd is.

mod options;

use std::{env, process::ExitCode};

use etcd_http_fake::{Clock, FakeEtcd, serve};
use tokio::{net::TcpListener, task::JoinSet};

use options::{Options, USAGE, parse};

fn main() -> ExitCode {
    let options = match parse(env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("etcd-fake: {message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("etcd-fake: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_io()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut listeners = Vec::new();
        for url in &options.listen {
            let address = url
                .strip_prefix("http://")
                .ok_or_else(|| format!("{url}: the fake listens at http:// only"))?;
            let listener = TcpListener::bind(address.trim_end_matches('/'));
            let listener = listener.await.map_err(|error| format!("{url}: {error}"))?;
            listeners.push(listener);
        }
        let mut first = None;
        for listener in &listeners {
            let address = listener.local_addr().map_err(|error| error.to_string())?;
            println!("etcd-fake: serving http://{address}");
            first.get_or_insert_with(|| format!("http://{address}"));
        }
        let advertised = options.advertise.or(first).unwrap_or_default();
        let etcd = FakeEtcd::builder()
            .profile(options.profile)
            .v2(options.v2)
            .member(&options.name, &advertised)
            .seed(options.seed)
            .clock(Clock::Real)
            .log_capacity(0)
            .build();
        let mut servers = JoinSet::new();
        for listener in listeners {
            servers.spawn(serve(etcd.clone(), 0, listener));
        }
        while let Some(ended) = servers.join_next().await {
            let ended = ended.map_err(|error| error.to_string())?;
            ended.map_err(|error| error.to_string())?;
        }
        Ok(())
    })
}
