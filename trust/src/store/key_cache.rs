//! Parsed keys in front of the index: bounded in number, forgotten whole when trust changes.

use crate::key::KeyId;
use crate::registry::PeerKey;
use std::collections::HashMap;
use std::sync::Arc;

/// The keys used lately. Room is made by the clock algorithm: the hand passes over a key that was
/// used since its last round once.
#[derive(Debug)]
pub(super) struct KeyCache {
    places: HashMap<KeyId, usize>,
    slots: Vec<Slot>,
    hand: usize,
    capacity: usize,
    generation: Generation,
}

/// Which trust data a key was read under.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Generation(u64);

#[derive(Debug)]
struct Slot {
    key: Arc<PeerKey>,
    used: bool,
}

impl KeyCache {
    /// An empty cache for up to `capacity` keys.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            places: HashMap::new(),
            slots: Vec::new(),
            hand: 0,
            capacity,
            generation: Generation(0),
        }
    }

    /// The key, if it is here; else the generation under which it is to be read and inserted.
    pub(super) fn lookup(&mut self, kid: KeyId) -> Result<Arc<PeerKey>, Generation> {
        let place = self.places.get(&kid).copied();
        match place.and_then(|place| self.slots.get_mut(place)) {
            Some(slot) => {
                slot.used = true;
                Ok(Arc::clone(&slot.key))
            }
            None => Err(self.generation),
        }
    }

    /// Keeps a key that was read under `generation`; one of an older generation is not kept.
    pub(super) fn insert(&mut self, generation: Generation, key: Arc<PeerKey>) {
        let kid = key.key.id();
        if generation != self.generation || self.places.contains_key(&kid) {
            return;
        }
        let slot = Slot { key, used: false };
        if self.slots.len() < self.capacity {
            self.places.insert(kid, self.slots.len());
            self.slots.push(slot);
            return;
        }
        let place = self.vacate();
        if let Some(vacant) = self.slots.get_mut(place) {
            self.places.remove(&vacant.key.key.id());
            self.places.insert(kid, place);
            *vacant = slot;
        }
    }

    /// Forgets every key, also those that are being read now: trust has changed.
    pub(super) fn invalidate(&mut self) {
        self.places.clear();
        self.slots.clear();
        self.hand = 0;
        self.generation = Generation(self.generation.0.wrapping_add(1));
    }

    /// The place of a key that was not used for a round. Ends within two rounds: each step clears
    /// a mark.
    fn vacate(&mut self) -> usize {
        loop {
            let place = self.hand;
            self.hand = place
                .saturating_add(1)
                .checked_rem(self.slots.len())
                .unwrap_or(0);
            match self.slots.get_mut(place) {
                Some(slot) if slot.used => slot.used = false,
                _ => return place,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::as_conversions)]

    use super::KeyCache;
    use crate::id::DeviceId;
    use crate::key::SigningKey;
    use crate::registry::{Device, DeviceState, KeyState, PeerKey};
    use crate::time::UnixTime;
    use std::sync::Arc;

    fn key(seed: u8) -> Arc<PeerKey> {
        let device = Device {
            id: DeviceId::parse("pump").unwrap(),
            state: DeviceState::Active,
            roles: [].into(),
            groups: [].into(),
        };
        Arc::new(PeerKey {
            key: SigningKey::from_seed(&[seed; 32]).public().clone(),
            state: KeyState::Active,
            not_before: UnixTime::default(),
            retired_at: None,
            device: Arc::new(device),
        })
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let mut cache = KeyCache::new(4);
        let favourite = key(0);
        let kid = favourite.key.id();
        let generation = cache.lookup(kid).unwrap_err();
        cache.insert(generation, favourite);
        for seed in 1..=100 {
            cache.lookup(kid).expect("used before each insertion");
            cache.insert(generation, key(seed));
            assert!(cache.slots.len() <= 4 && cache.places.len() == cache.slots.len());
        }
        cache.lookup(key(100).key.id()).expect("the newest");
        cache.lookup(key(1).key.id()).unwrap_err();
    }

    #[test]
    fn a_capacity_of_none_keeps_nothing() {
        let mut cache = KeyCache::new(0);
        let generation = cache.lookup(key(1).key.id()).unwrap_err();
        cache.insert(generation, key(1));
        cache.lookup(key(1).key.id()).unwrap_err();
    }

    #[test]
    fn a_key_read_before_trust_changed_is_not_kept() {
        let mut cache = KeyCache::new(4);
        let kid = key(1).key.id();
        let before = cache.lookup(kid).unwrap_err();
        cache.insert(before, key(1));
        cache.lookup(kid).unwrap();
        cache.invalidate();
        let after = cache.lookup(kid).unwrap_err();
        cache.insert(before, key(1));
        cache.lookup(kid).unwrap_err();
        cache.insert(after, key(1));
        cache.lookup(kid).unwrap();
    }
}
