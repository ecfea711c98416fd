//! Proxies between the clients and the members.

use std::{path::PathBuf, thread, time::Duration};

use etcd_http::server::Cluster;
use harness::{
    certificates::Authority,
    proxy::{Nghttpx, Nginx, Page, Proxy},
};

/// An nginx before each member that does not buffer. Before that of the second member an nghttpx: `https://`, HTTP/2, few
/// streams on each connection.
pub(crate) struct Proxies {
    authority: Authority,
    nginxes: Vec<Proxy>,
    nghttpx: Proxy,
}

const MAX_STREAMS: u32 = 20;

/// How long a page is shown.
const SHOWN: Duration = Duration::from_secs(2);

impl Proxies {
    pub(crate) fn before(cluster: &Cluster) -> Self {
        let mut authority = Authority::new();
        let nginxes: Vec<_> = cluster
            .client_urls()
            .into_iter()
            .map(|url| Nginx::before(url).unbuffered().start())
            .collect();
        let pair = authority.issue("127.0.0.1");
        let nghttpx = Nghttpx::before(nginxes[1].url(), &pair).max_streams(MAX_STREAMS);
        Self {
            nghttpx: nghttpx.start(),
            authority,
            nginxes,
        }
    }

    /// Where clients reach the members.
    pub(crate) fn urls(&self) -> Vec<String> {
        let mut urls: Vec<_> = self.nginxes.iter().map(Proxy::url).collect();
        urls[1] = self.nghttpx.url();
        urls
    }

    /// The certificate that clients trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.authority.certificate()
    }

    /// Responds to every request with a page for two seconds, before one member or all. Open streams break off.
    pub(crate) fn show_a_page(&self, random: &mut fastrand::Rng) -> String {
        let pages = [Page::NotFound, Page::TooManyRequests, Page::Maintenance];
        let page = pages[random.usize(0..pages.len())];
        let (shown, whose) = if random.bool() {
            (&*self.nginxes, "all".to_owned())
        } else {
            let one = random.usize(0..self.nginxes.len());
            (&self.nginxes[one..=one], one.to_string())
        };
        for nginx in shown {
            nginx.show(Some(page));
            nginx.restart();
        }
        thread::sleep(SHOWN);
        for nginx in shown {
            nginx.show(None);
        }
        format!("{page:?} before {whose}")
    }

    /// Kills a proxy and starts it again.
    pub(crate) fn kill_one(&self, random: &mut fastrand::Rng, pause: Duration) -> String {
        let number = random.usize(0..=self.nginxes.len());
        let proxy = self.nginxes.get(number).unwrap_or(&self.nghttpx);
        proxy.kill();
        thread::sleep(pause);
        proxy.restart();
        format!("killed proxy {number} for {pause:?}")
    }
}
