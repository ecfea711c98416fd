//! As much of X.509 as it takes to find a common name.

/// The tags of DER.
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// Of the version, which may be missing.
const EXPLICIT_0: u8 = 0xa0;

/// 2.5.4.3
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// The common name of a certificate's subject: the last, if there are several. The certificate has been verified.
pub(super) fn common_name(certificate: &[u8]) -> Option<String> {
    let mut certificate = Der(certificate).enter(SEQUENCE)?;
    let mut signed = certificate.enter(SEQUENCE)?;
    let (tag, _) = signed.next()?;
    if tag == EXPLICIT_0 {
        // The serial number follows.
        signed.next()?;
    }
    // The algorithm, the issuer and the validity.
    for _ in 0..3 {
        signed.next()?;
    }
    let mut subject = signed.enter(SEQUENCE)?;
    let mut found = None;
    while let Some(mut set) = subject.enter(SET) {
        while let Some(mut attribute) = set.enter(SEQUENCE) {
            let (tag, name) = attribute.next()?;
            let (_, value) = attribute.next()?;
            if tag == OBJECT_IDENTIFIER && name == COMMON_NAME {
                found = Some(String::from_utf8_lossy(value).into_owned());
            }
        }
    }
    found
}

/// Values in a row.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The tag of the next value, and what it contains.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first & 0x80 != 0 {
            let (digits, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if digits.len() > size_of::<u32>() {
                return None;
            }
            length = digits
                .iter()
                .fold(0, |length, &digit| length << 8 | usize::from(digit));
            rest = after;
        }
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// What the next value contains, which must have this tag.
    fn enter(&mut self, tag: u8) -> Option<Der<'a>> {
        let (found, value) = self.next()?;
        (found == tag).then_some(Der(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value of DER.
    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let value = parts.concat();
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], &value].concat()
    }

    fn attribute(name: [u8; 3], value: &str) -> Vec<u8> {
        let name = der(OBJECT_IDENTIFIER, &[&name]);
        let value = der(0x0c, &[value.as_bytes()]);
        der(SET, &[&der(SEQUENCE, &[&name, &value])])
    }

    fn certificate(version: &[u8], subject: &[&[u8]]) -> Vec<u8> {
        let (number, empty) = (der(0x02, &[&[1]]), der(SEQUENCE, &[]));
        let subject = der(SEQUENCE, subject);
        let signed = der(
            SEQUENCE,
            &[version, &number, &empty, &empty, &empty, &subject],
        );
        der(SEQUENCE, &[&signed, &empty])
    }

    #[test]
    fn the_last_common_name_counts() {
        let version = der(EXPLICIT_0, &[&der(0x02, &[&[2]])]);
        let organization = attribute([0x55, 0x04, 0x0a], "someone");
        let (first, last) = (
            attribute(COMMON_NAME, "first"),
            attribute(COMMON_NAME, "last"),
        );
        for version in [&version[..], &[]] {
            let named = certificate(version, &[&organization, &first, &last, &organization]);
            assert_eq!(common_name(&named).as_deref(), Some("last"));
            assert_eq!(common_name(&certificate(version, &[&organization])), None);
        }
    }

    #[test]
    fn what_is_cut_off_has_no_name() {
        let whole = certificate(&[], &[&attribute(COMMON_NAME, "name")]);
        for length in 0..whole.len() {
            assert_eq!(common_name(&whole[..length]), None);
        }
        assert_eq!(common_name(&[SEQUENCE, 0xff]), None);
    }
}
