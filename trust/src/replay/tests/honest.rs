//! Many short histories of one honest device, and of one that was copied. A failure names its
//! history, which comes again:
//!
//! `EDGESEAL_HISTORIES=1000000 cargo test --release -p edgeseal-trust --lib replay::tests::honest`
#![allow(clippy::disallowed_methods)] // the number of histories comes from the environment

use super::histories::Random;
use super::{Disk, START, Token, at, kid};
use crate::replay::{Bounds, Past, ReplayMemory};
use crate::token::{Kind, Stream, TokenId};

const BOUNDS: Bounds = Bounds {
    consumers: 16,
    windows: 200,
    statements: 100,
};

/// A device that keeps its word: no id twice for two contents, no epoch twice.
#[derive(Clone)]
struct Device {
    number: u32,
    epoch: u64,
    counters: [u64; 2],
    clock: u64,
    /// What it signed in this epoch: it may have to sign it anew.
    outbox: Vec<Token>,
}

impl Device {
    fn new() -> Self {
        Self {
            number: 1,
            epoch: 1,
            counters: [0; 2],
            clock: START + 1000,
            outbox: Vec::new(),
        }
    }

    fn sign(&mut self, random: &mut Random) -> Token {
        let kind = [Kind::Message, Kind::Message, Kind::Retained, Kind::Will][random.below(4)];
        let stream = [Stream::AtMostOnce, Stream::Reliable][random.below(2)];
        let counter = &mut self.counters[usize::from(stream.number())];
        *counter += 1 + random.next() % 3; // what it signed for others
        let id = TokenId {
            epoch: self.epoch,
            stream,
            counter: *counter,
        };
        let mut payload_hash = [0; 32];
        payload_hash[..8].copy_from_slice(&random.next().to_be_bytes());
        let deletion = kind == Kind::Message && random.one_in(8);
        let token = Token {
            token: format!("{id}/{}", self.clock),
            kid: kid(self.number),
            id,
            issued_at: self.clock,
            lifetime: 600,
            topic: format!("site/{}", random.below(3)),
            payload_hash,
            deletion,
            retain: deletion || random.one_in(3),
            ..Token::new(kind, "0.0.0")
        };
        self.outbox.push(token.clone());
        token
    }

    /// The same publish again: a later `iat`, the same `jti`.
    fn sign_anew(&self, random: &mut Random) -> Option<Token> {
        let lost = self.outbox.len().checked_sub(1)?;
        let token = &self.outbox[lost - random.below(lost + 1)];
        Some(Token {
            token: format!("{}/{}", token.id, self.clock),
            issued_at: self.clock,
            ..token.clone()
        })
    }

    fn reboot(&mut self, random: &mut Random) {
        // with a lost state file the epoch goes on far above
        self.epoch += if random.one_in(10) { 1000 } else { 1 };
        self.counters = [0; 2];
        self.outbox.clear();
    }

    fn rotate(&mut self) {
        self.number += 1;
        self.epoch += 1;
        self.outbox.clear();
    }
}

/// What one history came to.
#[derive(Default)]
struct Outcome {
    judged: u64,
    accepted: u64,
    alarms: u64,
    notices: usize,
    /// The device's clock was set back.
    stepped: bool,
}

/// One receiver and one broker that holds back what it likes and sends again what it likes.
struct History {
    random: Random,
    memory: ReplayMemory,
    now: u64,
    /// For each consumer what the broker has.
    queues: Vec<(&'static str, Vec<Token>)>,
    outcome: Outcome,
}

impl History {
    fn new(number: u64) -> Self {
        let consumers = ["panel", "pump", "logger"];
        let mut random = Random(number);
        let count = 1 + random.below(consumers.len());
        Self {
            memory: ReplayMemory::new(BOUNDS, Past::Known, at(START)),
            now: START + 1000,
            queues: consumers[..count]
                .iter()
                .map(|name| (*name, Vec::new()))
                .collect(),
            outcome: Outcome::default(),
            random,
        }
    }

