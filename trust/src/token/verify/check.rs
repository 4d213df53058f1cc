//! The checks by name, and who watches them.

use crate::token::{Failure, Part, Rejection};
use std::fmt;

/// The checks of a verification, in their order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Check {
    /// Octets of the token.
    Size,
    /// Three parts of base64url.
    Shape,
    /// Exactly `alg`, `typ`, `kid`.
    Header,
    /// The trust data may judge: present, not past grace.
    Trust,
    /// The registry knows the key.
    Key,
    /// The key signed the received octets.
    Signature,
    /// Every claim of its type and form.
    Claims,
    /// Issued in this trust domain.
    Domain,
    /// The sender is active.
    Device,
    /// The key is in use, and was when the token was issued.
    KeyState,
    /// The subject owns the key.
    Subject,
    /// For this receiver.
    Audience,
    /// Within its time, by a clock that counts.
    Time,
    /// The payload is the one that was signed.
    Payload,
    /// The topic is the one that was signed.
    Topic,
    /// The bound properties are those that were signed.
    Properties,
    /// A role of the sender grants it.
    Grant,
    /// Not accepted before; not superseded.
    Replay,
}

impl Check {
    /// All checks, in their order.
    pub const ALL: [Self; 18] = [
        Self::Size,
        Self::Shape,
        Self::Header,
        Self::Trust,
        Self::Key,
        Self::Signature,
        Self::Claims,
        Self::Domain,
        Self::Device,
        Self::KeyState,
        Self::Subject,
        Self::Audience,
        Self::Time,
        Self::Payload,
        Self::Topic,
        Self::Properties,
        Self::Grant,
        Self::Replay,
    ];

    /// The check as a word for machines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audience => "audience",
            Self::Claims => "claims",
            Self::Device => "device",
            Self::Domain => "domain",
            Self::Grant => "grant",
            Self::Header => "header",
            Self::Key => "key",
            Self::KeyState => "key-state",
            Self::Payload => "payload",
            Self::Properties => "properties",
            Self::Replay => "replay",
            Self::Shape => "shape",
            Self::Signature => "signature",
            Self::Size => "size",
            Self::Subject => "subject",
            Self::Time => "time",
            Self::Topic => "topic",
            Self::Trust => "trust",
        }
    }
}

impl Failure {
    /// The check that could not be made.
    pub const fn check(&self) -> Check {
        match self {
            Self::ClockBehindFloor { .. } | Self::ClockUnsynchronized => Check::Time,
            Self::ManifestTooOld { .. } => Check::Grant,
            Self::MemoryFull(_) => Check::Replay,
            Self::NoManifest | Self::NotEnrolled | Self::TrustStale { .. } => Check::Trust,
            Self::Store(_) => Check::Key,
        }
    }
}

/// Watches a verification, check by check.
pub trait Trace {
    /// A check has passed. After [`Check::Signature`] the facts may quote the token.
    fn passed(&mut self, check: Check, facts: fmt::Arguments<'_>);
}

/// Watches nothing, at no cost.
impl Trace for () {
    fn passed(&mut self, _: Check, _: fmt::Arguments<'_>) {}
}

impl Rejection {
    /// The check that refuses with this rejection.
    pub const fn check(&self) -> Check {
        match self {
            Self::Size { .. } => Check::Size,
            Self::Shape | Self::Encoding(_) => Check::Shape,
            Self::HeaderAlg
            | Self::HeaderJson
            | Self::HeaderKid
            | Self::HeaderMembers
            | Self::HeaderTyp { .. }
            | Self::DuplicateMember(Part::Header) => Check::Header,
            Self::UnknownKey(_) => Check::Key,
            Self::Signature => Check::Signature,
            Self::ClaimMissing(_)
            | Self::ClaimType(_)
            | Self::ClaimValue(_)
            | Self::ClaimsJson
            | Self::DuplicateMember(_) => Check::Claims,
            Self::Domain { .. } => Check::Domain,
            Self::DevicePending(_) | Self::DeviceRevoked(_) | Self::DeviceSuspended(_) => {
                Check::Device
            }
            Self::KeyNotYetValid { .. } | Self::KeyRetired(_) | Self::KeyRevoked(_) => {
                Check::KeyState
            }
            Self::Subject { .. } => Check::Subject,
            Self::Audience { .. } | Self::NotACommand(_) => Check::Audience,
            Self::Expired { .. }
            | Self::IssuedInFuture { .. }
            | Self::Lifetime { .. }
            | Self::Overage { .. } => Check::Time,
            Self::Payload { .. } => Check::Payload,
            Self::Topic { .. } | Self::TopicName(_) => Check::Topic,
            Self::PropertyAltered { .. } | Self::PropertyMissing(_) | Self::PropertyUnsigned(_) => {
                Check::Properties
            }
            Self::NotGranted(_) => Check::Grant,
            Self::BeforeStart { .. }
            | Self::CloneProven { .. }
            | Self::OldEpoch { .. }
            | Self::Replay(_)
            | Self::Superseded
            | Self::WillSpent(_)
            | Self::WindowPassed { .. } => Check::Replay,
        }
    }
}
