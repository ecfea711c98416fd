//! What every example needs and none is about: an etcd to talk to.

use std::{env, error::Error};

use etcd_http::server::{self, Server};

/// An etcd for the time of an example.
pub(crate) struct Etcd {
    pub(crate) url: String,
    /// Ended and cleared away when dropped.
    _server: Option<Server>,
}

/// The etcd that `--endpoint URL` names; without it, one of our own on a free port, fetched first if there is none here.
pub(crate) fn etcd() -> Result<Etcd, Box<dyn Error>> {
    let mut arguments = env::args().skip_while(|argument| argument != "--endpoint");
    if arguments.next().is_some() {
        let url = arguments.next().ok_or("--endpoint needs a URL")?;
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
