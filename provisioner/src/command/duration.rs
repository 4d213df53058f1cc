//! Durations on the command line.

/// Whole seconds, or a whole number with a unit: `90s`, `15m`, `12h`, `7d`.
///
/// # Errors
/// Anything else, zero, and more than a thousand years.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        Some("d") => 86_400,
        _ => 0,
    };
    let number: u64 = digits.parse().unwrap_or(0);
    match number.checked_mul(unit) {
        Some(seconds) if (1..=LONGEST_SECONDS).contains(&seconds) => Ok(seconds),
        _ => Err("a duration is a whole number with s, m, h or d, such as 90s or 7d".into()),
    }
}

/// Seconds as people write them: in the largest unit that is exact.
pub(crate) fn show(seconds: u64) -> String {
    for (unit, letter) in [(86_400, 'd'), (3600, 'h'), (60, 'm')] {
        let whole = seconds.checked_div(unit).unwrap_or(0);
        if whole > 0 && seconds.is_multiple_of(unit) {
            return format!("{whole}{letter}");
        }
    }
    format!("{seconds}s")
}

const LONGEST_SECONDS: u64 = 1000 * 365 * 86_400;

#[cfg(test)]
mod tests {
    use super::{parse, show};

    #[test]
    fn durations_are_read_and_shown() {
        for (text, seconds, shown) in [
            ("90", 90, "90s"),
            ("90s", 90, "90s"),
            ("60m", 3600, "1h"),
            ("24h", 86_400, "1d"),
            ("7d", 604_800, "7d"),
        ] {
            assert_eq!(parse(text), Ok(seconds));
            assert_eq!(show(seconds), shown);
        }
        for bad in [
            "",
            "d",
            "0",
            "-1",
            "1.5h",
            "1w",
            "1 d",
            "99999999999999999999d",
            "1000000d",
            "1ä",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
