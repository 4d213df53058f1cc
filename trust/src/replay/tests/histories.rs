//! Long random histories, restarts in the middle. The generator is seeded: a failure comes again.

use super::{Disk, START, Token, at, kid, sweep};
use crate::replay::{Bounds, Past, ReplayMemory};
use crate::time::UnixTime;
use crate::token::{Kind, Stream, TokenId};
use std::collections::HashSet;

const HISTORY: Bounds = Bounds {
    consumers: 24,
    windows: 1000,
    statements: 1000,
};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(super) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// A sender that keeps its word: no id twice.
struct Sender {
    number: u32,
    epoch: u64,
    counters: [u64; 2],
}

impl Sender {
    fn new(number: u32) -> Self {
        Self {
            number,
            epoch: 1,
            counters: [0; 2],
        }
    }

    fn reboot(&mut self) {
        self.epoch += 1;
        self.counters = [0; 2];
    }

    fn send(&mut self, kind: Kind, stream: Stream, now: u64) -> Token {
        let counter = &mut self.counters[usize::from(stream.number())];
        *counter += 1;
        let id = TokenId {
            epoch: self.epoch,
            stream,
            counter: *counter,
        };
        let mut payload_hash = [0; 32];
        payload_hash[..8].copy_from_slice(&counter.to_be_bytes());
        Token {
            kid: kid(self.number),
            id,
            issued_at: now,
            now,
            payload_hash,
            topic: format!("site/{}", self.number),
            ..Token::new(kind, "0.0.0")
        }
    }
}

/// Who has accepted what; the moment of the last power loss.
struct World {
    random: Random,
    memory: ReplayMemory,
    disk: Disk,
    now: u64,
    accepted: HashSet<(String, u32, TokenId)>,
    by_anyone: HashSet<(u32, TokenId)>,
    strangers: u64,
    restarts: [u32; 3],
}

impl World {
    fn new(seed: u64) -> Self {
        let mut memory = ReplayMemory::new(HISTORY, Past::UnknownUntil(at(START)), at(START));
        memory.set_start(at(START));
        Self {
            random: Random(seed),
            memory,
            disk: Disk::default(),
            now: START + 11,
            accepted: HashSet::new(),
            by_anyone: HashSet::new(),
            strangers: 0,
            restarts: [0; 3],
        }
    }

    fn deliver(&mut self, token: &Token, number: u32) -> &'static str {
        let mut sighting = token.sighting();
        sighting.now.time = at(self.now);
        let verdict = match self.memory.judge(&sighting) {
            Ok(Ok(_)) => "accepted",
            Ok(Err(rejection)) => rejection.code(),
            Err(failure) => failure.code(),
        };
        self.disk.write(&mut self.memory);
        if verdict == "accepted" {
            let (name, id) = (token.consumer.to_string(), token.id);
            assert!(
                self.accepted.insert((name, number, id)),
                "twice: {} {id}",
                token.consumer
            );
            self.by_anyone.insert((number, id));
        }
        verdict
    }

    /// Kill, power loss, or a record damaged in between. Some processes end before their clock, which
    /// is wrong by up to an hour, is synchronized.
    fn restart(&mut self) {
        self.now += 1;
        let how = self.random.below(3);
        self.restarts[how] += 1;
        if self.random.one_in(2) {
            let shown = self.now + self.random.next() % 7200 - 3600;
            self.begin(how, at(shown));
            self.disk.write(&mut self.memory);
            self.now += 1;
            self.begin(0, at(self.now));
        } else {
            self.begin(how, at(self.now));
        }
        self.memory.set_start(at(self.now));
    }

    fn begin(&mut self, how: usize, start: UnixTime) {
        self.memory = match how {
            0 => ReplayMemory::restore(HISTORY, start, self.disk.0.iter().copied()).0,
            1 => ReplayMemory::new(HISTORY, Past::UnknownUntil(start), start),
            _ => {
                let slot = self.random.below(self.disk.0.len());
                self.disk.0[slot][0] ^= 0x80;
                ReplayMemory::restore(HISTORY, start, self.disk.0.iter().copied()).0
            }
        };
        self.disk = Disk::default();
    }
}

