//! What a memory may forget: only what cannot be accepted again.

use super::memory::{Key, ReplayMemory};
use super::wills::SpentWills;
use super::{Bounds, ConsumerId};
use crate::key::KeyId;
use crate::limits;
use crate::time::UnixTime;

/// What decides on what may be forgotten.
#[derive(Clone, Copy)]
pub struct Sweep<'a> {
    /// Now, on a clock that counts.
    pub now: UnixTime,
    /// Tolerance for clock error, in seconds.
    pub leeway_seconds: u64,
    /// Whether a consumer is in use although nothing is accepted in it just now.
    pub in_use: &'a dyn Fn(&ConsumerId) -> bool,
    /// Whether the registry still knows a key.
    pub in_registry: &'a dyn Fn(KeyId) -> bool,
}

impl ReplayMemory {
    /// Forgets, once all that was accepted in them has expired, plus twice the leeway: consumers
    /// that are not in use and have been idle for the longest lifetime of a message, or for less
    /// while more than three quarters of a bound are taken, the longest idle first; wills; and the
    /// windows of keys that the registry does not know any more. A consumer that comes back begins
    /// with the newest counters, as a new one does: it gains nothing.
    pub fn sweep(&mut self, sweep: &Sweep<'_>) {
        self.drop_consumers(sweep);
        self.drop_wills(sweep);
        self.drop_keys(sweep);
    }

    fn drop_consumers(&mut self, sweep: &Sweep<'_>) {
        let mut idle: Vec<_> = self
            .consumers
            .iter()
            .filter(|consumer| {
                let young = consumer.created_at.plus(limits::MESSAGE_LIFETIME_SECONDS);
                sweep.is_over(consumer.expires_at.max(young))
            })
            .filter(|consumer| {
                let name = self.consumers.name(consumer.number);
                !name.is_some_and(|name| (sweep.in_use)(name))
            })
            .map(|consumer| (consumer.active_at, consumer.number))
            .collect();
        idle.sort_unstable();
        for (active_at, number) in idle {
            if sweep.is_idle(active_at) || self.is_crowded() {
                self.drop_consumer(number);
            }
        }
    }

    fn is_crowded(&self) -> bool {
        let Bounds {
            consumers, windows, ..
        } = self.bounds;
        let crowded =
            |count: usize, bound: usize| count.saturating_mul(4) > bound.saturating_mul(3);
        crowded(self.consumers.len(), consumers) || crowded(self.slots.windows(), windows)
    }

    /// The keys are written first: they keep the newest counters. Then what belongs to the
    /// consumer, and the consumer itself at last.
    fn drop_consumer(&mut self, number: u64) {
        let mut dropped = Vec::new();
        self.windows.retain(|(owner, kid), placed| {
            if *owner == number {
                dropped.push(placed.slot);
                self.keys
                    .get(kid)
                    .into_iter()
                    .for_each(|key| self.slots.change(key.slot));
            }
            *owner != number
        });
        self.wills.retain(|(owner, _), wills| {
            if *owner == number {
                dropped.append(&mut wills.slots);
            }
            *owner != number
        });
        self.order.forget_consumer(number);
        if let Some(consumer) = self.consumers.remove(number) {
            dropped.extend(consumer.seed_slots);
            dropped.push(consumer.slot);
        }
        dropped
            .into_iter()
            .for_each(|slot| self.slots.release(slot));
    }

    fn drop_wills(&mut self, sweep: &Sweep<'_>) {
        let (keys, slots) = (&self.keys, &mut self.slots);
        let over = |kid: &KeyId, wills: &SpentWills| {
            let superseded = keys.get(kid).is_some_and(|key| key.epoch > wills.epoch);
            superseded || sweep.is_over(wills.expires_at)
        };
        self.wills.retain(|(_, kid), wills| {
            let over = over(kid, wills);
            if over {
                wills.slots.drain(..).for_each(|slot| slots.release(slot));
            }
            !over
        });
    }

    fn drop_keys(&mut self, sweep: &Sweep<'_>) {
        let over = |kid: KeyId, key: &Key| {
            sweep.is_over(key.expires_at)
                && sweep.is_idle(key.last_accepted)
                && !(sweep.in_registry)(kid)
        };
        let (keys, slots) = (&self.keys, &mut self.slots);
        self.windows.retain(|(_, kid), placed| {
            let over = keys.get(kid).is_none_or(|key| over(*kid, key));
            if over {
                slots.release(placed.slot);
            }
            !over
        });
        self.keys.retain(|kid, key| {
            let over = over(*kid, key);
            if over {
                slots.release(key.slot);
            }
            !over
        });
    }
}

impl Sweep<'_> {
    fn is_over(&self, expires_at: UnixTime) -> bool {
        self.now > expires_at.plus(self.leeway_seconds.saturating_mul(2))
    }

    /// Whether every message and will of that time has expired.
    fn is_idle(&self, last: UnixTime) -> bool {
        self.is_over(last.plus(limits::MESSAGE_LIFETIME_CEILING_SECONDS))
    }
}
