//! The parameters of the keys endpoint, with etcd's errors about them.

use crate::{
    go::form::{Form, parse_bool, parse_u64},
    v2::store::error::{Code, StoreError},
};

/// The parameters of a request.
#[derive(Debug)]
pub(crate) struct Parameters<'a>(Form<'a>);

impl<'a> Parameters<'a> {
    /// Reads the query and, in a PUT or POST, the form: its type and its bytes.
    ///
    /// # Errors
    /// [`Code::InvalidForm`] with the error text of Go.
    pub(crate) fn parse(
        query: &'a [u8],
        form: Option<(&[u8], &'a [u8])>,
    ) -> Result<Self, StoreError> {
        let form = Form::parse(query, form);
        form.map(Self)
            .map_err(|cause| StoreError::request(Code::InvalidForm, cause))
    }

    /// The first value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name)
    }

    /// A truth value. Defaults to false.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, StoreError> {
        self.get(name)
            .map_or(Some(false), parse_bool)
            .ok_or_else(|| {
                let cause = format!("invalid value for \"{name}\"");
                StoreError::request(Code::InvalidField, cause)
            })
    }

    /// A truth value that may be absent. etcd's error does not quote its name.
    pub(crate) fn optional_flag(&self, name: &str) -> Result<Option<bool>, StoreError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let cause = || format!("invalid value for {name}");
        let flag =
            parse_bool(value).ok_or_else(|| StoreError::request(Code::InvalidField, cause()))?;
        Ok(Some(flag))
    }

    /// A number. Defaults to 0.
    pub(crate) fn number(&self, name: &str, code: Code) -> Result<u64, StoreError> {
        self.get(name).map_or(Some(0), parse_u64).ok_or_else(|| {
            let cause = format!("invalid value for \"{name}\"");
            StoreError::request(code, cause)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &[u8]) -> Parameters<'_> {
        Parameters::parse(query, None).unwrap()
    }

    #[test]
    fn truth_values_are_those_of_go() {
        let form = parse(b"a=T&b=yes&c=&d=0");
        assert_eq!(form.flag("a"), Ok(true));
        assert!(form.flag("b").is_err());
        assert!(form.flag("c").is_err());
        assert_eq!(form.flag("d"), Ok(false));
        assert_eq!(form.flag("e"), Ok(false));
    }

    #[test]
    fn numbers_have_no_sign_and_fit_64_bits() {
        let form = parse(b"a=18446744073709551615&b=18446744073709551616&c=%2b1&d=");
        assert_eq!(form.number("a", Code::IndexNotANumber), Ok(u64::MAX));
        for name in ["b", "c", "d"] {
            assert!(form.number(name, Code::IndexNotANumber).is_err(), "{name}");
        }
    }
}
