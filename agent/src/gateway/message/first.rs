//! The verdict by which a message was handed on first, to hand it on again when the broker repeats it.

use crate::gateway::packet::{Property, Publish};
use crate::wire::Qos;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::replay::Delivery;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Addressed, Verified};
use sha2::{Digest, Sha256};

/// SHA-256 of all that a program gets of a message and that its sender signed: token, topic, payload, bound
/// properties. A token alone would let a broker repeat it with another payload.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MessageHash([u8; 32]);

/// The verdict of a verified message at QoS 1 or 2.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FirstVerdict {
    /// The message.
    pub hash: MessageHash,
    /// Who sent it.
    pub sender: DeviceId,
    /// What was said of it.
    pub word: VerdictWord,
    /// RETAIN as it was handed on.
    pub retain: bool,
    /// It was handed on at QoS 2: the program takes nothing at QoS 1 for its repetition.
    pub exactly_once: bool,
    /// `iat` of its token.
    pub issued_at: UnixTime,
    /// From the file of the process before this one: whether the replay memory knows it is not known, so it
    /// is judged once more.
    pub restored: bool,
}

/// What a program is told of a message, as `edgeseal-verdict`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum VerdictWord {
    /// Verified, for somebody else: the rule lets this listener observe.
    Observed,
    /// Verified, as a state that may be old.
    Retained,
    /// Not verified: the rule only observes.
    Unverified,
    /// Verified, as an event.
    Verified,
    /// Verified, and the sender relays for others.
    Vouched,
    /// Verified, sent by the broker in the name of the sender.
    Will,
}

impl MessageHash {
    /// The hash of a message as it was received.
    #[must_use]
    pub fn of(publish: &Publish<'_>) -> Self {
        let mut hash = Sha256::new();
        field(&mut hash, publish.topic.as_bytes());
        for property in publish.properties.iter() {
            match property {
                Property::ResponseTopic(text) => tagged(&mut hash, 1, &[text.as_bytes()]),
                Property::CorrelationData(octets) => tagged(&mut hash, 2, &[octets]),
                Property::ContentType(text) => tagged(&mut hash, 3, &[text.as_bytes()]),
                Property::UserProperty(name, value) => {
                    tagged(&mut hash, 4, &[name.as_bytes(), value.as_bytes()]);
                }
                _ => {}
            }
        }
        hash.update([0]);
        hash.update(publish.payload);
        Self(hash.finalize().into())
    }

    /// The octets of the hash.
    #[must_use]
    pub const fn octets(&self) -> &[u8; 32] {
        &self.0
    }

    /// A hash that was stored.
    #[must_use]
    pub const fn from_octets(octets: [u8; 32]) -> Self {
        Self(octets)
    }
}

fn tagged(hash: &mut Sha256, tag: u8, fields: &[&[u8]]) {
    hash.update([tag]);
    for octets in fields {
        field(hash, octets);
    }
}

/// A field of MQTT is never longer than 65,535 octets; a longer one cannot be told from its hash either.
fn field(hash: &mut Sha256, octets: &[u8]) {
    let length = u64::try_from(octets.len()).unwrap_or(u64::MAX);
    hash.update(length.to_be_bytes());
    hash.update(octets);
}

impl FirstVerdict {
    pub(super) fn new(hash: MessageHash, verified: &Verified, publish: &Publish<'_>) -> Self {
        Self {
            hash,
            sender: verified.device.id.clone(),
            word: VerdictWord::of(verified),
            retain: publish.retain || verified.delivery == Delivery::Retained,
            exactly_once: publish.qos == Qos::ExactlyOnce,
            issued_at: verified.issued_at,
            restored: false,
        }
    }
}

impl VerdictWord {
    /// Of several that are true the one that allows a program the least: a will is never taken for a
    /// message, and what is for somebody else is never acted upon.
    pub(super) fn of(verified: &Verified) -> Self {
        match verified {
            verified if verified.delivery == Delivery::Will => Self::Will,
            verified if verified.addressed == Addressed::Observed => Self::Observed,
            verified if verified.vouched => Self::Vouched,
            verified if verified.delivery == Delivery::Retained => Self::Retained,
            _ => Self::Verified,
        }
    }

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Retained => "retained",
            Self::Unverified => "unverified",
            Self::Verified => "verified",
            Self::Vouched => "vouched",
            Self::Will => "will",
        }
    }
}
