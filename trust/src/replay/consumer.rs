//! The consumers of one receiver, and what each of them began with.

use super::ConsumerId;
use super::window::Newest;
use crate::key::KeyId;
use crate::time::UnixTime;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// All consumers. They are stored under the hash of their names, whose length nobody bounds.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    by_number: BTreeMap<u64, Consumer>,
    by_digest: HashMap<[u8; 32], u64>,
    by_name: HashMap<ConsumerId, u64>,
    last_number: u64,
}

/// One consumer.
#[derive(Debug)]
pub(super) struct Consumer {
    /// Its number: never used again while a record carries it.
    pub(super) number: u64,
    pub(super) digest: [u8; 32],
    pub(super) slot: u32,
    pub(super) created_at: UnixTime,
    /// When something was accepted in it last; its creation to begin with.
    pub(super) active_at: UnixTime,
    /// When the last token that its windows and wills remember expires.
    pub(super) expires_at: UnixTime,
    /// The newest counters that any consumer had accepted when it was created, sorted by key.
    pub(super) seeds: Box<[(KeyId, Newest)]>,
    pub(super) seed_slots: Vec<u32>,
}

/// A consumer that is still to be numbered.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) digest: [u8; 32],
    pub(super) number: u64,
}

impl Consumers {
    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.by_number.values()
    }

    pub(super) fn numbered(&self, number: u64) -> Option<&Consumer> {
        self.by_number.get(&number)
    }

    pub(super) fn numbered_mut(&mut self, number: u64) -> Option<&mut Consumer> {
        self.by_number.get_mut(&number)
    }

    /// The consumer of this name.
    pub(super) fn named(&self, name: &ConsumerId) -> Option<&Consumer> {
        let number = match self.by_name.get(name) {
            Some(number) => number,
            None => self.by_digest.get(&digest(name))?,
        };
        self.by_number.get(number)
    }

    /// The names that have been used since the start.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| &**name)
    }

    /// The name of a consumer, if it has been used since the start.
    pub(super) fn name(&self, number: u64) -> Option<&ConsumerId> {
        let mut names = self.by_name.iter();
        names
            .find(|(_, other)| **other == number)
            .map(|(name, _)| name)
    }

    /// The number of a consumer whose name is known from its hash at the most; else what a new one
    /// would get.
    pub(super) fn resolve(&mut self, name: &ConsumerId) -> Result<u64, Newcomer> {
        if let Some(number) = self.by_name.get(name) {
            return Ok(*number);
        }
        let digest = digest(name);
        match self.by_digest.get(&digest) {
            Some(number) => {
                self.by_name.insert(Arc::clone(name), *number);
                Ok(*number)
            }
            None => Err(Newcomer {
                digest,
                number: self.last_number.saturating_add(1),
            }),
        }
    }

    /// Adds a consumer; answers whether its number and name are new.
    pub(super) fn add(&mut self, consumer: Consumer) -> bool {
        let (number, digest) = (consumer.number, consumer.digest);
        if self.by_number.contains_key(&number) || self.by_digest.contains_key(&digest) {
            return false;
        }
        self.last_number = self.last_number.max(number);
        self.by_digest.insert(digest, number);
        self.by_number.insert(number, consumer);
        true
    }

    /// Keeps the number of a consumer that was just added under its name.
    pub(super) fn remember_name(&mut self, name: &ConsumerId, number: u64) {
        self.by_name.insert(Arc::clone(name), number);
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Consumer> {
        let consumer = self.by_number.remove(&number)?;
        self.by_digest.remove(&consumer.digest);
        self.by_name.retain(|_, other| *other != number);
        Some(consumer)
    }
}

impl Consumer {
    /// What it began with, for one key.
    pub(super) fn seed(&self, kid: KeyId) -> Option<&Newest> {
        let found = self
            .seeds
            .binary_search_by_key(&kid, |(kid, _)| *kid)
            .ok()?;
        self.seeds.get(found).map(|(_, newest)| newest)
    }

    /// Something was accepted in it that its windows remember until `expires_at`.
    pub(super) fn touch(&mut self, at: UnixTime, expires_at: UnixTime) {
        self.active_at = self.active_at.max(at);
        self.expires_at = self.expires_at.max(expires_at);
    }
}

fn digest(name: &ConsumerId) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}
