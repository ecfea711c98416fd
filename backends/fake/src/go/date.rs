//! Times as Go writes them: RFC 3339 in JSON, IMF-fixdate in the `Date` header.

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// Writes nanoseconds since the Unix epoch as RFC 3339 in UTC, fraction without trailing zeros.
pub(crate) fn push_rfc3339(out: &mut Vec<u8>, unix_nanos: i64) {
    let (seconds, nanos) = (
        unix_nanos.div_euclid(SECOND),
        unix_nanos.rem_euclid(SECOND) as u32,
    );
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let (hour, minute, second) = clock(seconds);
    push_digits(out, year as u32, 4);
    out.push(b'-');
    push_digits(out, month, 2);
    out.push(b'-');
    push_digits(out, day, 2);
    out.push(b'T');
    push_digits(out, hour, 2);
    out.push(b':');
    push_digits(out, minute, 2);
    out.push(b':');
    push_digits(out, second, 2);
    if nanos != 0 {
        out.push(b'.');
        push_digits(out, nanos, 9);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    out.push(b'Z');
}

/// The `Date` header of this second.
pub(crate) fn http_date(unix_seconds: i64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let days = unix_seconds.div_euclid(DAY);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = clock(unix_seconds);
    let weekday = WEEKDAYS[days.rem_euclid(7) as usize];
    let month = MONTHS[month as usize - 1];
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Year, month (1 to 12) and day of the month of a day since the epoch, in the Gregorian calendar.
fn civil(days: i64) -> (i64, u32, u32) {
    // Counted in 400-year eras that begin on the 1st of March, so that the leap day comes last.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

fn clock(unix_seconds: i64) -> (u32, u32, u32) {
    let second = unix_seconds.rem_euclid(DAY) as u32;
    (second / 3600, second / 60 % 60, second % 60)
}

fn push_digits(out: &mut Vec<u8>, mut number: u32, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc3339(unix_nanos: i64) -> String {
        let mut out = Vec::new();
        push_rfc3339(&mut out, unix_nanos);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_fraction_has_no_trailing_zeros() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_500_000_000), "1970-01-01T00:00:01.5Z");
        assert_eq!(rfc3339(1), "1970-01-01T00:00:00.000000001Z");
    }

    #[test]
    fn leap_days_and_the_ends_of_the_range_are_right() {
        assert_eq!(rfc3339(951_782_400 * SECOND), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(i64::MAX), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(rfc3339(i64::MIN), "1677-09-21T00:12:43.145224192Z");
    }

    #[test]
    fn the_date_header_is_an_imf_fixdate() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
