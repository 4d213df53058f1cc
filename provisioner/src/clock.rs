//! The operator's clock: what time the system says it is, and whether the kernel believes it.

use edgeseal_trust::clock::ClockReading;
use edgeseal_trust::time::UnixTime;
use rtime_clock::adjtime::{Timex, adjtimex};
use std::time::{SystemTime, UNIX_EPOCH};

/// Reads the clock, with the kernel's word on it, as `timedatectl` shows it: the maximum error that
/// the time daemon stated, grown since by 500 ppm, is below 16 s (adjtimex(2)). Where the kernel
/// refuses to say, the clock counts as unsynchronized.
pub(crate) fn read() -> ClockReading {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    ClockReading {
        time: UnixTime::from_seconds(since_epoch.map_or(0, |time| time.as_secs())),
        synchronized: is_synchronized(),
    }
}

/// The current second.
pub(crate) fn now() -> UnixTime {
    read().time
}

/// A moment as people write it (RFC 3339, UTC, to the minute).
pub(crate) fn date(time: UnixTime) -> String {
    let (days, second) = (time.seconds() / DAY, time.seconds() % DAY);
    let Some((year, month, day)) = civil(days) else {
        return format!("{time} s after 1970");
    };
    let (hour, minute) = (second / 3600, second % 3600 / 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

fn is_synchronized() -> bool {
    let mut timex = Timex::new();
    adjtimex(&mut timex).is_ok_and(|_| {
        timex.0.maxerror < UNSYNCHRONIZED_FROM_MICROSECONDS.into()
            && timex.0.status & STA_CLOCKERR == 0
    })
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

const DAY: u64 = 86_400;
/// The clock hardware failed (`linux/timex.h`).
const STA_CLOCKERR: i32 = 0x1000;
/// The kernel's limit (`NTP_PHASE_LIMIT`), and systemd's.
const UNSYNCHRONIZED_FROM_MICROSECONDS: i32 = 16_000_000;

#[cfg(test)]
mod tests {
    use super::date;
    use edgeseal_trust::time::UnixTime;

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
            assert_eq!(date(UnixTime::from_seconds(seconds)), shown);
        }
    }
}
