//! `etcd-fake`: an etcd in memory on a real port, started as etcd is.

mod options;
mod texts;

use std::{
    env, fs,
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use etcd_http_fake::{Clock, FakeEtcd, Tls, serve_control, serve_tls_until, serve_until};
use tokio::{
    net::{TcpListener, lookup_host},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use options::{Options, Task, parse};

/// How long requests in progress may take after a signal to stop.
const GRACE: Duration = Duration::from_millis(500);

const HTTP: &str = "http://";
const HTTPS: &str = "https://";

/// A listener, and what it serves.
struct Listening {
    member: usize,
    listener: TcpListener,
    tls: Option<Tls>,
}

impl Listening {
    fn url(&self) -> Result<String, String> {
        let scheme = if self.tls.is_some() { HTTPS } else { HTTP };
        Ok(format!("{scheme}{}", address(&self.listener)?))
    }
}

fn main() -> ExitCode {
    let done = match parse(env::args().skip(1), |name| env::var(name).ok()) {
        Ok(Task::Serve(options)) => serve(*options),
        Ok(Task::Print(text)) => io::stdout().write_all(&text).map_err(text_of),
        // The help, the version, or what is wrong.
        Err(error) => error.exit(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("etcd-fake: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: Options) -> Result<(), String> {
    for flag in &options.unused {
        println!("etcd-fake: --{flag} is not used");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(text_of)?;
    runtime.block_on(async {
        let tls = tls(&options)?;
        let mut listeners = Vec::new();
        for (member, url) in urls(&options)? {
            listeners.push(Listening {
                member,
                listener: listen(&url).await?,
                tls: tls.clone().filter(|_| url.starts_with(HTTPS)),
            });
        }
        let control = match &options.control {
            Some(url) if url.starts_with(HTTPS) => {
                return Err(format!("{url}: the control port has no TLS"));
            }
            Some(url) => Some(listen(url).await?),
            None => None,
        };
        let etcd = fake(&options, &listeners)?;
        for listening in &listeners {
            println!("etcd-fake: serving {}", listening.url()?);
        }
        let mut stop_signal = pin!(stop_signal());
        let (running, stopped) = watch::channel(());
        let mut servers = JoinSet::new();
        for Listening {
            member,
            listener,
            tls,
        } in listeners
        {
            let mut stopped = stopped.clone();
            // It fails when the sender is dropped.
            let stop = async move { drop(stopped.changed().await) };
            let etcd = etcd.clone();
            match tls {
                Some(tls) => servers.spawn(serve_tls_until(etcd, member, listener, tls, stop)),
                None => servers.spawn(serve_until(etcd, member, listener, stop)),
            };
        }
        if let Some(listener) = control {
            println!("etcd-fake: controlled at {HTTP}{}", address(&listener)?);
            let mut stopped = stopped.clone();
            let served = serve_control(etcd, listener);
            servers.spawn(async move {
                tokio::select! {
                    served = served => served,
                    _ = stopped.changed() => Ok(()),
                }
            });
        }
        let ended = tokio::select! {
            ended = servers.join_next() => ended,
            signal = &mut stop_signal => {
                signal.map_err(text_of)?;
                None
            }
        };
        if let Some(ended) = ended {
            ended.map_err(|error| error.to_string())?.map_err(text_of)?;
        }
        // Clients are told; streams that are open are cut.
        drop(running);
        let _ = timeout(GRACE, servers.join_all()).await;
        Ok(())
    })
}

fn text_of(error: io::Error) -> String {
    error.to_string()
}

/// Where to listen, for which member.
fn urls(options: &Options) -> Result<Vec<(usize, String)>, String> {
    let (given, members) = (&options.listen, options.members);
    if members == 1 {
        return Ok(given.iter().map(|url| (0, url.clone())).collect());
    }
    if given.len() == members {
        return Ok(given.iter().cloned().enumerate().collect());
    }
    let [first] = &given[..] else {
        let count = given.len();
        return Err(format!(
            "{count} URLs for {members} members: one for each, or one alone"
        ));
    };
    let port = first.trim_end_matches('/').rsplit_once(':');
    let (host, port) = port.ok_or_else(|| format!("{first} has no port"))?;
    let port: u16 = port.parse().map_err(|_| format!("{first} has no port"))?;
    let urls = (0..members).map(|member| {
        // Every member finds a free port for itself.
        let step = if port == 0 { 0 } else { 10 * member };
        let port = u16::try_from(usize::from(port) + step);
        let port = port.map_err(|_| format!("{first}: too many members"))?;
        Ok((member, format!("{host}:{port}")))
    });
    urls.collect()
}

async fn listen(url: &str) -> Result<TcpListener, String> {
    let address = url
        .strip_prefix(HTTP)
        .or_else(|| url.strip_prefix(HTTPS))
        .ok_or_else(|| format!("{url}: the fake listens at http:// and https:// only"))?;
    let problem = |error: io::Error| format!("{url}: {error}");
    let found = lookup_host(address.trim_end_matches('/')).await;
    let addresses = ipv4_first(found.map_err(problem)?);
    TcpListener::bind(&addresses[..]).await.map_err(problem)
}

/// As etcd, which is in Go: of a name such as localhost, clients that know 127.0.0.1 alone reach it, too.
fn ipv4_first(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses
}

fn address(listener: &TcpListener) -> Result<String, String> {
    let address = listener.local_addr();
    let address = address.map_err(text_of)?;
    Ok(address.to_string())
}

/// What an https:// URL is served with.
fn tls(options: &Options) -> Result<Option<Tls>, String> {
    let (Some(certificate), Some(key)) = (&options.certificate, &options.key) else {
        return Ok(None);
    };
    let of = |file: &Path, error: io::Error| format!("{}: {error}", file.display());
    let read = |file: &Path| fs::read(file).map_err(|error| of(file, error));
    let mut tls = Tls::from_pem(&read(certificate)?, &read(key)?)
        .map_err(|error| of(certificate, error))?
        .common_names(options.client_cert_auth);
    if let Some(file) = &options.client_authorities {
        let authorities = read(file)?;
        tls = tls
            .client_authorities(&authorities)
            .map_err(|error| of(file, error))?;
    }
    Ok(Some(tls))
}

/// The fake, with a member for each number among the listeners.
fn fake(options: &Options, listeners: &[Listening]) -> Result<FakeEtcd, String> {
    let mut builder = FakeEtcd::builder()
        .profile(options.profile)
        .v2(options.v2)
        .max_txn_ops(options.max_txn_ops)
        .max_request_bytes(options.max_request_bytes)
        .token_ttl(options.token_ttl)
        .progress_interval(options.progress_interval)
        .seed(options.seed)
        .clock(Clock::Real)
        // Only the control port shows the log.
        .log_capacity(if options.control.is_some() { 10_000 } else { 0 });
    if options.quota > 0 {
        builder = builder.quota(options.quota);
    }
    for member in 0..options.members {
        let own = listeners.iter().find(|own| own.member == member);
        let own = own.ok_or("no URL to listen at")?;
        let advertised = match &options.advertise {
            Some(url) if options.members == 1 => url.clone(),
            _ => own.url()?,
        };
        let name = match member {
            0 => options.name.clone(),
            _ => format!("{}-{member}", options.name),
        };
        builder = builder.member(&name, &advertised);
    }
    Ok(builder.build())
}

/// Resolves when the program is to stop: at SIGINT or SIGTERM.
async fn stop_signal() -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_both_kinds_of_addresses_is_an_ipv4_address_first() {
        let [six, four] = ["[::1]:1", "127.0.0.1:1"].map(|it| it.parse().unwrap());
        assert_eq!(ipv4_first([six, four].into_iter()), [four, six]);
    }
}
