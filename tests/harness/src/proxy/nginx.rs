//! nginx.

use std::{fs, path::Path};

use super::{ACCESS, Kind, Proxy, authority};
use crate::certificates::Pair;

/// nginx before one etcd, with its defaults: it buffers responses.
#[derive(Clone, Debug)]
pub struct Nginx {
    etcd: String,
    buffers: bool,
    pair: Option<Pair>,
}

/// What nginx responds with itself, to every request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u16)]
pub enum Page {
    /// 200 with a page in HTML.
    Maintenance = 200,
    /// 301 to a URL where nothing is.
    Moved = 301,
    /// 401.
    Unauthorized = 401,
    /// 403.
    Forbidden = 403,
    /// 404.
    NotFound = 404,
    /// 429.
    TooManyRequests = 429,
    /// 503.
    Unavailable = 503,
}

impl Nginx {
    /// Settings for nginx before the etcd with this URL.
    pub fn before(etcd: impl AsRef<str>) -> Self {
        Self {
            etcd: authority(etcd.as_ref()).to_owned(),
            buffers: true,
            pair: None,
        }
    }

    /// Sets `proxy_buffering off`: a response is passed on as it arrives.
    #[must_use]
    pub fn unbuffered(mut self) -> Self {
        self.buffers = false;
        self
    }

    /// Takes `https://` alone, with HTTP/2 and HTTP/1.1.
    #[must_use]
    pub fn https(mut self, pair: &Pair) -> Self {
        self.pair = Some(pair.clone());
        self
    }

    /// Starts it.
    pub fn start(&self) -> Proxy {
        Proxy::start(KIND, self.pair.is_some(), |directory, port| {
            arguments(directory, &self.server(port))
        })
    }

    fn server(&self, port: u16) -> String {
        let mut tls = String::new();
        let mut listen = String::new();
        if let Some(Pair { certificate, key }) = &self.pair {
            listen = " ssl http2".to_owned();
            tls = format!(
                "ssl_certificate {}; ssl_certificate_key {};",
                certificate.display(),
                key.display()
            );
        }
        let buffering = if self.buffers {
            ""
        } else {
            "proxy_buffering off;"
        };
        let pages: String = Page::ALL.iter().map(Page::configuration).collect();
        let etcd = &self.etcd;
        format!(
            "client_max_body_size 0;
              {tls}
              server {{
                listen 127.0.0.1:{port}{listen};
                default_type text/html;
                {pages}
                location / {{ proxy_pass http://{etcd}; {buffering} }}
              }}"
        )
    }
}

pub(super) const KIND: Kind = Kind {
    program: "nginx",
    package: "nginx-light",
};

/// Writes a configuration with these servers, and returns the arguments of the program.
pub(super) fn arguments(directory: &Path, servers: &str) -> Vec<String> {
    let path = directory.join("nginx.conf");
    fs::write(&path, configuration(directory, servers)).unwrap();
    let (path, directory) = (path.display(), directory.display());
    // `-e`: until it has read where its log is, it writes to the system's.
    let arguments = format!("-e stderr -p {directory} -c {path}");
    arguments.split(' ').map(str::to_owned).collect()
}

/// A process of its own, which needs nothing of the system's.
fn configuration(directory: &Path, servers: &str) -> String {
    let directory = directory.display();
    // One process, so that it can be killed.
    format!(
        "daemon off; master_process off; pid {directory}/nginx.pid; error_log stderr;
        events {{ worker_connections 1024; }}
        http {{
          access_log {directory}/{ACCESS};
          client_body_temp_path {directory}/body;
          proxy_temp_path {directory}/proxy;
          fastcgi_temp_path {directory}/fastcgi;
          uwsgi_temp_path {directory}/uwsgi;
          scgi_temp_path {directory}/scgi;
          {servers}
        }}"
    )
}

impl Page {
    /// Each.
    pub const ALL: [Self; 7] = [
        Self::Maintenance,
        Self::Moved,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::TooManyRequests,
        Self::Unavailable,
    ];

    /// Its status.
    pub fn status(self) -> u16 {
        self as u16
    }

    /// nginx sends the page while a file is there: its name is relative to the working directory.
    fn configuration(&self) -> String {
        let status = self.status();
        let what = match self {
            Self::Maintenance => " '<html><body>Back in two minutes.</body></html>'",
            Self::Moved => " http://127.0.0.1:1$request_uri",
            _ => "",
        };
        format!(
            "if (-f ./{}) {{ return {status}{what}; }}\n",
            file_of(*self)
        )
    }
}

impl Proxy {
    /// Has nginx respond with a page to every request from now on, or with etcd's responses again.
    ///
    /// What it has begun to pass on goes on; [`restart`](Proxy::restart) breaks it off.
    pub fn show(&self, page: Option<Page>) {
        for other in Page::ALL {
            let path = self.directory.path().join(file_of(other));
            if page == Some(other) {
                fs::write(path, "").unwrap();
            } else if path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

fn file_of(page: Page) -> String {
    format!("page-{}", page.status())
}
