//! `etcd-fake`: an etcd in memory on a real port, started as etcd is.

mod options;

use std::{env, io, pin::pin, process::ExitCode, time::Duration};

use etcd_http_fake::{Clock, FakeEtcd, serve_until};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::timeout};

use options::{Options, USAGE, parse};

/// How long requests in progress may take after a signal to stop.
const GRACE: Duration = Duration::from_millis(500);

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
        .enable_all()
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
        let text = |error: io::Error| error.to_string();
        let mut told_to_stop = pin!(told_to_stop());
        let (running, stopped) = watch::channel(());
        let mut servers = JoinSet::new();
        for listener in listeners {
            let mut stopped = stopped.clone();
            // It fails when the sender is dropped.
            let stop = async move { drop(stopped.changed().await) };
            servers.spawn(serve_until(etcd.clone(), 0, listener, stop));
        }
        let ended = tokio::select! {
            ended = servers.join_next() => ended,
            signal = &mut told_to_stop => {
                signal.map_err(text)?;
                None
            }
        };
        if let Some(ended) = ended {
            ended.map_err(|error| error.to_string())?.map_err(text)?;
        }
        // Clients are told; streams that are open are cut.
        drop(running);
        let _ = timeout(GRACE, servers.join_all()).await;
        Ok(())
    })
}

/// Resolves when the program is to stop: at SIGINT or SIGTERM.
async fn told_to_stop() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted,
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
