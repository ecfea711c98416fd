//! What does not buffer is as if it were not there.

use etcd_http::transport::Transport;
use harness::{
    case::Etcd,
    cases,
    proxy::{Haproxy, Nginx, Page},
    raw_http::{Answer, post},
};

use crate::works::works;

cases! {
    Shared {
        everything_works_through_an_nginx_that_does_not_buffer,
        an_nginx_shows_a_page_and_etcd_again,
    }
    Three {
        everything_works_through_a_haproxy_that_reads_http,
        everything_works_through_a_haproxy_that_passes_bytes,
        a_haproxy_passes_over_a_member_that_is_down,
    }
}

// Of these, only what passes bytes lets gRPC through.
harness::stamp! {
    reqwest_grpc, harness::backend::Grpc<harness::real::Real<etcd_http::reqwest::ReqwestTransport, harness::real::Tokio>>:
    Three { everything_works_through_a_haproxy_that_passes_bytes }
}

async fn everything_works_through_an_nginx_that_does_not_buffer<T: Transport>(etcd: Etcd<T>) {
    let nginx = Nginx::before(etcd.url()).unbuffered().start();
    works(&etcd.client_of(nginx.url()), etcd.root()).await;
}

async fn everything_works_through_a_haproxy_that_reads_http<T: Transport>(etcd: Etcd<T>) {
    let haproxy = Haproxy::before(etcd.urls()).start();
    works(&etcd.client_of(haproxy.url()), etcd.root()).await;
}

async fn everything_works_through_a_haproxy_that_passes_bytes<T: Transport>(etcd: Etcd<T>) {
    let haproxy = Haproxy::before(etcd.urls()).tcp().start();
    works(&etcd.client_of(haproxy.url()), etcd.root()).await;
}

async fn a_haproxy_passes_over_a_member_that_is_down<T: Transport>(etcd: Etcd<T>) {
    let haproxy = Haproxy::before(etcd.urls()).start();
    let leader = etcd.host().leader();
    etcd.meanwhile(move |host| host.kill((leader + 1) % 3))
        .await;
    works(&etcd.client_of(haproxy.url()), etcd.root()).await;
}

/// Of the harness: the pages are what the names say.
async fn an_nginx_shows_a_page_and_etcd_again<T: Transport>(etcd: Etcd<T>) {
    let nginx = Nginx::before(etcd.url()).unbuffered().start();
    for page in Page::ALL {
        nginx.show(Some(page));
        let request = post(&nginx.url(), "/v3/kv/range", "{}");
        let shown = Answer::to(&etcd.transport(), request).await;
        assert_eq!(shown.status.as_u16(), page.status());
        assert!(shown.text.contains("<html>"), "{shown:?}");
        nginx.show(None);
        assert!(etcd.client_of(nginx.url()).version().await.is_ok());
    }
}
