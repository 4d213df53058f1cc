//! A token bucket for each caller. Pure: time is an argument.

use crate::config::Rate;
use std::collections::HashMap;
use std::time::Duration;

/// The buckets of all callers, in bounded memory.
#[derive(Debug, Default)]
pub struct Throttle {
    /// By uid: when its bucket will be full again (the form of a bucket in which time does the filling).
    full_at: HashMap<u32, Duration>,
}

/// The bucket is empty.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Throttled {
    /// Whole seconds, at least 1, until the next request is let in.
    pub retry_after_seconds: u64,
}

impl Throttle {
    /// Takes one request out of the bucket of `uid`.
    ///
    /// `now` is the time since any fixed moment, by a clock that never runs back.
    ///
    /// # Errors
    /// [`Throttled`] when the bucket is empty. What is refused costs nothing.
    pub fn take(&mut self, uid: u32, rate: Rate, now: Duration) -> Result<(), Throttled> {
        self.make_room(now);
        self.spend(uid, rate, now, 1, 1)
    }

    /// Takes the other elements of an array whose first one [`Throttle::take`] has paid for. An array
    /// of more than the bucket can hold is let in when the bucket was full, and paid for afterwards.
    ///
    /// # Errors
    /// [`Throttled`] when the bucket has too little for it.
    pub fn take_others(
        &mut self,
        uid: u32,
        rate: Rate,
        now: Duration,
        others: u32,
    ) -> Result<(), Throttled> {
        let there = others.min(rate.burst.max(1).saturating_sub(1));
        self.spend(uid, rate, now, others, there)
            .map_err(|mut throttled| {
                // whoever comes again pays for the first one again
                let first = 1_u64.div_ceil(u64::from(rate.requests_per_second.max(1)));
                throttled.retry_after_seconds = throttled.retry_after_seconds.saturating_add(first);
                throttled
            })
    }

    /// Takes `cost` out of a bucket in which `there` must be.
    fn spend(
        &mut self,
        uid: u32,
        rate: Rate,
        now: Duration,
        cost: u32,
        there: u32,
    ) -> Result<(), Throttled> {
        let interval = Duration::from_secs(1)
            .checked_div(rate.requests_per_second)
            .unwrap_or(Duration::MAX);
        let capacity = interval.saturating_mul(rate.burst.max(1));
        let full_at = self.full_at.get(&uid).copied().unwrap_or(now).max(now);
        let least = full_at.saturating_add(interval.saturating_mul(there));
        let allowed_until = now.saturating_add(capacity);
        if least > allowed_until {
            let wait = least.saturating_sub(allowed_until);
            let whole = wait
                .as_secs()
                .saturating_add(u64::from(wait.subsec_nanos() > 0));
            return Err(Throttled {
                retry_after_seconds: whole.max(1),
            });
        }
        let next = full_at.saturating_add(interval.saturating_mul(cost));
        self.full_at.insert(uid, next);
        Ok(())
    }

    /// A bucket that is full again says no more than one that never was.
    fn make_room(&mut self, now: Duration) {
        if self.full_at.len() >= MAX_BUCKETS {
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() >= MAX_BUCKETS {
            // More uids than any device has, all of them busy: start again rather than grow.
            self.full_at.clear();
        }
    }
}

const MAX_BUCKETS: usize = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use super::{MAX_BUCKETS, Throttle, Throttled};
    use crate::config::Rate;
    use std::time::Duration;

    const RATE: Rate = Rate {
        requests_per_second: 10,
        burst: 3,
    };

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut throttle = Throttle::default();
        for _ in 0..3 {
            assert_eq!(throttle.take(7, RATE, at(1_000)), Ok(()));
        }
        let refused = Err(Throttled {
            retry_after_seconds: 1,
        });
        assert_eq!(throttle.take(7, RATE, at(1_000)), refused);
        assert_eq!(throttle.take(7, RATE, at(1_099)), refused);
        assert_eq!(throttle.take(7, RATE, at(1_100)), Ok(()));
        assert_eq!(throttle.take(7, RATE, at(1_100)), refused);
        assert_eq!(
            (0..10)
                .filter(|_| throttle.take(7, RATE, at(9_000)).is_ok())
                .count(),
            3
        );
    }

    #[test]
    fn every_element_of_an_array_counts() {
        let array = |throttle: &mut Throttle, elements: u32, now| {
            throttle.take(7, RATE, now)?;
            throttle.take_others(7, RATE, now, elements - 1)
        };
        let mut throttle = Throttle::default();
        assert_eq!(array(&mut throttle, 2, at(0)), Ok(()));
        let refused = Err(Throttled {
            retry_after_seconds: 2,
        });
        assert_eq!(
            array(&mut throttle, 2, at(0)),
            refused,
            "one was left, and is paid"
        );
        assert!(throttle.take(7, RATE, at(99)).is_err());
        assert_eq!(array(&mut throttle, 2, at(2_000)), Ok(()), "as was told");
        // more than the bucket holds: only when it is full, and then the caller waits for all of it
        assert!(array(&mut throttle, 256, at(2_100)).is_err());
        assert_eq!(array(&mut throttle, 256, at(3_000)), Ok(()));
        assert!(throttle.take(7, RATE, at(3_000 + 25_300)).is_err());
        assert_eq!(throttle.take(7, RATE, at(3_000 + 25_400)), Ok(()));
        let one = Rate { burst: 1, ..RATE };
        assert_eq!(throttle.take_others(8, one, at(0), 255), Ok(()));
    }

    #[test]
    fn callers_do_not_empty_each_others_buckets() {
        let mut throttle = Throttle::default();
        while throttle.take(7, RATE, at(0)).is_ok() {}
        assert_eq!(throttle.take(8, RATE, at(0)), Ok(()));
    }

    #[test]
    fn the_wait_is_told_in_whole_seconds() {
        let slow = Rate {
            requests_per_second: 1,
            burst: 1,
        };
        let mut throttle = Throttle::default();
        assert!(throttle.take(7, slow, at(0)).is_ok());
        let wait = |milliseconds| {
            Throttle {
                full_at: throttle.full_at.clone(),
            }
            .take(7, slow, at(milliseconds))
            .map_err(|throttled| throttled.retry_after_seconds)
        };
        assert_eq!(wait(0), Err(1));
        assert_eq!(wait(999), Err(1));
        assert_eq!(wait(1_000), Ok(()));
    }

    #[test]
    fn memory_is_bounded_whatever_the_clock_does() {
        let mut throttle = Throttle::default();
        for uid in 0..10_000 {
            throttle.take(uid, RATE, at(5)).unwrap();
            assert!(throttle.full_at.len() <= MAX_BUCKETS);
        }
        assert!(throttle.take(1, RATE, at(0)).is_ok());
        assert!(throttle.take(1, RATE, Duration::MAX).is_ok());
    }
}
