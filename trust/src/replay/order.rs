//! The order of retained statements: per consumer, sender and topic, the newest one. In memory
//! only, and bounded: it starts empty, and then an older statement cannot be told.

use crate::id::DeviceId;
use crate::key::KeyId;
use crate::limits;
use crate::time::UnixTime;
use crate::token::TokenId;
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

/// The newest statements of all senders.
#[derive(Debug)]
pub(super) struct Order {
    senders: HashMap<(u64, DeviceId), Sender>,
    statements: usize,
    limit: usize,
    /// Counts what was remembered: the lowest stamp of a sender is its oldest statement.
    stamp: u64,
}

/// A statement, as far as its place in the order goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement<'a> {
    pub(super) consumer: u64,
    pub(super) device: &'a DeviceId,
    pub(super) topic: &'a str,
    pub(super) kid: KeyId,
    pub(super) id: TokenId,
    pub(super) issued_at: UnixTime,
}

/// Where a statement falls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// The newest one itself: every SUBSCRIBE sends it again.
    Equal,
    /// A newer one is remembered.
    Lower,
    /// Newer than the newest.
    Newer,
    /// Nothing is remembered of this sender on this topic.
    Unknown,
}

#[derive(Debug, Default)]
struct Sender {
    topics: HashMap<TopicHash, Newest>,
    oldest_first: BTreeMap<u64, TopicHash>,
}

#[derive(Debug)]
struct Newest {
    stamp: u64,
    kid: KeyId,
    id: TokenId,
    issued_at: UnixTime,
    /// Newest counter of the other stream in the same epoch: the streams count apart.
    other_stream: Option<u64>,
    /// A will that was accepted after this statement.
    will: Option<(KeyId, TokenId)>,
}

/// A sender that found two topics with one hash would confuse its own statements only.
type TopicHash = [u8; 16];

impl Order {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            senders: HashMap::new(),
            statements: 0,
            limit,
            stamp: 0,
        }
    }

    /// How many statements are remembered.
    pub(super) fn len(&self) -> usize {
        self.statements
    }

    /// Where a statement falls.
    pub(super) fn place(&self, statement: &Statement<'_>) -> Place {
        self.find(statement)
            .map_or(Place::Unknown, |newest| newest.place(statement))
    }

    /// Whether a will that was accepted before is still the last word of its sender on its topic.
    pub(super) fn will_stands(&self, will: &Statement<'_>) -> bool {
        self.find(will).is_none_or(|newest| {
            newest.will == Some((will.kid, will.id)) || newest.place(will) == Place::Newer
        })
    }

    /// Remembers an accepted statement, at the cost of the oldest where a bound is reached.
    pub(super) fn remember(&mut self, statement: &Statement<'_>) {
        let key = (statement.consumer, statement.device.clone());
        let topic = hash(statement.topic);
        let known = self
            .senders
            .get(&key)
            .is_some_and(|sender| sender.topics.contains_key(&topic));
        if !known {
            self.make_room(&key);
            self.statements = self.statements.saturating_add(1);
        }
        self.stamp = self.stamp.saturating_add(1);
        let sender = self.senders.entry(key).or_default();
        let newest = match sender.topics.remove(&topic) {
            Some(newest) => {
                sender.oldest_first.remove(&newest.stamp);
                newest.followed_by(statement, self.stamp)
            }
            None => Newest::first(statement, self.stamp),
        };
        sender.topics.insert(topic, newest);
        sender.oldest_first.insert(self.stamp, topic);
    }

    /// Remembers that a will was accepted after the newest statement.
    pub(super) fn remember_will(&mut self, will: &Statement<'_>) {
        let key = (will.consumer, will.device.clone());
        if let Some(sender) = self.senders.get_mut(&key)
            && let Some(newest) = sender.topics.get_mut(&hash(will.topic))
        {
            newest.will = Some((will.kid, will.id));
        }
    }

    /// Forgets what a consumer that is dropped has seen.
    pub(super) fn forget_consumer(&mut self, consumer: u64) {
        self.senders.retain(|(number, _), _| *number != consumer);
        let left = self.senders.values().map(|sender| sender.topics.len());
        self.statements = left.fold(0, usize::saturating_add);
    }

    fn find(&self, statement: &Statement<'_>) -> Option<&Newest> {
        let key = (statement.consumer, statement.device.clone());
        self.senders.get(&key)?.topics.get(&hash(statement.topic))
    }

    /// A sender at its own bound gives up its oldest; at the bound of all, the sender that
    /// occupies most does, so that nobody drives the others out.
    fn make_room(&mut self, key: &(u64, DeviceId)) {
        let full = |sender: &Sender| sender.topics.len() >= limits::STATEMENT_TOPICS;
        let giver = if self.senders.get(key).is_some_and(full) {
            Some(key.clone())
        } else if self.statements >= self.limit {
            let largest = self
                .senders
                .iter()
                .max_by_key(|(_, sender)| sender.topics.len());
            largest.map(|(key, _)| key.clone())
        } else {
            None
        };
        let Some(giver) = giver else { return };
        if let Some(sender) = self.senders.get_mut(&giver) {
            if let Some((_, topic)) = sender.oldest_first.pop_first() {
                sender.topics.remove(&topic);
                self.statements = self.statements.saturating_sub(1);
            }
            if sender.topics.is_empty() {
                self.senders.remove(&giver);
            }
        }
    }
}

impl Newest {
    fn first(statement: &Statement<'_>, stamp: u64) -> Self {
        Self {
            stamp,
            kid: statement.kid,
            id: statement.id,
            issued_at: statement.issued_at,
            other_stream: None,
            will: None,
        }
    }

    fn followed_by(self, statement: &Statement<'_>, stamp: u64) -> Self {
        if (self.kid, self.id) == (statement.kid, statement.id) {
            return Self { stamp, ..self };
        }
        let same_epoch = self.kid == statement.kid && self.id.epoch == statement.id.epoch;
        let other_stream = match same_epoch {
            true if self.id.stream == statement.id.stream => self.other_stream,
            true => Some(self.id.counter),
            false => None,
        };
        Self {
            other_stream,
            ..Self::first(statement, stamp)
        }
    }

    /// By (epoch, counter) within a key; by `iat` between keys, and between the two streams of an
    /// epoch, whose counters say nothing of each other.
    fn place(&self, statement: &Statement<'_>) -> Place {
        let id = statement.id;
        let by_time = match statement.issued_at < self.issued_at {
            true => Place::Lower,
            false => Place::Newer,
        };
        if statement.kid != self.kid {
            return by_time;
        }
        match id.epoch.cmp(&self.id.epoch) {
            Ordering::Greater => Place::Newer,
            Ordering::Less => Place::Lower,
            Ordering::Equal if id.stream == self.id.stream => {
                match id.counter.cmp(&self.id.counter) {
                    Ordering::Greater => Place::Newer,
                    Ordering::Less => Place::Lower,
                    Ordering::Equal => Place::Equal,
                }
            }
            Ordering::Equal if self.other_stream.is_some_and(|seen| id.counter <= seen) => {
                Place::Lower
            }
            Ordering::Equal => by_time,
        }
    }
}

fn hash(topic: &str) -> TopicHash {
    let digest: [u8; 32] = Sha256::digest(topic).into();
    let [hash @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
    hash
}
