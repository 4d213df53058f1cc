//! Why a token is not believed (rejection: final, somebody else's fault) and why it could not be
//! judged (failure: our own state; it passes). They never share a type.

use super::{Kind, TokenId};
use crate::grant::NotGranted;
use crate::id::{DeviceId, RoleName};
use crate::key::KeyId;
use crate::time::UnixTime;
use crate::topic::InvalidTopic;
use std::fmt;

/// The part of a token that a refusal speaks of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// Second part: the claims.
    Claims,
    /// First part: the header.
    Header,
    /// Third part: the signature.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claims => "claims",
            Self::Header => "header",
            Self::Signature => "signature",
        })
    }
}

/// Why a token is not believed. Data in the variants, a sentence by `Display`, a stable code by
/// [`Rejection::code`]. It is counted and shown to the operator, never told to the sender.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[must_use]
pub enum Rejection {
    /// The token is for somebody else.
    #[error("the token is for {found:?}, not for this receiver")]
    Audience {
        /// The token's audience.
        found: String,
    },
    /// A claim that the profile requires is absent.
    #[error("the claim {0} is missing")]
    ClaimMissing(&'static str),
    /// A claim is not of the type that the profile says.
    #[error("the claim {0} is not of its type")]
    ClaimType(&'static str),
    /// A claim is of its type, but not of its form.
    #[error("the claim {0} is malformed")]
    ClaimValue(&'static str),
    /// The claims are no JSON object.
    #[error("the claims are not one bounded JSON object in UTF-8")]
    ClaimsJson,
    /// Two valid tokens with one id say different things: the key is in two places.
    #[error("clone proven: another message with the id {id} was signed by the same key")]
    CloneProven {
        /// The id that was used twice.
        id: TokenId,
    },
    /// The device is known but not approved.
    #[error("the device {0} is pending: approve it, then publish")]
    DevicePending(DeviceId),
    /// The device is revoked.
    #[error("the device {0} is revoked")]
    DeviceRevoked(DeviceId),
    /// The device is suspended.
    #[error("the device {0} is suspended")]
    DeviceSuspended(DeviceId),
    /// Of another trust domain.
    #[error("issued in the domain {found:?}, not in {expected:?}")]
    Domain {
        /// Our trust domain.
        expected: String,
        /// The token's `iss`.
        found: String,
    },
    /// A member occurs twice.
    #[error("a member of the {0} occurs twice")]
    DuplicateMember(Part),
    /// A part is not canonical base64url.
    #[error("the {0} is not canonical base64url without padding")]
    Encoding(Part),
    /// Past its time.
    #[error("expired {by_seconds} s ago, at {expired_at:#}, leeway {leeway_seconds} s")]
    Expired {
        /// Seconds since `exp`.
        by_seconds: u64,
        /// `exp`.
        expired_at: UnixTime,
        /// The tolerance that was granted, in seconds.
        leeway_seconds: u64,
    },
    /// `alg` is not `EdDSA`.
    #[error("alg must be EdDSA")]
    HeaderAlg,
    /// The header is no JSON object.
    #[error("the header is not one bounded JSON object in UTF-8")]
    HeaderJson,
    /// `kid` is no thumbprint.
    #[error("kid is not a thumbprint of 43 base64url characters")]
    HeaderKid,
    /// A member other than `alg`, `typ`, `kid`, one of them absent, or not a string.
    #[error("the header must have exactly alg, typ and kid")]
    HeaderMembers,
    /// `typ` is not the one that is expected here.
    #[error("typ must be {expected}")]
    HeaderTyp {
        /// What is expected here.
        expected: &'static str,
    },
    /// Issued in the future.
    #[error("issued {by_seconds} s in the future, at {issued_at:#}, leeway {leeway_seconds} s")]
    IssuedInFuture {
        /// Seconds until `iat`.
        by_seconds: u64,
        /// `iat`.
        issued_at: UnixTime,
        /// The tolerance that was granted, in seconds.
        leeway_seconds: u64,
    },
    /// Issued before the key was valid, or before the device was resumed.
    #[error("issued at {issued_at:#}, before its key is valid at {not_before:#}")]
    KeyNotYetValid {
        /// `iat`.
        issued_at: UnixTime,
        /// The key's `not before`.
        not_before: UnixTime,
    },
    /// The key is retired.
    #[error("the key {0} is retired")]
    KeyRetired(KeyId),
    /// The key is revoked.
    #[error("the key {0} is revoked")]
    KeyRevoked(KeyId),
    /// `exp` is not after `iat`, or further away than any grant may state.
    #[error("a lifetime of {lifetime_seconds} s is outside 1 to {ceiling_seconds} s")]
    Lifetime {
        /// `exp - iat`; 0 where that is negative.
        lifetime_seconds: u64,
        /// The ceiling for this kind.
        ceiling_seconds: u64,
    },
    /// No grant allows it.
    #[error(transparent)]
    NotGranted(#[from] NotGranted),
    /// Of an epoch before the one the sender has gone on from.
    #[error("epoch {found} is over: the sender has been seen in epoch {newest}")]
    OldEpoch {
        /// The token's epoch.
        found: u64,
        /// The newest epoch seen.
        newest: u64,
    },
    /// Issued before this receiver started, and it cannot know whether it was accepted then.
    #[error(
        "issued at {issued_at:#}; what was issued up to {until:#}, the start of this receiver's memory \
         and the leeway, may have been accepted before"
    )]
    BeforeStart {
        /// `iat`.
        issued_at: UnixTime,
        /// When the receiver's memory began, and the leeway of the clocks: it knows what came later.
        until: UnixTime,
    },
    /// Older than the receiver's rule allows.
    #[error("{age_seconds} s old; the rule allows {max_age_seconds} s")]
    Overage {
        /// Age at the verdict, in seconds.
        age_seconds: u64,
        /// What the rule allows, in seconds.
        max_age_seconds: u64,
    },
    /// The payload is not the one that was signed.
    #[error("the payload is not the one that was signed")]
    Payload {
        /// `phs`: base64url of its SHA-256.
        signed: String,
        /// The same of what was received.
        received: String,
    },
    /// A bound property differs from what was signed.
    #[error("the property bound by {claim} is not the one that was signed")]
    PropertyAltered {
        /// The claim that binds it.
        claim: &'static str,
        /// The claim's value: base64url of a SHA-256.
        signed: String,
        /// The same of what was received.
        received: String,
    },
    /// A claim whose property is absent.
    #[error("the property bound by {0} has been removed")]
    PropertyMissing(&'static str),
    /// A property whose claim is absent.
    #[error("the property that {0} should bind was not signed")]
    PropertyUnsigned(&'static str),
    /// Accepted before.
    #[error("replay: {0} was accepted before")]
    Replay(TokenId),
    /// A retained statement where the rule says that the topic carries commands.
    #[error("a {0} is not accepted as a command")]
    NotACommand(Kind),
    /// Not three parts of base64url characters.
    #[error("not three parts of base64url separated by dots")]
    Shape,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// Longer than any token.
    #[error("{found} octets; a token has at most {limit}")]
    Size {
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// `sub` does not own `kid`.
    #[error("the key belongs to {owner}, not to {found:?}")]
    Subject {
        /// Who owns the key.
        owner: DeviceId,
        /// The token's `sub`.
        found: String,
    },
    /// A newer statement of this sender on this topic has been seen.
    #[error("superseded: a newer statement of the sender on this topic has been seen")]
    Superseded,
    /// Published on another topic.
    #[error("signed for the topic {signed:?}, received on {received:?}")]
    Topic {
        /// The token's `top`.
        signed: String,
        /// Where it was received.
        received: String,
    },
    /// What it was received on is no topic name.
    #[error("the topic is no topic name: {0}")]
    TopicName(InvalidTopic),
    /// The registry does not know the key.
    #[error("the key {0} is not in the registry")]
    UnknownKey(KeyId),
    /// Below the window: too far behind to know whether it was accepted.
    #[error("{id} is too far behind {newest} to tell whether it was accepted")]
    WindowPassed {
        /// The token's id.
        id: TokenId,
        /// The newest counter accepted in this stream.
        newest: u64,
    },
    /// A will that was accepted before, or whose sender has connected anew since.
    #[error("the will {0} is spent")]
    WillSpent(TokenId),
}

impl Rejection {
    /// The stable short code, for machines, counters and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Audience { .. } => "audience",
            Self::BeforeStart { .. } => "before-start",
            Self::ClaimMissing(_) => "claim-missing",
            Self::ClaimType(_) => "claim-type",
            Self::ClaimValue(_) => "claim-value",
            Self::ClaimsJson => "claims-json",
            Self::CloneProven { .. } => "clone-proven",
            Self::DevicePending(_) => "device-pending",
            Self::DeviceRevoked(_) => "device-revoked",
            Self::DeviceSuspended(_) => "device-suspended",
            Self::Domain { .. } => "domain",
            Self::DuplicateMember(_) => "duplicate-member",
            Self::Encoding(_) => "encoding",
            Self::Expired { .. } => "expired",
            Self::HeaderAlg => "header-alg",
            Self::HeaderJson => "header-json",
            Self::HeaderKid => "header-kid",
            Self::HeaderMembers => "header-members",
            Self::HeaderTyp { .. } => "header-typ",
            Self::IssuedInFuture { .. } => "issued-in-future",
            Self::KeyNotYetValid { .. } => "key-not-yet-valid",
            Self::KeyRetired(_) => "key-retired",
            Self::KeyRevoked(_) => "key-revoked",
            Self::Lifetime { .. } => "lifetime",
            Self::NotACommand(_) => "not-a-command",
            Self::NotGranted(refusal) => refusal.code(),
            Self::OldEpoch { .. } => "old-epoch",
            Self::Overage { .. } => "overage",
            Self::Payload { .. } => "payload",
            Self::PropertyAltered { .. } => "property-altered",
            Self::PropertyMissing(_) => "property-missing",
            Self::PropertyUnsigned(_) => "property-unsigned",
            Self::Replay(_) => "replay",
            Self::Shape => "shape",
            Self::Signature => "signature",
            Self::Size { .. } => "size",
            Self::Subject { .. } => "subject",
            Self::Superseded => "superseded",
            Self::Topic { .. } => "topic",
            Self::TopicName(_) => "topic-name",
            Self::UnknownKey(_) => "unknown-key",
            Self::WillSpent(_) => "will-spent",
            Self::WindowPassed { .. } => "window-passed",
        }
    }
}

/// Why a token could not be judged, or nothing be signed: the fault of our own state. The same
/// message may be accepted later.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[must_use]
pub enum Failure {
    /// The clock is earlier than the floor.
    #[error("the clock, {time:#}, is behind {floor:#}: set it, or wait for time synchronisation")]
    ClockBehindFloor {
        /// The clock.
        time: UnixTime,
        /// The floor.
        floor: UnixTime,
    },
    /// The clock is not synchronized and the configuration does not accept that.
    #[error("the clock is not synchronized; clock.unsynchronized = \"allow\" lets it count")]
    ClockUnsynchronized,
    /// The bound of the replay memory is reached.
    #[error("the replay memory is full: {0}")]
    MemoryFull(&'static str),
    /// No root or no manifest in force.
    #[error("no manifest in force: apply a trust bundle")]
    NoManifest,
    /// This device is not active in the manifest in force.
    #[error(
        "this device is not enrolled, or no longer: its key is not active in the manifest in force"
    )]
    NotEnrolled,
    /// The role of the sender asks for a younger manifest.
    #[error("the manifest is {age_seconds} s old; the role {role} allows {allowed_seconds} s")]
    ManifestTooOld {
        /// The role that asks for it.
        role: RoleName,
        /// Age of the manifest.
        age_seconds: u64,
        /// What the role allows.
        allowed_seconds: u64,
    },
    /// The store did not answer.
    #[error("the key store failed: {0}")]
    Store(String),
    /// Manifest or root expired, and the grace period is over.
    #[error("trust data expired {expired_seconds} s ago, past the grace period: apply a newer one")]
    TrustStale {
        /// Seconds since the expiry.
        expired_seconds: u64,
    },
}

impl Failure {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ClockBehindFloor { .. } => "clock-behind-floor",
            Self::ClockUnsynchronized => "clock-unsynchronized",
            Self::ManifestTooOld { .. } => "manifest-too-old",
            Self::MemoryFull(_) => "memory-full",
            Self::NoManifest => "no-manifest",
            Self::NotEnrolled => "not-enrolled",
            Self::Store(_) => "store-failing",
            Self::TrustStale { .. } => "trust-stale",
        }
    }
}
