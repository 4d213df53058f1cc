//! Tests of the replay memory as a whole: tables of its rules, and long random histories.
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod bounds;
mod histories;
mod rules;
mod statements;
mod storage;
mod wills;

use super::{Accepted, Bounds, ConsumerId, Delivery, Past, Record, ReplayMemory, Sighting, Sweep};
use crate::clock::{ClockState, Now};
use crate::id::DeviceId;
use crate::key::KeyId;
use crate::time::UnixTime;
use crate::token::{Kind, TokenId};

const START: u64 = 1_000_000;

const BOUNDS: Bounds = Bounds {
    consumers: 16,
    windows: 256,
    statements: 10_000,
};

const fn at(seconds: u64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

/// What a test says of a token; the rest is usual.
#[derive(Clone)]
struct Token {
    token: String,
    consumer: ConsumerId,
    kid: KeyId,
    device: DeviceId,
    kind: Kind,
    id: TokenId,
    issued_at: u64,
    lifetime: u64,
    topic: String,
    payload_hash: [u8; 32],
    deletion: bool,
    retain: bool,
    command: bool,
    after_power_loss: bool,
    max_age_seconds: Option<u64>,
    now: u64,
}

impl Token {
    fn new(kind: Kind, id: &str) -> Self {
        Self {
            token: String::new(),
            consumer: "panel".into(),
            kid: kid(1),
            device: DeviceId::parse("sensor-1").unwrap(),
            kind,
            id: TokenId::parse(id).unwrap(),
            issued_at: START + 100,
            lifetime: 60,
            topic: "site/temp".into(),
            payload_hash: [0; 32],
            deletion: false,
            retain: false,
            command: false,
            after_power_loss: false,
            max_age_seconds: None,
            now: START + 100,
        }
    }

    fn message(id: &str) -> Self {
        Self::new(Kind::Message, id)
    }

    fn statement(id: &str) -> Self {
        Self::new(Kind::Retained, id)
    }

    fn will(id: &str) -> Self {
        Self::new(Kind::Will, id)
    }

    fn for_consumer(&self, name: &str) -> Self {
        Self {
            consumer: name.into(),
            ..self.clone()
        }
    }

    fn sighting(&self) -> Sighting<'_> {
        Sighting {
            token: &self.token,
            consumer: &self.consumer,
            kid: self.kid,
            device: &self.device,
            kind: self.kind,
            id: self.id,
            issued_at: at(self.issued_at),
            expires_at: at(self.issued_at + self.lifetime),
            topic: &self.topic,
            payload_hash: self.payload_hash,
            deletion: self.deletion,
            retain: self.retain,
            command: self.command,
            after_power_loss: self.after_power_loss,
            max_age_seconds: self.max_age_seconds,
            leeway_seconds: 10,
            now: Now {
                time: at(self.now),
                clock: ClockState::Synchronized,
                floor: at(0),
            },
        }
    }

    /// Judged, after `foresee` has said the same.
    fn judge(&self, memory: &mut ReplayMemory) -> Result<Accepted, &'static str> {
        let foreseen = memory.foresee(&self.sighting());
        let judged = memory.judge(&self.sighting());
        assert_eq!(foreseen, judged);
        match judged {
            Ok(Ok(accepted)) => Ok(accepted),
            Ok(Err(rejection)) => Err(rejection.code()),
            Err(failure) => Err(failure.code()),
        }
    }

    /// How it is delivered, or the code of the refusal.
    fn outcome(&self, memory: &mut ReplayMemory) -> &'static str {
        match self.judge(memory) {
            Ok(accepted) => accepted.delivery.as_str(),
            Err(code) => code,
        }
    }
}

fn kid(number: u32) -> KeyId {
    let mut octets = [0; 32];
    octets[..4].copy_from_slice(&number.to_be_bytes());
    KeyId::from_octets(octets)
}

/// A memory that knows its past.
fn memory() -> ReplayMemory {
    ReplayMemory::new(BOUNDS, Past::Known, at(START))
}

/// The file at the edge: the records that have been written.
#[derive(Clone, Default)]
struct Disk(Vec<Record>);

impl Disk {
    fn write(&mut self, memory: &mut ReplayMemory) {
        let written = memory.write_changes(|slot, record| {
            let slot = slot as usize;
            self.0.resize(self.0.len().max(slot + 1), [0; 512]);
            self.0[slot] = *record;
            Ok::<(), ()>(())
        });
        assert_eq!(written, Ok(()));
    }

    fn restore(&self, start: u64) -> ReplayMemory {
        let (memory, restoration) =
            ReplayMemory::restore(BOUNDS, at(start), self.0.iter().copied());
        assert_eq!(restoration.refused, 0);
        memory
    }
}

/// Kills the process behind a memory and starts another one.
fn restarted(memory: &mut ReplayMemory, start: u64) -> ReplayMemory {
    let mut disk = Disk::default();
    disk.write(memory);
    disk.restore(start)
}

fn sweep(memory: &mut ReplayMemory, now: u64, registry: bool) {
    memory.sweep(&Sweep {
        now: at(now),
        leeway_seconds: 10,
        in_use: &|name| name.starts_with("connected"),
        in_registry: &|_| registry,
    });
}
