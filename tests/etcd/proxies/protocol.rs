//! Through a proxy without gRPC the gateway is used, and through one that passes it on, gRPC.

use etcd_http::{Client, Protocol, transport::Transport};
use harness::{
    case::Etcd,
    cases_auto,
    proxy::{Haproxy, Nginx, Page},
};

use crate::works::works;

cases_auto! {
    Shared {
        an_nginx_for_http_1_is_asked_by_the_gateway,
        a_haproxy_that_reads_http_is_asked_by_the_gateway,
        a_haproxy_that_passes_bytes_is_asked_by_grpc,
        a_page_of_maintenance_does_not_settle_the_protocol,
    }
}

/// The first call is a write, which etcd must see once.
async fn uses<T: Transport>(client: &Client<T>, key: String, protocol: Protocol) {
    let put = client.v3().kv().put(&*key, "1").await.unwrap();
    let read = client.v3().kv().get(&*key).await.unwrap().unwrap();
    assert_eq!(read.version, 1);
    assert_eq!(read.mod_revision, put.header.revision);
    let info = client.endpoints().remove(0);
    assert_eq!(info.protocol, Some(protocol), "{info:?}");
}

async fn an_nginx_for_http_1_is_asked_by_the_gateway<T: Transport>(etcd: Etcd<T>) {
    let nginx = Nginx::before(etcd.url()).unbuffered().start();
    let client = etcd.client_of(nginx.url());
    uses(&client, etcd.key("a"), Protocol::Gateway).await;
    let reader = etcd.client_of(nginx.url());
    assert!(reader.v3().kv().get(etcd.key("a")).await.unwrap().is_some());
    works(&client, etcd.root()).await;
}

async fn a_haproxy_that_reads_http_is_asked_by_the_gateway<T: Transport>(etcd: Etcd<T>) {
    let haproxy = Haproxy::before(etcd.urls()).start();
    let client = etcd.client_of(haproxy.url());
    uses(&client, etcd.key("a"), Protocol::Gateway).await;
    works(&client, etcd.root()).await;
}

async fn a_haproxy_that_passes_bytes_is_asked_by_grpc<T: Transport>(etcd: Etcd<T>) {
    let haproxy = Haproxy::before(etcd.urls()).tcp().start();
    let client = etcd.client_of(haproxy.url());
    uses(&client, etcd.key("a"), Protocol::Grpc).await;
    works(&client, etcd.root()).await;
}

async fn a_page_of_maintenance_does_not_settle_the_protocol<T: Transport>(etcd: Etcd<T>) {
    let nginx = Nginx::before(etcd.url()).unbuffered().start();
    let client = etcd.client_of(nginx.url());
    for page in Page::ALL {
        nginx.show(Some(page));
        client.v3().kv().put(etcd.key("a"), "1").await.unwrap_err();
        nginx.show(None);
        client.v3().kv().put(etcd.key("a"), "1").await.unwrap();
    }
    assert_eq!(client.endpoints()[0].protocol, Some(Protocol::Gateway));
}
