//! The clock: what time the system says it is, and whether the kernel believes it.
//!
//! **Synchronized** is the kernel's word, the same that `timedatectl` shows as "System clock
//! synchronized": the maximum error that the time daemon last stated, grown since by 500 ppm, is
//! below 16 s (adjtimex(2); the kernel sets `STA_UNSYNC` at that point). The flag `STA_UNSYNC`
//! itself is not asked, as systemd does not ask it: chrony keeps it set on a good clock unless
//! `rtcsync` is configured, to keep the kernel's hands off the hardware clock. Setting the clock by
//! hand (also fake-hwclock at boot) puts the error back to 16 s.
//!
//! Reading it needs no privilege, but a system call that systemd counts among those that set
//! clocks. Where the kernel refuses it, as the agent's unit lets it do, another process tells of it
//! ([`watch`]); where none does, the clock counts as unsynchronized and
//! [`SystemClock::synchronization`] says why.

mod kernel;
pub mod watch;

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// The time at this moment.
    fn read(&self) -> ClockReading;
}

/// The time at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClockReading {
    /// Whole seconds since 1970-01-01 UTC; 0 if the clock is before that.
    pub unix_seconds: u64,
    /// Whether the kernel holds the clock for synchronized.
    pub synchronized: bool,
    /// Time since this clock was made, by a clock that no one can set and that counts suspension.
    pub since_start: Duration,
}

/// What the kernel says of its clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Synchronization {
    /// A time daemon keeps it right within 16 s, by its own word.
    Synchronized {
        /// Upper bound of the error, in microseconds.
        max_error_microseconds: u64,
    },
    /// Nobody does.
    Unsynchronized,
}

/// The clock of this machine. Make one at start and keep it.
#[derive(Debug)]
pub struct SystemClock {
    started: Duration,
    flag: CachedFlag,
}

impl SystemClock {
    /// Starts counting [`ClockReading::since_start`].
    #[must_use]
    pub fn start() -> Self {
        Self {
            started: since_boot(),
            flag: CachedFlag::default(),
        }
    }

    /// Asks the kernel now, or whoever may.
    ///
    /// # Errors
    /// The kernel refused the call: a system call filter (`EPERM`) or no such call (`ENOSYS`), and no
    /// other process tells.
    pub fn synchronization() -> io::Result<Synchronization> {
        kernel::ask().or_else(|error| watch::read(Path::new(watch::DIRECTORY)).ok_or(error))
    }
}

impl Clock for SystemClock {
    /// Costs no system call but once a second, when the kernel's flag is read anew.
    fn read(&self) -> ClockReading {
        let since_start = since_boot().saturating_sub(self.started);
        ClockReading {
            unix_seconds: unix_seconds(clock_gettime(ClockId::Realtime)),
            synchronized: self.flag.at(since_start, || {
                matches!(
                    Self::synchronization(),
                    Ok(Synchronization::Synchronized { .. })
                )
            }),
            since_start,
        }
    }
}

/// A clock that shows what it is told, for tests. It steps as real ones do: the monotonic time is
/// moved by [`ManualClock::advance`] alone.
#[derive(Debug)]
pub struct ManualClock {
    reading: Mutex<ClockReading>,
}

impl ManualClock {
    /// A synchronized clock at this time, just started.
    #[must_use]
    pub fn at(unix_seconds: u64) -> Self {
        let reading = ClockReading {
            unix_seconds,
            synchronized: true,
            since_start: Duration::ZERO,
        };
        Self {
            reading: Mutex::new(reading),
        }
    }

    /// Time passes.
    pub fn advance(&self, time: Duration) {
        self.change(|reading| {
            reading.since_start = reading.since_start.saturating_add(time);
            reading.unix_seconds = reading.unix_seconds.saturating_add(time.as_secs());
        });
    }

    /// Somebody sets the clock.
    pub fn step_to(&self, unix_seconds: u64) {
        self.change(|reading| reading.unix_seconds = unix_seconds);
    }

