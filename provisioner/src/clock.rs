//! The operator's clock: what time the system says it is, and whether the kernel believes it.

use edgeseal_trust::clock::ClockReading;
use edgeseal_trust::time::UnixTime;
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

#[cfg(target_pointer_width = "64")]
fn is_synchronized() -> bool {
    use rtime_clock::adjtime::{Timex, adjtimex};
    let mut timex = Timex::new();
    adjtimex(&mut timex).is_ok_and(|_| {
        timex.0.maxerror < UNSYNCHRONIZED_FROM_MICROSECONDS && timex.0.status & STA_CLOCKERR == 0
    })
}

/// No library asks the kernel of a 32-bit board without `unsafe`.
#[cfg(not(target_pointer_width = "64"))]
fn is_synchronized() -> bool {
    let mut timedatectl = std::process::Command::new("timedatectl");
    timedatectl.args(["show", "--property=NTPSynchronized", "--value"]);
    timedatectl
        .output()
        .is_ok_and(|said| said.stdout == b"yes\n")
}

/// The clock hardware failed (`linux/timex.h`).
#[cfg(target_pointer_width = "64")]
const STA_CLOCKERR: i32 = 0x1000;
/// The kernel's limit (`NTP_PHASE_LIMIT`), and systemd's.
#[cfg(target_pointer_width = "64")]
const UNSYNCHRONIZED_FROM_MICROSECONDS: i64 = 16_000_000;
