//! Tests of the forms in which Amazon's times, and people's, are read.

use proptest::prelude::*;
use serde_json::json;
use time::UtcOffset;
use time::macros::format_description;

use super::*;

#[test]
fn all_forms_of_a_time_are_read_as_the_same_time() {
    for value in [
        json!("20260102T030405Z"),
        json!("20260102t030405z"),
        json!("20260102T030405"),
        json!("20260102T030405.000Z"),
        json!("20260102T030405+0000"),
        json!("20260102T120405+09"),
        json!("20260102 030405Z"),
        json!("2026-01-02T03:04:05Z"),
        json!("2026-01-02T03:04:05"),
        json!("2026-01-02 03:04:05"),
        json!("2026-01-02T03:04:05.0Z"),
        json!("2026-01-02T03:04:05.000Z"),
        json!("2026-01-02T03:04:05,000000000Z"),
        json!("2026-01-02T03:04:05+00:00"),
        json!("2026-01-02T03:04:05-00:00"),
        json!("2026-01-02T12:04:05+0900"),
        json!("2026-01-02T12:04:05+09:00"),
        json!("2026-01-02T12:04:05+09"),
        json!("2026-01-01T21:34:05-05:30"),
        json!("2026-01-02 03:04:05 +0000"),
        json!("2026-01-02 03:04:05 UTC"),
        json!(" 2026-01-02T03:04:05Z "),
        json!(1_767_323_045),
        json!(1_767_323_045.0),
        json!(1_767_323_045_000_i64),
        json!("1767323045"),
        json!("1767323045.000"),
        json!("1767323045000"),
        json!("1.767323045E9"),
    ] {
        let moment = Timestamp::from_amazon(&value).unwrap_or_else(|| panic!("not read: {value}"));
        assert_eq!(moment.to_string(), "2026-01-02T03:04:05.000Z", "{value}");
        assert_eq!(moment.basic(), "20260102T030405Z");
    }
}

#[test]
fn fractions_are_cut_to_milliseconds() {
    for (value, expected) in [
        (json!("2026-01-02T03:04:05.2Z"), "2026-01-02T03:04:05.200Z"),
        (json!("20260102T030405,25"), "2026-01-02T03:04:05.250Z"),
        (json!("2026-01-02T03:04:05.999999999+00:00"), "2026-01-02T03:04:05.999Z"),
        (json!(1_767_323_045.25), "2026-01-02T03:04:05.250Z"),
        (json!(1_767_323_045.123_456), "2026-01-02T03:04:05.123Z"),
        (json!("1767323045.1"), "2026-01-02T03:04:05.100Z"),
        (json!(1_767_323_045_678.9), "2026-01-02T03:04:05.678Z"),
    ] {
        assert_eq!(
            Timestamp::from_amazon(&value).map(|moment| moment.to_string()).as_deref(),
            Some(expected),
            "{value}"
        );
    }
}

#[test]
fn leap_seconds_and_ends_of_days_are_read() {
    for text in ["2026-01-02T24:00:00Z", "20260102T240000Z", "2026-01-02T23:59:60Z", "2026-01-03T08:59:60+09:00"] {
        let moment = Timestamp::from_amazon(&json!(text)).map(|moment| moment.to_string());
        assert_eq!(moment.as_deref(), Some("2026-01-03T00:00:00.000Z"), "{text}");
    }
}

#[test]
fn what_may_mean_several_times_or_none_is_not_read() {
    for value in [
        json!(null),
        json!(true),
        json!([2026, 1, 2]),
        json!({"seconds": 1_767_323_045}),
        json!(""),
        json!("soon"),
        json!("2026-01-02"),
        json!("20260102"),
        json!("2026-01-0203:04:05Z"),
        json!("2026-0102T03:04:05Z"),
        json!("2026-02-29T00:00:00Z"),
        json!("2026-13-02T00:00:00Z"),
        json!("2026-01-02T24:00:01Z"),
        json!("2026-01-02T25:00:00Z"),
        json!("2026-01-02T03:60:00Z"),
        json!("2026-01-02T03:04:60Z"),
        json!("2026-01-02T03:04:05.Z"),
        json!("2026-01-02T03:04:05.0000000001Z"),
        json!("2026-01-02T03:04:05+24:00"),
        json!("2026-01-02T03:04:05+9"),
        json!("2026-01-02T03:04:05+09:0"),
        json!("2026-01-02T03:04:05 CET"),
        json!("2026-01-02T03:04:05Zz"),
        json!("2026-01-02T03:04:0\u{663}Z"),
        // Years that cannot be meant: a placeholder, a wrong unit.
        json!("1999-12-31T23:59:59Z"),
        json!("9999-12-31T23:59:59Z"),
        json!("2201-01-01T00:00:00Z"),
        json!(0),
        json!(-1_767_323_045),
        json!(1_767_323_045_000_000_i64),
        json!(u64::MAX),
        json!(1e300),
        json!("20260102030405"),
    ] {
        assert_eq!(Timestamp::from_amazon(&value), None, "{value}");
    }
}

#[test]
fn a_person_must_write_the_zone() {
    for text in ["2026-01-02T03:04:05Z", "20260102T030405Z", "2026-01-02T03:04:05.000Z", "2026-01-02T12:04:05+09:00"] {
        let moment = Timestamp::parse_written(text).map(|moment| moment.to_string());
        assert_eq!(moment.as_deref(), Some("2026-01-02T03:04:05.000Z"), "{text}");
    }
    for text in ["2026-01-02T03:04:05", "2026-01-02 03:04:05Z", "2026-01-02", "1767323045", "yesterday", ""] {
        assert_eq!(Timestamp::parse_written(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn a_time_is_read_alike_in_every_form(
        ms in PLAUSIBLE_MS.start + 86_400_000..PLAUSIBLE_MS.end - 86_400_000,
        offset_minutes in -1439_i32..=1439,
    ) {
        let moment = Timestamp(ms);
        let utc = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap();
        let local = utc.to_offset(UtcOffset::from_whole_seconds(offset_minutes * 60).unwrap());
        let extended = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3][offset_hour sign:mandatory]:[offset_minute]");
        let basic = format_description!("[year][month][day]T[hour][minute][second],[subsecond digits:9][offset_hour sign:mandatory][offset_minute]");
        let spaced = format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6] [offset_hour sign:mandatory][offset_minute]");
        let naked = format_description!("[year]-[month]-[day]t[hour]:[minute]:[second].[subsecond digits:3]");
        let forms = [
            json!(moment.to_string()),
            json!(local.format(extended).unwrap()),
            json!(local.format(basic).unwrap()),
            json!(local.format(spaced).unwrap()),
            json!(utc.format(naked).unwrap()),
            json!(ms),
            json!(ms.to_string()),
            json!(format!("{}.{:03}", ms / 1000, ms % 1000)),
        ];
        for form in forms {
            prop_assert_eq!(Timestamp::from_amazon(&form), Some(moment), "{}", form);
        }
        let whole = Timestamp(ms / 1000 * 1000);
        prop_assert_eq!(Timestamp::from_amazon(&json!(moment.basic())), Some(whole));
        prop_assert_eq!(Timestamp::from_amazon(&json!(ms / 1000)), Some(whole));
    }

    #[test]
    fn no_text_makes_reading_a_time_panic(text in "\\PC{0,40}", digits in "[0-9TtZz:.,+ -]{0,36}") {
        _ = (Timestamp::from_amazon(&json!(text)), Timestamp::from_amazon(&json!(digits)));
        _ = (Timestamp::parse_written(&text), Timestamp::parse_written(&digits));
    }
}
