//! The etcd that the examples use.

use std::{env, error::Error};

use etcd_http::server::{self, Server};

/// An etcd that runs as long as an example.
pub(crate) struct Etcd {
    pub(crate) url: String,
    /// Stopped and removed when dropped.
    _server: Option<Server>,
}

/// Returns the etcd at `--endpoint URL`. Without it, starts one on a free port, and installs it first if necessary.
pub(crate) fn etcd() -> Result<Etcd, Box<dyn Error>> {
    let mut arguments = env::args().skip_while(|argument| argument != "--endpoint");
    if arguments.next().is_some() {
        let url = arguments.next().ok_or("--endpoint requires a URL")?;
        println!("using the etcd at {url}");
        return Ok(Etcd { url, _server: None });
    }
    let server = server::start()?;
    let url = server.client_url();
    println!("started etcd {} at {url}", server.version());
    Ok(Etcd {
        url,
        _server: Some(server),
    })
}
