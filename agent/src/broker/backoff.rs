//! When an upstream that does not answer is tried again. Pure: time and chance are arguments.

use std::time::Duration;

/// What is known of one upstream's health, shared by all connections that lead there.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    /// Attempts since a broker answered last.
    failures: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// It answered, or was never tried.
    #[default]
    Fine,
    /// It is known to be away: nobody tries before this moment.
    Away { until: Duration },
    /// One tries whether it is back, since this moment; the others are told that it is away.
    Probed { since: Duration },
}

impl Backoff {
    /// Whether a connection may be tried now. After failures one at a time may.
    pub fn may_try(&mut self, now: Duration) -> bool {
        match self.state {
            State::Fine => true,
            State::Away { until } if now < until => false,
            State::Probed { since } if now.saturating_sub(since) < PROBE_GIVEN_UP => false,
            State::Away { .. } | State::Probed { .. } => {
                self.state = State::Probed { since: now };
                true
            }
        }
    }

    /// The broker answered a CONNECT, whatever it said.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// There was no connection, or it ended before a CONNACK. `chance` is any random number.
    pub fn failed(&mut self, now: Duration, chance: u32) {
        // Others that had begun before are no news.
        if let State::Away { until } = self.state
            && now < until
        {
            return;
        }
        let doublings = self.failures.min(DOUBLINGS);
        let longest = FIRST.saturating_mul(1 << doublings).min(LONGEST);
        let half = longest.checked_div(2).unwrap_or_default();
        let jitter = half.mul_f64(f64::from(chance) / f64::from(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        self.state = State::Away {
            until: now.saturating_add(half).saturating_add(jitter),
        };
    }

    /// The one that tried gave up before it knew.
    pub fn gave_up(&mut self, now: Duration) {
        if matches!(self.state, State::Probed { .. }) {
            self.state = State::Away { until: now };
        }
    }

    /// When it may be tried next; nothing where it is not known to be away.
    pub const fn away_until(&self) -> Option<Duration> {
        match self.state {
            State::Away { until } => Some(until),
            State::Probed { since } => Some(since),
            State::Fine => None,
        }
    }

    /// Attempts since a broker answered last.
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// Enough to pass the longest.
const DOUBLINGS: u32 = 6;
/// Longer than any connection attempt that is allowed.
const PROBE_GIVEN_UP: Duration = Duration::from_secs(310);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_half_a_second_first_and_never_more_than_half_a_minute() {
        let mut backoff = Backoff::default();
        let mut now = Duration::from_secs(100);
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert!(backoff.may_try(now));
            backoff.failed(now, u32::MAX);
            let until = backoff.away_until().unwrap();
            waits.push((until - now).as_millis());
            assert!(!backoff.may_try(until - Duration::from_millis(1)));
            now = until;
        }
        let expected = [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000];
        assert_eq!(waits, expected);
        backoff.answered();
        assert!(backoff.may_try(now));
        backoff.failed(now, 0);
        assert_eq!(backoff.away_until(), Some(now + Duration::from_millis(250)));
    }

    #[test]
    fn one_tries_for_all_and_failures_of_one_moment_count_once() {
        let mut backoff = Backoff::default();
        let now = Duration::from_secs(1);
        assert!(backoff.may_try(now) && backoff.may_try(now));
        backoff.failed(now, 0);
        backoff.failed(now, 0);
        assert_eq!(backoff.failures(), 1);
        let later = now + Duration::from_secs(1);
        assert!(backoff.may_try(later));
        assert!(!backoff.may_try(later), "another tries already");
        backoff.gave_up(later);
        assert!(backoff.may_try(later));
        assert!(!backoff.may_try(later + Duration::from_secs(309)));
        assert!(backoff.may_try(later + Duration::from_secs(310)));
    }
}
