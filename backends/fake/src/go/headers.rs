//! The headers of a response under construction.

use std::cell::RefCell;

use http::{HeaderMap, HeaderName, HeaderValue};

/// How many kinds of heads are remembered.
const REMEMBERED: usize = 8;

/// More headers than a response has.
const USUAL_COUNT: usize = 12;

/// Headers in the order of their insertion.
#[derive(Debug)]
pub(crate) struct Headers(Vec<(HeaderName, HeaderValue)>);

thread_local! {
    /// Heads that were built, one for each list of names, without their values.
    static HEADS: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

impl Headers {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(USUAL_COUNT))
    }

    /// Sets a header, in the place of the former one of that name.
    pub(crate) fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        // Of two with a name, the map keeps the place of the first and the value of the second.
        self.0.push((name, value));
    }

    /// Builds the map. Most responses have the names of an earlier one: to copy a map with them and to replace its values
    /// takes a fraction of the time that inserting takes, which hashes each name.
    pub(crate) fn build(self) -> HeaderMap {
        HEADS.with_borrow_mut(|heads| {
            let names = || self.0.iter().map(|(name, _)| name);
            let known = heads.iter().find(|head| head.keys().eq(names()));
            let Some(known) = known else {
                let count = self.0.len();
                let mut built = HeaderMap::with_capacity(count);
                for (name, value) in self.0 {
                    built.insert(name, value);
                }
                if built.len() < count {
                    // One with a name twice is found by none.
                    return built;
                }
                let mut head = built.clone();
                for value in head.values_mut() {
                    *value = HeaderValue::from_static("");
                }
                heads.truncate(REMEMBERED - 1);
                heads.insert(0, head);
                return built;
            };
            let mut copy = known.clone();
            for (place, (_, value)) in copy.values_mut().zip(self.0) {
                *place = value;
            }
            copy
        })
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, DATE, LOCATION};

    use super::*;

    fn build(headers: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut built = Headers::new();
        for (name, value) in headers {
            built.insert(name.clone(), HeaderValue::from_static(value));
        }
        built.build()
    }

    #[test]
    fn heads_of_equal_names_have_their_own_values() {
        let orders = [
            [ALLOW, DATE, LOCATION],
            [DATE, ALLOW, LOCATION],
            [ALLOW, DATE, CONTENT_TYPE],
        ];
        for round in ["1", "2", "3"] {
            for names in &orders {
                let head = build(&names.clone().map(|name| (name, round)));
                assert!(head.keys().eq(names));
                assert!(head.values().all(|value| value == round));
                assert!(names.iter().all(|name| head[name] == round));
            }
        }
    }

    #[test]
    fn a_header_is_replaced_in_its_place() {
        let twice = [
            (CONTENT_TYPE, "a"),
            (CONTENT_LENGTH, "0"),
            (CONTENT_TYPE, "b"),
        ];
        let head = build(&twice);
        assert_eq!(head.len(), 2);
        assert_eq!(head[CONTENT_TYPE], "b");
        assert!(head.keys().eq([&CONTENT_TYPE, &CONTENT_LENGTH]));
    }
}
