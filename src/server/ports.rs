//! Ports for servers that are started, stopped and started again.

use std::{
    collections::HashSet,
    fs,
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    sync::{Mutex, PoisonError},
};

use super::error::{Error, Result};

/// Three ports of 127.0.0.1 nobody listens on, kept from the other servers of this process until dropped.
///
/// Another program may still take one before etcd does: whoever starts etcd has to try again then.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) client: u16,
    pub(super) peer: u16,
    /// Health and metrics, in plain HTTP even where clients need a certificate, and before the server has joined.
    pub(super) status: u16,
}

impl Ports {
    pub(super) fn reserve() -> Result<Self> {
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

    pub(super) fn client_url(&self, https: bool) -> String {
        format!(
            "{}://127.0.0.1:{}",
            if https { "https" } else { "http" },
            self.client
        )
    }

    pub(super) fn peer_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.peer)
    }

    pub(super) fn status_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.status)
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = taken.as_mut() {
            for port in [self.client, self.peer, self.status] {
                taken.remove(&port);
            }
        }
    }
}

fn reserve_one(range: &Range<u16>) -> Result<u16> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = taken.get_or_insert_default();
    for _ in 0..ATTEMPTS {
        let port = random_in(range);
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.insert(port);
            return Ok(port);
        }
    }
    Err(Error::Invalid {
        reason: format!("found no free port of 127.0.0.1 in {range:?} after {ATTEMPTS} attempts"),
    })
}

/// Ports below those the system gives to outgoing connections. A port out of its hands could be gone when etcd starts
/// again, and a client that keeps trying it could even connect to itself.
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

static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
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
    fn a_port_somebody_listens_on_is_not_given_out() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(reserve_one(&(port..port + 1)).is_err());
    }
}
