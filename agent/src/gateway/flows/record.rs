//! An incoming flow as octets.

use crate::gateway::message::{FirstVerdict, MessageHash, VerdictWord};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::limits::NAME_OCTETS;
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::time::UnixTime;
use sha2::{Digest, Sha256};

/// Octets of a record.
pub const FLOW_RECORD_OCTETS: usize = 160;
/// A stored record; all zero where the slot is free.
pub type FlowRecord = [u8; FLOW_RECORD_OCTETS];

/// A consumer by the hash of its name, whose length nobody bounds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct ConsumerHash([u8; 32]);

/// A flow with its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Flow {
    pub(super) consumer: ConsumerHash,
    pub(super) packet_id: u16,
    pub(super) first: FirstVerdict,
}

/// What a slot holds.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Slot {
    /// Not a record that was written as a whole.
    Damaged,
    Flow(Flow),
    Free,
}

/// A slot that holds nothing.
pub(super) const FREE: FlowRecord = [0; FLOW_RECORD_OCTETS];

impl From<&ConsumerId> for ConsumerHash {
    fn from(consumer: &ConsumerId) -> Self {
        Self(Sha256::digest(consumer.as_bytes()).into())
    }
}

impl Flow {
    pub(super) fn encode(&self) -> FlowRecord {
        let FirstVerdict {
            hash,
            sender,
            word,
            retain,
            exactly_once,
            issued_at,
            ..
        } = &self.first;
        let name = sender.as_str().as_bytes();
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let fields: [&[u8]; 9] = [
            &[USED],
            &self.consumer.0,
            &self.packet_id.to_be_bytes(),
            hash.octets(),
            &issued_at.seconds().to_be_bytes(),
            &[number(*word)],
            &[u8::from(*retain) | (u8::from(*exactly_once) << 1)],
            &[length],
            name,
        ];
        let mut record = FREE;
        let (body, sum) = record.split_at_mut(BODY_OCTETS);
        let octets = fields.into_iter().flatten();
        body.iter_mut()
            .zip(octets)
            .for_each(|(to, from)| *to = *from);
        sum.copy_from_slice(&crc32fast::hash(body).to_be_bytes());
        record
    }
}

impl Slot {
    pub(super) fn decode(record: &FlowRecord) -> Self {
        if *record == FREE {
            return Self::Free;
        }
        let (body, sum) = record.split_at(BODY_OCTETS);
        if crc32fast::hash(body).to_be_bytes() != *sum {
            return Self::Damaged;
        }
        read(body).map_or(Self::Damaged, Self::Flow)
    }
}

fn read(body: &[u8]) -> Option<Flow> {
    let ([used], rest) = field(body)?;
    let (consumer, rest) = field(rest)?;
    let (packet_id, rest) = field(rest)?;
    let (hash, rest) = field(rest)?;
    let (issued_at, rest) = field(rest)?;
    let ([word, flags, length], rest) = field(rest)?;
    let name = rest.get(..usize::from(length))?;
    let first = FirstVerdict {
        hash: MessageHash::from_octets(hash),
        sender: DeviceId::parse(std::str::from_utf8(name).ok()?).ok()?,
        word: WORDS.into_iter().find(|known| number(*known) == word)?,
        retain: flags & 1 != 0,
        exactly_once: flags & 2 != 0,
        issued_at: UnixTime::from_seconds(u64::from_be_bytes(issued_at)),
        restored: true,
    };
    (used == USED).then_some(Flow {
        consumer: ConsumerHash(consumer),
        packet_id: u16::from_be_bytes(packet_id),
        first,
    })
}

fn field<const OCTETS: usize>(octets: &[u8]) -> Option<([u8; OCTETS], &[u8])> {
    let (field, rest) = octets.split_first_chunk()?;
    Some((*field, rest))
}

/// The number of a word in a record: never another one.
const fn number(word: VerdictWord) -> u8 {
    match word {
        VerdictWord::Unverified => 0,
        VerdictWord::Verified => 1,
        VerdictWord::Retained => 2,
        VerdictWord::Will => 3,
        VerdictWord::Observed => 4,
        VerdictWord::Vouched => 5,
    }
}

/// The words that a first verdict can have: what is unverified is judged anew.
const WORDS: [VerdictWord; 5] = [
    VerdictWord::Verified,
    VerdictWord::Retained,
    VerdictWord::Will,
    VerdictWord::Observed,
    VerdictWord::Vouched,
];
const USED: u8 = 1;
const BODY_OCTETS: usize = FLOW_RECORD_OCTETS - 4;
/// What comes before the name.
const HEAD_OCTETS: usize = 78;
const _: () = assert!(HEAD_OCTETS + NAME_OCTETS <= BODY_OCTETS);
