//! What the gateway counts: plain numbers, by listener and rule.
//!
//! Labels are listeners, rules and codes: words of the configuration and of this program, never of a
//! peer. Their number is bounded even if the configuration is read anew all day.

use std::collections::BTreeMap;
use std::time::Duration;

/// Counts of all listeners.
#[derive(Clone, Debug, Default)]
pub struct GatewayCounts {
    listeners: Series<ListenerCounts>,
    /// How long verifications took.
    pub verification: Histogram,
}

/// Counts of one listener.
#[derive(Clone, Debug, Default)]
pub struct ListenerCounts {
    /// Connections that were let in (CONNACK 0).
    pub connected: u64,
    /// CONNECTs and connections that were refused, by code.
    pub refused: BTreeMap<&'static str, u64>,
    /// Connections that the gateway ended, by code.
    pub closed: BTreeMap<&'static str, u64>,
    /// PUBLISHes of a program that had to wait for the broker's Receive Maximum.
    pub parked: u64,
    /// QoS 0 messages dropped because the program did not read.
    pub dropped_qos0: u64,
    /// Packets of the program that were too large, and were thrown away.
    pub oversized_local: u64,
    /// Packets of the broker that were too large, and were thrown away.
    pub oversized_upstream: u64,
    /// Times that this device was in no state to judge, by code.
    pub failed: BTreeMap<&'static str, u64>,
    /// SUBSCRIBE filters that were refused, by code.
    pub filters_refused: BTreeMap<&'static str, u64>,
    rules: Series<RuleCounts>,
}

/// Counts of one rule on one listener.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RuleCounts {
    /// Messages of programs that were signed and sent on.
    pub signed: u64,
    /// Messages of programs that were sent on as they are, as the rule says.
    pub passed: u64,
    /// Messages of programs that were sent on unsigned under a rule that observes, by code.
    pub unsigned: BTreeMap<&'static str, u64>,
    /// Messages of programs that were not sent on, by code.
    pub refused: BTreeMap<&'static str, u64>,
    /// Messages handed to programs.
    pub delivered: u64,
    /// Messages handed to programs that `enforce` would have rejected, by code.
    pub observed: BTreeMap<&'static str, u64>,
    /// Messages not handed to programs, by code.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Times that this device was in no state to sign or to judge, by code.
    pub failed: BTreeMap<&'static str, u64>,
}

/// Something by name, within a number of names; what has no room is counted together.
#[derive(Clone, Debug, Default)]
struct Series<T> {
    named: BTreeMap<String, T>,
    other: T,
    has_other: bool,
}

/// How often something took how long.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Histogram {
    counts: [u64; BUCKETS.len()],
    slower: u64,
    total: Duration,
}

impl GatewayCounts {
    /// The counts of a listener.
    pub fn listener(&mut self, name: &str) -> &mut ListenerCounts {
        self.listeners.of(name)
    }

    /// All listeners that anything was counted for.
    pub fn listeners(&self) -> impl Iterator<Item = (&str, &ListenerCounts)> {
        self.listeners.iter()
    }
}

impl ListenerCounts {
    /// The counts of a rule.
    pub fn rule(&mut self, name: &str) -> &mut RuleCounts {
        self.rules.of(name)
    }

    /// All rules that anything was counted for.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &RuleCounts)> {
        self.rules.iter()
    }
}

impl Histogram {
    /// Counts one that took this long.
    pub fn record(&mut self, took: Duration) {
        let slot = BUCKETS.iter().zip(&mut self.counts);
        match slot.into_iter().find(|(limit, _)| took <= **limit) {
            Some((_, count)) => add(count),
            None => add(&mut self.slower),
        }
        self.total = self.total.saturating_add(took);
    }

    /// For each limit, how many took at most as long.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        let sums = self.counts.iter().scan(0_u64, |sum, count| {
            *sum = sum.saturating_add(*count);
            Some(*sum)
        });
        BUCKETS.into_iter().zip(sums)
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        let within = self.counts.iter().copied();
        within.fold(self.slower, u64::saturating_add)
    }

    /// How long all of them took together.
    #[must_use]
    pub const fn total(&self) -> Duration {
        self.total
    }
}

/// One more.
pub fn add(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

/// One more of this code.
pub fn add_code(table: &mut BTreeMap<&'static str, u64>, code: &'static str) {
    add(table.entry(code).or_default());
}

impl<T: Default> Series<T> {
    fn of(&mut self, name: &str) -> &mut T {
        if self.named.len() < NAMES && !self.named.contains_key(name) {
            self.named.insert(name.to_owned(), T::default());
        }
        match self.named.get_mut(name) {
            Some(counts) => counts,
            None => {
                self.has_other = true;
                &mut self.other
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        let named = self.named.iter().map(|(name, of)| (name.as_str(), of));
        named.chain(self.has_other.then_some((OTHER, &self.other)))
    }
}

const NAMES: usize = 256;
const OTHER: &str = "other";
/// A verification takes some 100 microseconds on the boards that this is made for.
const BUCKETS: [Duration; 9] = [
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_nothing_is_lost() {
        let mut counts = GatewayCounts::default();
        for each in 0..1000 {
            add(&mut counts.listener("apps").rule(&format!("rule {each}")).signed);
        }
        let apps = counts.listener("apps");
        assert_eq!(apps.rules().count(), NAMES + 1);
        assert_eq!(apps.rules().map(|(_, rule)| rule.signed).sum::<u64>(), 1000);
        add(&mut apps.rule("rule 7").signed);
        assert_eq!(apps.rule("rule 7").signed, 2);
    }

    #[test]
    fn a_histogram_counts_each_once_and_sums_up() {
        let mut histogram = Histogram::default();
        for micros in [1, 50, 51, 400, 60_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let counts: Vec<u64> = histogram.cumulative().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 3, 3, 4, 4, 4, 4, 4, 4]);
        assert_eq!(histogram.count(), 5);
        assert_eq!(histogram.total(), Duration::from_micros(60_502));
    }
}