    /// The kernel changes its mind about the clock.
    pub fn set_synchronized(&self, synchronized: bool) {
        self.change(|reading| reading.synchronized = synchronized);
    }

    fn change(&self, change: impl FnOnce(&mut ClockReading)) {
        change(
            &mut self
                .reading
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
    }
}

impl Clock for ManualClock {
    fn read(&self) -> ClockReading {
        *self
            .reading
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The kernel's flag, asked at most once in a second: the call costs more than the rest of
/// the work that is not the curve. Holds the milliseconds when it was asked, plus one, times two,
/// plus the flag; 0 means never.
#[derive(Debug, Default)]
struct CachedFlag(AtomicU64);

impl CachedFlag {
    fn at(&self, since_start: Duration, ask: impl FnOnce() -> bool) -> bool {
        let now = u64::try_from(since_start.as_millis())
            .unwrap_or(u64::MAX)
            .min(u64::MAX >> 2);
        let cached = self.0.load(Ordering::Relaxed);
        let asked_at = (cached >> 1).checked_sub(1);
        if asked_at.is_some_and(|asked_at| now.saturating_sub(asked_at) < FLAG_MAX_AGE_MILLISECONDS)
        {
            return cached & 1 == 1;
        }
        let flag = ask();
        self.0.store(
            now.saturating_add(1) << 1 | u64::from(flag),
            Ordering::Relaxed,
        );
        flag
    }
}

fn unix_seconds(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0)
}

/// The time since the system started.
pub(crate) fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(unix_seconds(time), u32::try_from(time.tv_nsec).unwrap_or(0))
}

const FLAG_MAX_AGE_MILLISECONDS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_1970_reads_zero() {
        for seconds in [-1, i64::MIN] {
            assert_eq!(
                unix_seconds(Timespec {
                    tv_sec: seconds,
                    tv_nsec: 999_999_999
                }),
                0
            );
        }
        assert_eq!(
            unix_seconds(Timespec {
                tv_sec: 0,
                tv_nsec: 0
            }),
            0
        );
        assert_eq!(
            unix_seconds(Timespec {
                tv_sec: 1_700_000_000,
                tv_nsec: 0
            }),
            1_700_000_000
        );
    }

    #[test]
    fn the_flag_is_asked_once_a_second() {
        let flag = CachedFlag::default();
        let at = Duration::from_millis;
        assert!(flag.at(at(0), || true));
        assert!(flag.at(at(999), || unreachable!("asked again too early")));
        assert!(!flag.at(at(1_000), || false));
        assert!(!flag.at(at(1_999), || unreachable!("asked again too early")));
        assert!(flag.at(at(1_000 * 86_400 * 365 * 50), || true));
        assert!(flag.at(Duration::MAX, || true));
    }

    #[test]
    fn the_system_clock_agrees_with_the_standard_library_and_never_runs_back() {
        let clock = SystemClock::start();
        let before = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_secs();
        let first = clock.read();
        let second = clock.read();
        let after = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_secs();
        assert!((before..=after).contains(&first.unix_seconds));
        assert!(second.since_start >= first.since_start);
    }

    #[test]
    fn the_flag_is_what_the_kernel_says_in_the_same_second() {
        let asked = matches!(
            SystemClock::synchronization(),
            Ok(Synchronization::Synchronized { .. })
        );
        assert_eq!(SystemClock::start().read().synchronized, asked);
    }

    #[test]
    fn a_manual_clock_steps_without_moving_monotonic_time() {
        let clock = ManualClock::at(1_000);
        clock.advance(Duration::from_secs(5));
        clock.step_to(0);
        clock.set_synchronized(false);
        let five = Duration::from_secs(5);
        let expected = ClockReading {
            unix_seconds: 0,
            synchronized: false,
            since_start: five,
        };
        assert_eq!(clock.read(), expected);
    }
}
