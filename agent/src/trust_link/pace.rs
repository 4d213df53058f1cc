//! How often something may happen: some at once, then one in a while. Pure.

use std::time::Duration;

/// A bound on a rate.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    every: Duration,
    at_once: u32,
    /// When it would be as if nothing had happened.
    idle_at: Duration,
}

impl Pace {
    pub(crate) const fn new(every: Duration, at_once: u32) -> Self {
        Self {
            every,
            at_once,
            idle_at: Duration::ZERO,
        }
    }

    /// The same after what happened before, by an earlier [`Pace::idle_at`].
    pub(crate) const fn busy_until(self, idle_at: Duration) -> Self {
        Self { idle_at, ..self }
    }

    /// When it would be as if nothing had happened.
    pub(crate) const fn idle_at(&self) -> Duration {
        self.idle_at
    }

    /// Whether it may happen now; then it has.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        self.take_many(1, now)
    }

    /// The same for something that counts as `many`.
    pub(crate) fn take_many(&mut self, many: u32, now: Duration) -> bool {
        let cost = self.every.saturating_mul(many);
        let then = self.idle_at.max(now).saturating_add(cost);
        if then > now.saturating_add(self.burst()) {
            return false;
        }
        self.idle_at = then;
        true
    }

    /// When one may happen again.
    pub(crate) fn free_at(&self) -> Duration {
        let then = self.idle_at.saturating_add(self.every);
        then.saturating_sub(self.burst())
    }

    fn burst(&self) -> Duration {
        self.every.saturating_mul(self.at_once)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_happen_at_once_and_then_one_in_a_while() {
        let mut pace = Pace::new(Duration::from_secs(10), 2);
        let at = Duration::from_secs;
        assert!(pace.take(at(100)) && pace.take(at(100)) && !pace.take(at(101)));
        assert_eq!(pace.free_at(), at(110));
        assert!(!pace.take(at(109)) && pace.take(at(110)) && !pace.take(at(110)));
        assert!(!pace.take_many(3, at(500)) && pace.take_many(2, at(500)));
    }
}
