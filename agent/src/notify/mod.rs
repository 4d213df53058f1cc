//! What the service manager is told (sd_notify(3)): ready, reloading, stopping, status, still
//! alive. Without `NOTIFY_SOCKET` in the environment all of it does nothing.

mod liveness;
mod turns;

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

pub use liveness::{Alive, Liveness, Pulse};
pub use turns::Turns;

use crate::log::Escaped;

/// Start is finished.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(&line(status))]);
}

/// The configuration is read again. [`ready`] must follow, whether the new one holds or the old.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "the monotonic clock cannot be read: reload is not announced"),
    }
}

/// The agent is about to end.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// One line for `systemctl status`.
pub fn status(status: &str) {
    send(&[NotifyState::Status(&line(status))]);
}

/// The watchdog that systemd set for this process (`WatchdogSec=`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Watchdog {
    timeout: Duration,
}

impl Watchdog {
    /// `None` if systemd set none, or set it for another process.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        sd_notify::watchdog_enabled()
            .filter(|timeout| !timeout.is_zero())
            .map(Self::new)
    }

    fn new(timeout: Duration) -> Self {
        Self { timeout }
    }

    /// How often each work loop must tick at least, and how often [`Watchdog::run`] looks: a
    /// quarter of the timeout, so that it is fed at half of it even when a tick just missed the
    /// look before.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.timeout.checked_div(4).unwrap_or(self.timeout)
    }

    /// Feeds the watchdog for as long as every registered loop turns. Never returns.
    pub async fn run(self, mut liveness: Liveness) {
        let mut looks = tokio::time::interval(self.period());
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut missed = 0_u32;
        loop {
            looks.tick().await;
            match liveness.look() {
                Alive::Yes => {
                    missed = 0;
                    send(&[NotifyState::Watchdog]);
                }
                Alive::No { standing } => {
                    missed = missed.saturating_add(1);
                    if missed == LOOKS_UNTIL_WARNING {
                        warn!(
                            loops = standing.join(","),
                            "the watchdog is not fed: work stands"
                        );
                    }
                }
            }
        }
    }
}

/// A newline would begin another message to the service manager.
fn line(status: &str) -> String {
    Escaped::new(status).to_string()
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "the service manager cannot be told");
    }
}

/// Two looks without a feed: half of the timeout is gone.
const LOOKS_UNTIL_WARNING: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_looks_twice_in_half_of_its_timeout() {
        assert_eq!(
            Watchdog::new(Duration::from_secs(60)).period(),
            Duration::from_secs(15)
        );
        assert!(!Watchdog::new(Duration::from_micros(4)).period().is_zero());
    }

    #[test]
    fn a_status_cannot_carry_a_second_message() {
        assert_eq!(line("fine\nWATCHDOG=1"), "fine\\nWATCHDOG=1");
    }
}
