//! Ports for servers that are started, stopped and started again.

use std::{
    collections::HashSet,
    fs,
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    sync::{Mutex, PoisonError},
};

use crate::error::{Result, invalid};

/// Three free ports of 127.0.0.1, reserved within this process until dropped.
///
/// Another program may still bind one before etcd does; then etcd fails to start and must be started again.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) client: u16,
    pub(crate) peer: u16,
    /// Health and metrics, in plain HTTP even where clients need a certificate, and before the server has joined a cluster.
    pub(crate) status: u16,
}

impl Ports {
    pub(crate) fn reserve() -> Result<Self> {
        let range = range();
        let mut reserved = Self {
            client: 0,
            peer: 0,
            status: 0,
        };
        reserved.client = reserve_one(&range)?;
        reserved.peer = reserve_one(&range)?;
        reserved.status = reserve_one(&range)?;
        Ok(reserved)
    }

    pub(crate) fn client_url(&self, https: bool) -> String {
        format!(
            "{}://127.0.0.1:{}",
            if https { "https" } else { "http" },
            self.client
        )
    }

    pub(crate) fn peer_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.peer)
    }

    pub(crate) fn status_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.status)
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reserved) = reserved.as_mut() {
            for port in [self.client, self.peer, self.status] {
                reserved.remove(&port);
            }
        }
    }
}

fn reserve_one(range: &Range<u16>) -> Result<u16> {
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    let reserved = reserved.get_or_insert_default();
    for _ in 0..ATTEMPTS {
        let port = random_in(range);
        if !reserved.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            reserved.insert(port);
            return Ok(port);
        }
    }
    Err(invalid(format!(
        "no free port of 127.0.0.1 in {range:?} after {ATTEMPTS} attempts"
    )))
}

/// Ports below those that the system assigns to outgoing connections. An ephemeral port could be taken when etcd starts
/// again, and a client that keeps connecting to it could even connect to itself.
fn range() -> Range<u16> {
    let first_ephemeral = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(32_768);
    if first_ephemeral >= FIRST + 1_000 {
        FIRST..first_ephemeral
    } else {
        FIRST..u16::MAX
    }
}

fn random_in(range: &Range<u16>) -> u16 {
    let random = RandomState::new().hash_one(());
    let offset = random % u64::from(range.end - range.start);
    range.start + u16::try_from(offset).unwrap_or_default()
}

static RESERVED: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
const FIRST: u16 = 10_240;
const ATTEMPTS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_servers_get_the_same_port() {
        let many: Vec<_> = (0..50).map(|_| Ports::reserve().unwrap()).collect();
        let distinct: HashSet<u16> = many
            .iter()
            .flat_map(|p| [p.client, p.peer, p.status])
            .collect();
        assert_eq!(distinct.len(), 150);
    }

    #[test]
    fn a_port_in_use_is_not_reserved() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(reserve_one(&(port..port + 1)).is_err());
    }
}
