//! Hashed passwords. The hash keeps them out of logs and dumps; it is not meant to resist an attack.

/// The longest password that etcd's bcrypt takes.
pub(crate) const MAX_LENGTH: usize = 72;

const ROUNDS: u32 = 64;

pub(crate) fn hash(password: &[u8], salt: u64) -> String {
    format!("{salt:016x}{:032x}", digest(password, salt))
}

/// Compares in a time that does not depend on where the difference is.
pub(crate) fn is_right(password: &[u8], hash: &str) -> bool {
    let Some(salt) = hash.get(..16) else {
        return false;
    };
    let Ok(salt) = u64::from_str_radix(salt, 16) else {
        return false;
    };
    let expected = self::hash(password, salt);
    let differences = expected.bytes().zip(hash.bytes()).map(|(a, b)| a ^ b);
    expected.len() == hash.len() && differences.fold(0, |all, one| all | one) == 0
}

/// FNV-1a, 128 bits wide, in several rounds.
fn digest(password: &[u8], salt: u64) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut state = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    for _ in 0..ROUNDS {
        for &byte in salt.to_le_bytes().iter().chain(password) {
            state = (state ^ u128::from(byte)).wrapping_mul(PRIME);
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_is_right() {
        let hash = hash(b"secret", 7);
        assert!(is_right(b"secret", &hash));
        assert!(!is_right(b"Secret", &hash));
        assert!(!is_right(b"", &hash));
        assert!(!is_right(b"secret", "nonsense"));
        assert!(!hash.contains("secret"));
    }
}
