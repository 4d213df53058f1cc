//! The kernel's word on its clock.

use super::Synchronization;
use std::io;

/// Asks the kernel: one system call.
///
/// # Errors
/// The kernel refuses the call. On 32-bit boards always `Unsupported`: no library reads it there without `unsafe`.
#[cfg(target_pointer_width = "64")]
pub(super) fn ask() -> io::Result<Synchronization> {
    use rtime_clock::adjtime::{Timex, adjtimex};
    let mut timex = Timex::new();
    adjtimex(&mut timex)?;
    Ok(judge(u64::try_from(timex.0.maxerror).ok(), timex.0.status))
}

/// As [`ask`], for a process that may start another to learn it.
///
/// # Errors
/// Those of [`ask`].
#[cfg(target_pointer_width = "64")]
pub(super) fn ask_patiently() -> io::Result<Synchronization> {
    ask()
}

#[cfg(not(target_pointer_width = "64"))]
pub(super) fn ask() -> io::Result<Synchronization> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "a 32-bit agent cannot ask the kernel itself: edgeseal-clock.service tells it",
    ))
}

/// systemd judges as `judge` does, and says no more than yes or no.
#[cfg(not(target_pointer_width = "64"))]
pub(super) fn ask_patiently() -> io::Result<Synchronization> {
    let mut timedatectl = std::process::Command::new("timedatectl");
    timedatectl.args(["show", "--property=NTPSynchronized", "--value"]);
    let said = timedatectl.output()?;
    match said.stdout.as_slice() {
        b"yes\n" => Ok(Synchronization::Synchronized {
            max_error_microseconds: UNSYNCHRONIZED_FROM_MICROSECONDS.saturating_sub(1),
        }),
        b"no\n" => Ok(Synchronization::Unsynchronized),
        _ => Err(io::Error::other(format!(
            "timedatectl: {}",
            String::from_utf8_lossy(&said.stderr).trim()
        ))),
    }
}

#[cfg(target_pointer_width = "64")]
fn judge(max_error_microseconds: Option<u64>, status: i32) -> Synchronization {
    match max_error_microseconds {
        Some(max_error_microseconds)
            if max_error_microseconds < UNSYNCHRONIZED_FROM_MICROSECONDS
                && status & STA_CLOCKERR == 0 =>
        {
            Synchronization::Synchronized {
                max_error_microseconds,
            }
        }
        _ => Synchronization::Unsynchronized,
    }
}

/// The clock hardware failed (`linux/timex.h`).
#[cfg(target_pointer_width = "64")]
const STA_CLOCKERR: i32 = 0x1000;
/// The kernel's limit (`NTP_PHASE_LIMIT`), and systemd's.
const UNSYNCHRONIZED_FROM_MICROSECONDS: u64 = 16_000_000;

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::{STA_CLOCKERR, judge};
    use crate::clock::Synchronization;

    #[test]
    fn the_error_bound_decides_and_not_sta_unsync() {
        const STA_UNSYNC: i32 = 0x40;
        let good = Synchronization::Synchronized {
            max_error_microseconds: 15_999_999,
        };
        assert_eq!(judge(Some(15_999_999), 0), good);
        assert_eq!(judge(Some(15_999_999), STA_UNSYNC), good);
        assert_eq!(judge(Some(16_000_000), 0), Synchronization::Unsynchronized);
        assert_eq!(judge(None, 0), Synchronization::Unsynchronized);
        assert_eq!(
            judge(Some(0), STA_CLOCKERR),
            Synchronization::Unsynchronized
        );
    }
}