    /// Lives for a while, with a copy of the device from the middle on.
    fn live(mut self, copied: bool) -> Outcome {
        let mut device = Device::new();
        let mut copy = None;
        let steps = 12 + self.random.below(12);
        for step in 0..steps {
            self.act(&mut device);
            if step == steps / 2 && copied {
                copy = Some(device.clone());
            }
            if let Some(copy) = &mut copy {
                copy.clock = device.clock;
                let token = copy.sign(&mut self.random);
                self.publish(&token);
            }
            self.deliver();
        }
        for _ in 0..20 {
            self.deliver(); // what is still on its way
        }
        self.outcome
    }

    fn act(&mut self, device: &mut Device) {
        let random = &mut self.random;
        let passed = random.next() % 30;
        device.clock += passed;
        self.now += passed;
        let token = match random.below(16) {
            0 => return device.reboot(random),
            1 if random.one_in(3) => return device.rotate(),
            2 => {
                let step = random.next() % 900;
                let back = random.one_in(2);
                self.outcome.stepped |= back;
                device.clock = match back {
                    true => device.clock - step,
                    false => device.clock + step,
                };
                return;
            }
            3 => return self.restart(),
            4..7 => device.sign_anew(random),
            _ => Some(device.sign(random)),
        };
        if let Some(token) = token {
            self.publish(&token);
        }
    }

    fn publish(&mut self, token: &Token) {
        for (_, queue) in &mut self.queues {
            queue.push(token.clone());
        }
    }

    /// The receiver is killed and finds its file, or does not.
    fn restart(&mut self) {
        let mut disk = Disk::default();
        disk.write(&mut self.memory);
        let start = at(self.now);
        self.memory = match self.random.one_in(3) {
            true => ReplayMemory::new(BOUNDS, Past::UnknownUntil(start), start),
            false => ReplayMemory::restore(BOUNDS, start, disk.0).0,
        };
        self.memory.set_start(start);
    }

    fn deliver(&mut self) {
        for place in 0..self.queues.len() {
            for _ in 0..self.random.below(4) {
                let (consumer, queue) = &mut self.queues[place];
                if queue.is_empty() {
                    break;
                }
                let pick = self.random.below(queue.len());
                let token = match self.random.one_in(4) {
                    true => queue[pick].clone(), // and again later
                    false => queue.remove(pick),
                };
                let token = token.for_consumer(consumer);
                self.judge(&token);
            }
        }
    }

    fn judge(&mut self, token: &Token) {
        let mut sighting = token.sighting();
        sighting.now.time = at(self.now);
        let judged = self.memory.judge(&sighting).unwrap();
        self.outcome.judged += 1;
        let alarm = matches!(&judged, Err(why) if why.code() == "clone-proven");
        self.outcome.accepted += u64::from(judged.is_ok());
        self.outcome.alarms += u64::from(alarm);
        let proof = self.memory.take_clone_proof();
        assert_eq!(proof.is_some(), alarm);
        if let Some([one, other]) = proof.and_then(|proof| proof.tokens) {
            assert_eq!(other, token.token);
            assert_eq!(
                one.split_once('/').map(|(id, _)| id),
                Some(&*token.id.to_string())
            );
        }
        self.outcome.notices += self.memory.take_notices().len();
    }
}

#[test]
fn an_honest_device_raises_no_alarm() {
    let count = match std::env::var("EDGESEAL_HISTORIES") {
        Ok(text) => text.parse().expect("EDGESEAL_HISTORIES is a number"),
        Err(_) => 3_000,
    };
    let (mut judged, mut accepted, mut notices) = (0, 0, 0);
    for number in 0..count {
        let outcome = History::new(number).live(false);
        assert_eq!(outcome.alarms, 0, "history {number}");
        if !outcome.stepped {
            assert_eq!(outcome.notices, 0, "history {number}");
        }
        judged += outcome.judged;
        accepted += outcome.accepted;
        notices += outcome.notices;
    }
    assert!(
        accepted > count * 10 && judged > accepted,
        "{accepted} of {judged}"
    );
    println!("{count} histories, {judged} judged, {accepted} accepted, {notices} notices");
}

/// That the histories could show an alarm at all. Where the counters of both never meet, there is none.
#[test]
fn a_copied_device_does() {
    let proven = (0..1_000).filter(|number| History::new(*number).live(true).alarms > 0);
    let proven = proven.count();
    assert!(proven > 600, "{proven}");
}
