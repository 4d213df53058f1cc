//! Why nothing was signed: this device is in no state to, or the request may not be.

use crate::wire::{ErrorBody, ErrorClass};
use edgeseal_trust::token::{Failure, MintRefusal, TokenId};
use std::borrow::Cow;

/// Why this device does not sign, whatever the trust data says. It passes only when somebody acts.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignBlock {
    /// The identity was made on another board: this card is a copy.
    #[error("{0}")]
    BoardMismatch(String),
    /// The identity is there but cannot be used.
    #[error("{what}")]
    IdentityUnusable {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// No identity yet.
    #[error("this device has no identity yet")]
    NoIdentity,
    /// Both generations of the state are unreadable: the epoch is lost.
    #[error("the boot epoch is lost: both generations of the state file are unreadable")]
    StateLost,
    /// What is written does not outlive a power cut.
    #[error("the state directory lies on {0}: counters would be used twice after a power cut")]
    StateNotDurable(String),
}

impl SignBlock {
    /// The stable short code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BoardMismatch(_) => "board-mismatch",
            Self::IdentityUnusable { .. } => "identity-unusable",
            Self::NoIdentity => "no-identity",
            Self::StateLost => "state-lost",
            Self::StateNotDurable(_) => "state-not-durable",
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::IdentityUnusable { hint, .. } => return Cow::Owned(hint.clone()),
            Self::BoardMismatch(_) => {
                "a device of its own needs a key of its own: edgeseal-agent identity reset, then enroll it"
            }
            Self::NoIdentity => "edgeseal-agent init",
            Self::StateLost => "edgeseal-agent identity reset, then enroll the new key",
            Self::StateNotDurable(_) => {
                "put agent.state_directory on a disk, a card or a partition of its own"
            }
        })
    }
}

/// Why nothing was signed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotSigned {
    /// This device is in no state to sign; it passes.
    #[error(transparent)]
    Failed(#[from] SignFailure),
    /// The request is not one that may be signed.
    #[error(transparent)]
    Refused(#[from] SignRefusal),
}

/// Why this device is in no state to sign.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignFailure {
    /// Its identity or its state directory forbid it.
    #[error(transparent)]
    Blocked(#[from] SignBlock),
    /// Trust data or clock forbid it.
    #[error(transparent)]
    Trust(#[from] Failure),
}

/// Why a request is not signed, for good.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignRefusal {
    /// What a verifier would reject.
    #[error(transparent)]
    Mint(#[from] MintRefusal),
    /// Not the id of this very message in this epoch, or too long ago to know.
    #[error("{0} was not given to this message in this epoch, or too long ago to know")]
    ResendUnknown(TokenId),
}

impl NotSigned {
    /// The stable short code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Failed(failure) => failure.code(),
            Self::Refused(refusal) => refusal.code(),
        }
    }
}

impl SignFailure {
    /// The stable short code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Blocked(why) => why.code(),
            Self::Trust(failure) => failure.code(),
        }
    }
}

impl SignRefusal {
    /// The stable short code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Mint(refusal) => refusal.code(),
            Self::ResendUnknown(_) => "resend-unknown",
        }
    }
}

impl From<&NotSigned> for ErrorBody {
    fn from(why: &NotSigned) -> Self {
        match why {
            NotSigned::Failed(failure) => failure.into(),
            NotSigned::Refused(SignRefusal::Mint(refusal)) => refusal.into(),
            NotSigned::Refused(SignRefusal::ResendUnknown(_)) => {
                let body = Self::new(ErrorClass::Conflict, why.code(), why.to_string());
                body.with_hint("sign it as a new message, without resend")
            }
        }
    }
}

impl From<&SignFailure> for ErrorBody {
    fn from(failure: &SignFailure) -> Self {
        match failure {
            SignFailure::Blocked(block) => {
                let body = Self::new(ErrorClass::Failure, block.code(), block.to_string());
                body.with_hint(block.hint())
            }
            SignFailure::Trust(failure) => failure.into(),
        }
    }
}
