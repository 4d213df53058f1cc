//! Replay windows, the order of retained statements, wills, and the proof of a clone: pure state
//! machines over what was accepted before.
//!
//! A window belongs to a consumer and a key. What changed is kept as fixed records in numbered
//! slots, which the edge writes before it uses a verdict (see [`ReplayMemory::write_changes`]).

mod consumer;
mod epochs;
mod memory;
mod order;
mod recent;
mod record;
mod remember;
mod restore;
mod slots;
mod sweep;
mod wills;
mod window;

#[cfg(test)]
mod tests;

pub use epochs::{EpochNotice, EpochNoticeKind};
pub use memory::{Bounds, CloneAlarm, Counts, Past, ReplayMemory};
pub use record::Record;
pub use restore::Restoration;
pub use sweep::Sweep;

use crate::clock::Now;
use crate::id::DeviceId;
use crate::key::KeyId;
use crate::time::UnixTime;
use crate::token::{Kind, TokenId};
use std::sync::Arc;

/// Who consumes messages: a program that must not be handed the same message twice. It is
/// (listener, local identity, client identifier) in the gateway and (uid, optional name) in the
/// local API; never a connection.
pub type ConsumerId = Arc<str>;

/// A token about which everything else has been found right, before it is accepted.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// The token itself, kept for the proof of a clone.
    pub token: &'a str,
    /// Who would get it.
    pub consumer: &'a ConsumerId,
    /// The key that signed it.
    pub kid: KeyId,
    /// The device that owns the key.
    pub device: &'a DeviceId,
    /// Message, retained statement or will.
    pub kind: Kind,
    /// Its id.
    pub id: TokenId,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
    /// `top`.
    pub topic: &'a str,
    /// `phs`.
    pub payload_hash: [u8; 32],
    /// A message with empty payload and RETAIN: the newest statement of that sender and topic.
    pub deletion: bool,
    /// RETAIN as received: for wills only.
    pub retain: bool,
    /// The topic carries commands: nothing issued before this receiver started, whatever else is set.
    pub command: bool,
    /// Accept what was issued before this receiver could remember (a repeat does no harm).
    pub after_power_loss: bool,
    /// Retained statements up to this age, in seconds, may count as live.
    pub max_age_seconds: Option<u64>,
    /// Tolerance for clock error, in seconds.
    pub leeway_seconds: u64,
    /// Now.
    pub now: Now,
}

/// What the memory says of a token that it accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// Counters that are missing since the newest accepted message of the sender's stream; nothing
    /// for the first message, for a late one, and for retained statements and wills.
    pub gap: Option<u64>,
    /// How it is to be handed on.
    pub delivery: Delivery,
    /// No statement of this sender on this topic is remembered: an older one cannot be told.
    pub first_since_start: bool,
}

impl Accepted {
    /// What can be said of a token when nothing is remembered.
    pub const fn unremembered(kind: Kind) -> Self {
        let delivery = match kind {
            Kind::Message => Delivery::Live,
            Kind::Retained => Delivery::Retained,
            Kind::Will => Delivery::Will,
        };
        Self {
            gap: None,
            delivery,
            first_since_start: false,
        }
    }
}

/// How an accepted token is to be handed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// As an event that happens now.
    Live,
    /// As a state that may be old.
    Retained,
    /// As a will: the broker says that the sender is gone.
    Will,
}

impl Delivery {
    /// As a word for machines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Retained => "retained",
            Self::Will => "will",
        }
    }
}
