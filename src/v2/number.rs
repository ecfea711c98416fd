//! Numbers in headers. Every response has several.

use http::HeaderValue;

/// Returns the number in a header.
pub(crate) fn number(value: &HeaderValue) -> Option<u64> {
    digits::<10>(value.as_bytes())
}

/// Returns the hexadecimal number in a header.
pub(crate) fn hexadecimal(value: &HeaderValue) -> Option<u64> {
    digits::<16>(value.as_bytes())
}

/// How many digits of a number fit into 64 bits, be they hexadecimal.
const WITHOUT_OVERFLOW: usize = 16;

/// Reads a number. This takes less than a third of the time of a check for UTF-8 and `from_str_radix`.
fn digits<const RADIX: u32>(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(RADIX).map(u64::from);
    let radix = u64::from(RADIX);
    let mut digits = text.iter();
    if text.len() <= WITHOUT_OVERFLOW {
        return digits.try_fold(0, |number, &byte| Some(number * radix + digit(byte)?));
    }
    digits.try_fold(0_u64, |number, &byte| {
        number.checked_mul(radix)?.checked_add(digit(byte)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_headers_are_digits_that_fit() {
        let max = "18446744073709551615";
        assert_eq!(digits::<10>(max.as_bytes()), Some(u64::MAX));
        assert_eq!(
            digits::<16>(b"cdf818194e3a8C32"),
            Some(0xcdf8_1819_4e3a_8c32)
        );
        assert_eq!(digits::<16>(b"ffffffffffffffff"), Some(u64::MAX));
        assert_eq!(digits::<10>(b"007"), Some(7));
        assert_eq!(digits::<10>(b"00000000000000007"), Some(7));
        for bad in [
            "",
            "-1",
            "+1",
            " 1",
            "1 ",
            "f",
            "18446744073709551616",
            "0000000000000000f",
            "\u{661}",
        ] {
            assert_eq!(digits::<10>(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(digits::<16>(b"10000000000000000"), None);
    }
}
