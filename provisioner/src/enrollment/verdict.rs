//! What the desk says to a request.

use crate::error::CommandError;
use edgeseal_trust::document::{Digest, DocumentRejection};
use edgeseal_trust::enrollment::JoinId;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;

/// A request, and what becomes of it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub(crate) struct Judged {
    /// The SHA-256 of the request.
    pub(crate) request: Digest,
    /// The new key, once the request has proven that the sender has it.
    pub(crate) kid: Option<KeyId>,
    /// The device that it is about, where it says so.
    pub(crate) device: Option<DeviceId>,
    /// The words over the whole request, where it has a key.
    pub(crate) words: Option<String>,
    /// What becomes of it.
    pub(crate) decision: Decision,
}

/// What becomes of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub(crate) enum Decision {
    /// The key is believed already: the answer is the same as before, and nothing changes.
    Again,
    /// The device is active by this request.
    Enrolled,
    /// It waits for the operator.
    Pending {
        /// Why: a stable short code.
        why: &'static str,
    },
    /// It is refused. It may come again, and be judged again.
    Refused(Refusal),
    /// The operator has rejected this very request.
    Rejected {
        /// Why, as the operator says.
        reason: String,
    },
    /// The device has the new key by this request.
    Rotated,
}

/// Why a request is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    /// Stable short code.
    pub(crate) code: &'static str,
    /// What is wrong.
    pub(crate) reason: String,
    /// The join token that it came with, where the registry knows it.
    pub(crate) token: Option<JoinId>,
}

impl Refusal {
    /// A refusal without a token.
    pub(crate) fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            token: None,
        }
    }

    /// The same, counted with a token.
    #[must_use]
    pub(crate) fn of_token(mut self, token: &JoinId) -> Self {
        self.token = Some(*token);
        self
    }
}

impl From<DocumentRejection> for Refusal {
    fn from(why: DocumentRejection) -> Self {
        Self::new(why.code(), why.to_string())
    }
}

impl From<CommandError> for Refusal {
    fn from(why: CommandError) -> Self {
        Self::new(why.code, why.reason)
    }
}

impl Decision {
    /// The decision in one word: stable, for counts and programs.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Again => "again",
            Self::Enrolled => "enrolled",
            Self::Pending { .. } => "pending",
            Self::Refused(_) => "refused",
            Self::Rejected { .. } => "rejected",
            Self::Rotated => "rotated",
        }
    }

    /// Whether the key is, or will be, active in a manifest.
    pub(crate) const fn is_believed(&self) -> bool {
        matches!(self, Self::Again | Self::Enrolled | Self::Rotated)
    }
}
