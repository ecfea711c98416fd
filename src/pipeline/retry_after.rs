use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{
    HeaderMap,
    header::{DATE, HeaderName, RETRY_AFTER},
};

/// Returns how long a server asks to wait before the next request, from its `Retry-After`: seconds or a date.
/// <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are no reason to come back sooner.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = date(headers, RETRY_AFTER)?;
    // The server's own clock, as far as it shows it: ours may differ.
    let now = date(headers, DATE).or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).ok())?;
    Some(until.saturating_sub(now))
}

/// Returns the date in a header since the epoch, in the form that servers must send: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<Duration> {
    let text = headers.get(name)?.to_str().ok()?;
    let (_, date) = text.split_once(", ")?;
    let mut parts = date.split(' ');
    let day: u64 = number(parts.next()?, 1..=31)?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)?;
    let year: u64 = number(parts.next()?, 1970..=9999)?;
    let mut time = parts.next()?.split(':');
    let hour = number(time.next()?, 0..=23)?;
    let minute = number(time.next()?, 0..=59)?;
    // 60 is a leap second.
    let second = number(time.next()?, 0..=60)?;
    if parts.next() != Some("GMT") {
        return None;
    }
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let is_leap = leap_days(year) > leap_days(year - 1);
    let before_year = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    let before_month: u64 = DAYS.iter().take(month).sum();
    let days = before_year + before_month + u64::from(is_leap && month > 1) + day - 1;
    Some(Duration::from_secs(
        ((days * 24 + hour) * 60 + minute) * 60 + second,
    ))
}

fn number(text: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    text.parse().ok().filter(|number| range.contains(number))
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Of a year that is not a leap year.
const DAYS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn after(retry_after: &'static str, date: Option<&'static str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(retry_after));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_static(date));
        }
        super::retry_after(&headers)
    }

    #[test]
    fn seconds_are_read() {
        assert_eq!(after("120", None), Some(Duration::from_secs(120)));
        assert_eq!(after(" 0 ", None), Some(Duration::ZERO));
        assert_eq!(
            after("99999999999999999999999", None),
            Some(Duration::from_secs(u64::MAX))
        );
        for nonsense in ["-1", "1.5", "soon", "Sun, 06 Nov 1994"] {
            assert_eq!(after(nonsense, None), None, "{nonsense}");
        }
    }

    #[test]
    fn a_date_counts_from_the_date_of_the_response() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        for (until, seconds) in [
            ("Sun, 06 Nov 1994 08:49:40 GMT", 3),
            ("Mon, 07 Nov 1994 08:49:37 GMT", 24 * 3600),
            ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
        ] {
            assert_eq!(after(until, date), Some(Duration::from_secs(seconds)));
        }
        // Without one it counts from now.
        assert_eq!(
            after("Sun, 06 Nov 1994 08:49:37 GMT", None),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let seconds = |text| {
            let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static(text))]);
            date(&headers, DATE).map(|since| since.as_secs())
        };
        for (text, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Sat, 31 Dec 2022 23:59:59 GMT", 1_672_531_199),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for nonsense in [
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 24:49:37 GMT",
        ] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }
}
