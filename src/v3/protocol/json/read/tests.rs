use super::*;
use crate::v3::{RangeResponse, protocol::message};

#[derive(Debug, Default, PartialEq)]
struct Sample {
    key: Bytes,
    number: i64,
    id: u64,
    small: u32,
    flag: bool,
    name: String,
    inner: Option<Inner>,
    list: Vec<Inner>,
}

#[derive(Debug, Default, PartialEq)]
struct Inner {
    color: Color,
}

message::names! {
    /// A color.
    enum Color {
        /// The default.
        Red = 0 "RED",
        /// Another.
        Blue = 1 "BLUE",
    }
}

message::decode!(Inner { 1 "color" => color });

message::decode!(Sample {
    1 "key" => key,
    2 "number" => number,
    3 "ID" => id,
    4 "small" => small,
    5 "flag" => flag,
    6 "name" => name,
    7 "inner" => inner,
    8 "list" => list,
});

fn sample(json: &str) -> Sample {
    parse(json.as_bytes()).unwrap()
}

#[test]
fn v3_4_what_is_absent_is_zero_and_what_is_unknown_is_passed_over() {
    assert_eq!(sample("{}"), Sample::default());
    let unknown = r#"{"x":{"key":"YQ==","y":[1,{"z":null}]},"k\u0065y":"Yg==","n\t":1}"#;
    assert_eq!(sample(unknown).key, "b");
}

#[test]
fn v3_7_spacing_does_not_matter() {
    let compact = r#"{"number":"1","inner":{"color":"BLUE"},"list":[{},{"color":"RED"}]}"#;
    let spaced = compact.replace(',', ", ").replace(':', " :\n ");
    assert_eq!(sample(compact), sample(&spaced));
    assert_eq!(sample(compact).inner, Some(Inner { color: Color::Blue }));
    assert_eq!(sample(compact).list.len(), 2);
}

#[test]
fn v3_4_integers_are_strings_or_numbers_of_all_64_bits() {
    let strings = r#"{"number":"-9223372036854775808","ID":"18446744073709551615","small":"7"}"#;
    let numbers = r#"{"number":-9223372036854775808,"ID":18446744073709551615,"small":7}"#;
    assert_eq!(sample(strings), sample(numbers));
    assert_eq!(sample(strings).number, i64::MIN);
    assert_eq!(sample(strings).id, u64::MAX);
    for wrong in [
        r#"{"number":"9223372036854775808"}"#,
        r#"{"number":""}"#,
        r#"{"ID":-1}"#,
        r#"{"small":4294967296}"#,
        r#"{"number":1.5}"#,
    ] {
        assert!(parse::<Sample>(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn base64_of_every_kind_is_read() {
    for text in ["//4AYQ==", "//4AYQ", "__4AYQ==", "__4AYQ", r"\/\/4AYQ=="] {
        let json = format!(r#"{{"key":"{text}"}}"#);
        assert_eq!(sample(&json).key, &b"\xff\xfe\0a"[..], "{text}");
    }
    for wrong in [r#"{"key":"a"}"#, r#"{"key":"*"}"#, r#"{"key":1}"#] {
        assert!(parse::<Sample>(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn enumerations_are_read_by_name_or_number() {
    let color = |json: &str| parse::<Inner>(json.as_bytes()).map(|inner| inner.color);
    assert_eq!(color(r#"{"color":"BLUE"}"#).unwrap(), Color::Blue);
    assert_eq!(color(r#"{"color":1}"#).unwrap(), Color::Blue);
    let error = color(r#"{"color":"GREEN"}"#).unwrap_err().to_string();
    let expected = r#"invalid value: string "GREEN", expected one of ["RED", "BLUE"]"#;
    assert!(error.starts_with(expected), "{error}");
    for wrong in [r#"{"color":2}"#, r#"{"color":-1}"#, r#"{"color":true}"#] {
        assert!(color(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_value_that_only_a_later_etcd_has_is_read_where_there_is_a_place_for_it() {
    message::names! {
        /// A size.
        enum Size {
            /// The default.
            Small = 0 "SMALL",
        }
        else {
            /// Another.
            Other
        }
    }
    let size = |json: &str| {
        let mut json = serde_json::Deserializer::from_str(json);
        Size::read(Json::new(&mut json))
    };
    assert_eq!(size("\"SMALL\"").unwrap(), Size::Small);
    assert_eq!(size("0").unwrap(), Size::Small);
    for other in ["\"HUGE\"", "\"\"", "7", "-1"] {
        assert_eq!(size(other).unwrap(), Size::Other, "{other}");
    }
    for wrong in ["true", "{}", "1.5"] {
        assert!(size(wrong).is_err(), "{wrong}");
    }
    assert_eq!(Size::Other.name(), "UNKNOWN");
}

#[test]
fn a_response_whose_header_was_read_before_is_the_same() {
    let header =
        r#""header":{"cluster_id":"7","member_id":"8","revision":"9","raft_term":"2","new":[1]}"#;
    for json in [
        format!(r#"{{{header},"count":"5"}}"#),
        format!(r#"{{"count":"5", {header}}}"#),
        // The last one counts.
        format!(r#"{{{header},"count":"5","header":{{"cluster_id":"7"}}}}"#),
    ] {
        let known = Header::of(&crate::v3::protocol::json::origin(json.as_bytes())).unwrap();
        let read: RangeResponse = parse_after_header(json.as_bytes(), known).unwrap();
        assert_eq!(read, parse(json.as_bytes()).unwrap());
        assert_eq!((read.header.cluster_id, read.count), (7, 5));
    }
    let known = Header::default();
    for broken in [
        r#"{"header":{},"count":"5""#,
        r#"{"header":{},"count":[]}"#,
        "[]",
    ] {
        let read = parse_after_header::<RangeResponse>(broken.as_bytes(), known);
        assert!(read.is_err(), "{broken}");
    }
}