#[test]
fn of_a_million_replays_across_restarts_none_is_accepted_twice() {
    let mut world = World::new(1);
    let mut senders: Vec<_> = (0..20).map(Sender::new).collect();
    let consumers = ["panel", "pump", "logger", "connected-1"];
    let mut log: Vec<(Token, u32)> = Vec::new();
    let (mut replays, mut fresh) = (0, 0);
    while replays < 1_000_000 {
        for _ in 0..40 {
            let sender = world.random.below(senders.len());
            let sender = &mut senders[sender];
            if world.random.one_in(200) {
                sender.reboot();
            }
            let stream = [Stream::AtMostOnce, Stream::Reliable][world.random.below(2)];
            let skew = world.random.next() % 21;
            let mut token = sender.send(Kind::Message, stream, world.now + skew - 10);
            token.lifetime = 60;
            let number = sender.number;
            for consumer in consumers {
                if !world.random.one_in(5) {
                    let outcome = world.deliver(&token.for_consumer(consumer), number);
                    fresh += u32::from(outcome == "accepted");
                }
            }
            log.push((token, number));
        }
        for _ in 0..2000 {
            let recent = log.len().saturating_sub(1500);
            let from = if world.random.one_in(4) { 0 } else { recent };
            let pick = from + world.random.below(log.len() - from);
            let (token, number) = log[pick].clone();
            if world.random.one_in(200) {
                // a client id that was never seen
                world.strangers += 1;
                let known = world.by_anyone.contains(&(number, token.id));
                let token = token.for_consumer(&format!("x-{}", world.strangers));
                let outcome = world.deliver(&token, number);
                assert!(!(known && outcome == "accepted"), "{}", token.id);
            } else {
                let consumer = consumers[world.random.below(consumers.len())];
                world.deliver(&token.for_consumer(consumer), number);
            }
            replays += 1;
        }
        world.now += 1 + world.random.next() % 30;
        if world.random.one_in(3) {
            sweep(&mut world.memory, world.now, true);
        }
        if world.random.one_in(4) {
            world.restart();
        }
    }
    assert!(fresh > 20_000, "{fresh}");
    assert!(
        world.restarts.iter().all(|count| *count > 20),
        "{:?}",
        world.restarts
    );
    assert_eq!(world.memory.counts().clones, 0);
}

#[test]
fn an_honest_history_is_never_refused_and_proves_no_clone() {
    let mut world = World::new(2);
    let mut senders: Vec<_> = (0..8).map(Sender::new).collect();
    let consumers = ["panel", "pump", "logger"];
    for consumer in consumers {
        world
            .memory
            .introduce(&consumer.into(), at(world.now))
            .unwrap();
    }
    world.now += 1;
    let mut kills = 0;
    for round in 0..300 {
        world.now += 1;
        let mut queues: Vec<(Token, u32)> = Vec::new();
        for sender in &mut senders {
            // Up to 50 of a sender overtake each other, some from before a reboot. What a window
            // begins with is its oldest epoch, so nobody reboots in the first round.
            let reboot = world.random.below(60) + 60 * usize::from(round == 0);
            for step in 0..30 + world.random.below(20) {
                if step == reboot {
                    sender.reboot();
                }
                let stream = [Stream::AtMostOnce, Stream::Reliable][world.random.below(2)];
                let token = sender.send(Kind::Message, stream, world.now);
                queues.push((token, sender.number));
            }
        }
        for consumer in consumers {
            let mut queue = queues.clone();
            world.random.shuffle(&mut queue);
            for (token, number) in queue {
                let token = token.for_consumer(consumer);
                assert_eq!(
                    world.deliver(&token, number),
                    "accepted",
                    "{consumer} {}",
                    token.id
                );
            }
            if world.random.one_in(10) {
                kills += 1;
                world.memory =
                    ReplayMemory::restore(HISTORY, at(world.now), world.disk.0.iter().copied()).0;
                world.disk = Disk::default();
            }
        }
    }
    assert!(kills > 50);
    assert_eq!(world.memory.counts().clones, 0);
}

#[test]
fn honest_statements_and_wills_are_never_refused() {
    let mut world = World::new(3);
    let mut sender = Sender::new(1);
    for round in 0..2000 {
        world.now += 1;
        if world.random.one_in(10) {
            sender.reboot();
        }
        let will = sender.send(Kind::Will, Stream::Reliable, world.now);
        let online = sender.send(Kind::Retained, Stream::Reliable, world.now);
        let mut last = online.clone();
        last.retain = true;
        for _ in 0..1 + world.random.below(5) {
            assert!(last.judge(&mut world.memory).is_ok(), "{round}");
            if world.random.one_in(2) {
                let stream = [Stream::AtMostOnce, Stream::Reliable][world.random.below(2)];
                last = sender.send(Kind::Retained, stream, world.now);
            }
        }
        if world.random.one_in(2) {
            assert_eq!(will.outcome(&mut world.memory), "will", "{round}");
            let retained = Token {
                retain: true,
                ..will
            };
            for _ in 0..world.random.below(3) {
                assert_eq!(retained.outcome(&mut world.memory), "will", "{round}");
            }
        }
        if world.random.one_in(20) {
            world.disk.write(&mut world.memory);
            world.memory =
                ReplayMemory::restore(HISTORY, at(world.now), world.disk.0.iter().copied()).0;
            world.disk = Disk::default();
        }
    }
    assert_eq!(world.memory.counts().clones, 0);
}
