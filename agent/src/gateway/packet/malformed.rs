//! Why a packet is refused.

use super::Version;

/// A packet breaks its specification. Section 4.8 of 3.1.1 and 4.13 of 5.0 want the connection closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} ({statement})")]
pub struct Malformed {
    /// The statement that is broken, `MQTT-3.3.1-4`, or `section 2.2.2.2` where the sentence has no number.
    pub statement: &'static str,
    /// What is wrong, for the log.
    pub what: &'static str,
    /// The reason code of MQTT 5 for it: 0x81 Malformed Packet, 0x82 Protocol Error, or a closer one.
    pub reason: u8,
}

/// One clause of the specifications, which number their statements differently.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clause {
    v311: &'static str,
    v5: &'static str,
    what: &'static str,
    reason: u8,
}

impl Clause {
    pub(super) const fn malformed(
        v311: &'static str,
        v5: &'static str,
        what: &'static str,
    ) -> Self {
        Self::new(v311, v5, what, MALFORMED_PACKET)
    }

    pub(super) const fn protocol_error(
        v311: &'static str,
        v5: &'static str,
        what: &'static str,
    ) -> Self {
        Self::new(v311, v5, what, PROTOCOL_ERROR)
    }

    pub(super) const fn new(
        v311: &'static str,
        v5: &'static str,
        what: &'static str,
        reason: u8,
    ) -> Self {
        Self {
            v311,
            v5,
            what,
            reason,
        }
    }

    /// The refusal of a packet of `version` that breaks this clause.
    pub(super) const fn broken(&self, version: Version) -> Malformed {
        Malformed {
            statement: match version {
                Version::V311 => self.v311,
                Version::V5 => self.v5,
            },
            what: self.what,
            reason: self.reason,
        }
    }
}

/// Reason codes of refusals (5.0 section 2.4).
const MALFORMED_PACKET: u8 = 0x81;
pub(super) const PROTOCOL_ERROR: u8 = 0x82;
