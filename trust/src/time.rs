//! Points in time as whole seconds, and arithmetic on them that cannot overflow.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Whole seconds since 1970-01-01T00:00:00Z, leap seconds not counted (RFC 7519 section 2, `NumericDate`).
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The given number of seconds after the epoch.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// This moment, `seconds` later; the end of time at the most.
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// This moment, `seconds` earlier; 1970 at the least.
    pub const fn minus(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// Seconds from `earlier` to this moment; 0 if `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// As people write it: `2027-01-15 08:00 UTC`, to the minute; beyond the year 9999 in seconds.
    pub fn date(self) -> String {
        let (days, second) = (self.0 / DAY_SECONDS, self.0 % DAY_SECONDS);
        let Some((year, month, day)) = civil(days) else {
            return format!("{self} s after 1970");
        };
        let (hour, minute) = (second / 3600, second % 3600 / 60);
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
    }
}

/// The seconds; in the alternate form (`{:#}`) the date behind them, for people.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.alternate() {
            true => write!(f, "{} ({})", self.0, self.date()),
            false => self.0.fmt(f),
        }
    }
}

/// Days since 1970 as year, month and day of the Gregorian calendar; nothing beyond the year 9999.
/// <https://howardhinnant.github.io/date_algorithms.html>, `civil_from_days`, for days after 1970.
fn civil(days: u64) -> Option<(u64, u64, u64)> {
    let days = days.checked_add(719_468)?;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leap_days = (day_of_era / 1_460)
        .checked_add(day_of_era / 146_096)?
        .checked_sub(day_of_era / 36_524)?;
    let year_of_era = day_of_era.checked_sub(leap_days)? / 365;
    let before_year = year_of_era
        .checked_mul(365)?
        .checked_add(year_of_era / 4)?
        .checked_sub(year_of_era / 100)?;
    let day_of_year = day_of_era.checked_sub(before_year)?;
    let shifted = day_of_year.checked_mul(5)?.checked_add(2)? / 153;
    let before_month = shifted.checked_mul(153)?.checked_add(2)? / 5;
    let day = day_of_year.checked_sub(before_month)?.checked_add(1)?;
    let (month, carry) = if shifted < 10 {
        (shifted.checked_add(3)?, 0)
    } else {
        (shifted.checked_sub(9)?, 1)
    };
    let year = era
        .checked_mul(400)?
        .checked_add(year_of_era)?
        .checked_add(carry)?;
    (year <= 9999).then_some((year, month, day))
}

const DAY_SECONDS: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::UnixTime;

    #[test]
    fn arithmetic_stops_at_both_ends() {
        let epoch = UnixTime::from_seconds(0);
        let end = UnixTime::from_seconds(u64::MAX);
        assert_eq!(epoch.minus(10), epoch);
        assert_eq!(end.plus(10), end);
        assert_eq!(epoch.since(end), 0);
        assert_eq!(end.since(epoch), u64::MAX);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, shown) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_900_000_000, "2030-03-17 17:46 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (u64::MAX, "18446744073709551615 s after 1970"),
        ] {
            assert_eq!(UnixTime::from_seconds(seconds).date(), shown);
        }
        let time = UnixTime::from_seconds(1_900_000_000);
        assert_eq!(time.to_string(), "1900000000");
        assert_eq!(format!("{time:#}"), "1900000000 (2030-03-17 17:46 UTC)");
    }
}
