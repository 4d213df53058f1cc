//! Whether the work loops turn. Pure: no clock, no system call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// All loops whose standstill must end the process.
#[derive(Debug, Default)]
pub struct Liveness {
    loops: Vec<Loop>,
}

/// One loop's handle. The loop calls [`Pulse::tick`] on every turn; an idle one wakes up to do so
/// once in the watchdog's period.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<AtomicU64>);

/// The result of a look at all loops.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Alive {
    /// Some loop did not tick since the last feed.
    No {
        /// The names of those loops.
        standing: Vec<&'static str>,
    },
    /// Every loop ticked since the last feed: feed.
    Yes,
}

#[derive(Debug)]
struct Loop {
    name: &'static str,
    ticks: Arc<AtomicU64>,
    at_last_feed: u64,
}

impl Liveness {
    /// Adds a loop. It must tick before the watchdog is fed for the next time.
    #[must_use]
    pub fn register(&mut self, name: &'static str) -> Pulse {
        let ticks = Arc::new(AtomicU64::new(0));
        self.loops.push(Loop {
            name,
            ticks: Arc::clone(&ticks),
            at_last_feed: 0,
        });
        Pulse(ticks)
    }

    /// Looks at all loops. [`Alive::Yes`] counts as a feed: each must tick again before the next.
    pub fn look(&mut self) -> Alive {
        let standing: Vec<&'static str> = self
            .loops
            .iter()
            .filter(|one| one.now() == one.at_last_feed)
            .map(|one| one.name)
            .collect();
        if !standing.is_empty() {
            return Alive::No { standing };
        }
        for one in &mut self.loops {
            one.at_last_feed = one.now();
        }
        Alive::Yes
    }
}

impl Pulse {
    /// The loop turned.
    pub fn tick(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Loop {
    fn now(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loop_must_tick_between_two_feeds() {
        let mut liveness = Liveness::default();
        let api = liveness.register("api");
        let store = liveness.register("store");
        assert_eq!(
            liveness.look(),
            Alive::No {
                standing: vec!["api", "store"]
            }
        );
        api.tick();
        assert_eq!(
            liveness.look(),
            Alive::No {
                standing: vec!["store"]
            }
        );
        store.tick();
        assert_eq!(liveness.look(), Alive::Yes);
        assert_eq!(
            liveness.look(),
            Alive::No {
                standing: vec!["api", "store"]
            }
        );
    }

    #[test]
    fn a_tick_before_a_look_that_fed_nothing_is_not_lost() {
        let mut liveness = Liveness::default();
        let api = liveness.register("api");
        let store = liveness.register("store");
        api.tick();
        assert_ne!(liveness.look(), Alive::Yes);
        store.tick();
        assert_eq!(liveness.look(), Alive::Yes);
    }

    #[test]
    fn many_ticks_of_one_loop_do_not_stand_for_another() {
        let mut liveness = Liveness::default();
        let api = liveness.register("api");
        let _store = liveness.register("store");
        (0..1_000).for_each(|_| api.tick());
        assert_eq!(
            liveness.look(),
            Alive::No {
                standing: vec!["store"]
            }
        );
    }

    #[test]
    fn a_loop_that_ended_counts_as_standing() {
        let mut liveness = Liveness::default();
        let api = liveness.register("api");
        api.tick();
        drop(api);
        assert_eq!(liveness.look(), Alive::Yes);
        assert_eq!(
            liveness.look(),
            Alive::No {
                standing: vec!["api"]
            }
        );
    }
}
