//! Why a join token, or a request for rotation, is refused.

use crate::document::DocumentRejection;
use crate::id::{DeviceId, TrustDomain};
use crate::key::KeyId;
use crate::time::UnixTime;
use crate::token::Rejection;

/// Why a join token does not count. Data in the variants, a sentence by `Display`, a stable code by
/// [`JoinRejection::code`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[must_use]
pub enum JoinRejection {
    /// The request has no join token.
    #[error("the request has no join token: compare its words and approve it by hand")]
    Absent,
    /// The token's claims are not of their one form.
    #[error("the join token's claims are refused: {0}")]
    Claims(DocumentRejection),
    /// The token is for another device.
    #[error("the join token is for the device {expected}, the request is for {found}")]
    Device {
        /// The token's device.
        expected: DeviceId,
        /// The request's.
        found: DeviceId,
    },
    /// Token or request is of another trust domain.
    #[error("of the domain {found}, not of {expected}: make a join token in this domain")]
    Domain {
        /// The registrar's domain.
        expected: TrustDomain,
        /// The other.
        found: TrustDomain,
    },
    /// The token is past its time, by the registrar's clock.
    #[error("the join token expired {by_seconds} s ago, at {expired_at:#}: make a new join file")]
    Expired {
        /// Seconds since `exp`.
        by_seconds: u64,
        /// `exp`.
        expired_at: UnixTime,
    },
    /// `exp` is not after `iat`, or further away than any join token's.
    #[error("a join token lives 1 to {ceiling_seconds} s, not {lifetime_seconds}")]
    Lifetime {
        /// `exp - iat`; 0 where that is negative.
        lifetime_seconds: u64,
        /// The ceiling, in seconds.
        ceiling_seconds: u64,
    },
    /// The request was signed by another one-time key than the token names.
    #[error("signed with the one-time key {found}; the join token is bound to {expected}")]
    OneTimeKey {
        /// The token's `cnf.jkt`.
        expected: KeyId,
        /// The key that signed.
        found: KeyId,
    },
    /// The token is for another board.
    #[error("the join token is for the board {expected:?}, the request says {found:?}")]
    Serial {
        /// The token's serial.
        expected: String,
        /// The request's.
        found: Option<String>,
    },
    /// Not a token of this type, or its signature is wrong.
    #[error("the join token is refused: {0}")]
    Token(Rejection),
    /// Signed by a key that is no registrar's under the root in force.
    #[error("the key {0} that signed the join token is no registrar key: make a new join file")]
    UnknownRegistrar(KeyId),
}

impl JoinRejection {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Absent => "join-absent",
            Self::Claims(_) => "join-claims",
            Self::Device { .. } => "join-device",
            Self::Domain { .. } => "join-domain",
            Self::Expired { .. } => "join-expired",
            Self::Lifetime { .. } => "join-lifetime",
            Self::OneTimeKey { .. } => "join-one-time-key",
            Self::Serial { .. } => "join-serial",
            Self::Token(_) => "join-token",
            Self::UnknownRegistrar(_) => "join-unknown-registrar",
        }
    }
}

/// Why a request for rotation is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[must_use]
pub enum RotationRejection {
    /// The old key belongs to another device.
    #[error("the key {kid} belongs to the device {owner}, the request is for {found}")]
    Device {
        /// The old key.
        kid: KeyId,
        /// Its owner.
        owner: DeviceId,
        /// The device that the request names.
        found: DeviceId,
    },
    /// Form, header or a signature is wrong.
    #[error(transparent)]
    Document(#[from] DocumentRejection),
    /// Of another trust domain.
    #[error("of the domain {found}, not of {expected}")]
    Domain {
        /// Our domain.
        expected: TrustDomain,
        /// The request's.
        found: TrustDomain,
    },
    /// The old key is not known.
    #[error("the old key {0} is not in the registry: enroll the device instead")]
    UnknownKey(KeyId),
}

impl RotationRejection {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Device { .. } => "rotation-device",
            Self::Document(why) => why.code(),
            Self::Domain { .. } => "rotation-domain",
            Self::UnknownKey(_) => "rotation-unknown-key",
        }
    }
}
