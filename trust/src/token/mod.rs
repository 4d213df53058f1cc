//! Tokens: the wire profile of messages, retained statements, wills and logins
//! (RFC 7515 compact serialization, RFC 7519 claims, EdDSA of RFC 8037).

mod claims;
mod id;
mod jws;
mod mint;
mod properties;
mod reject;
mod usual;
mod verify;

pub(crate) use claims::Profile;
pub use claims::{Claims, MessageClaims};
pub use id::{InvalidTokenId, Stream, TokenId};
pub use jws::Unverified;
pub(crate) use jws::compact;
pub use mint::{Draft, LoginDraft, MintRefusal, Minter, PayloadHash};
pub use properties::{BoundHashes, Properties};
pub use reject::{Failure, Part, Rejection};
pub use verify::{
    Addressed, AsPublished, Check, Memory, ReceiveRule, Received, Receiver, Trace, Unsynchronized,
    Verdict, Verified, verify, verify_login,
};
pub(crate) use verify::{Claimed, expect_owner};

use crate::limits;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a token that belongs to an MQTT message says of it. Which kind a topic takes is said by the
/// receiver's rule; the RETAIN flag is never consulted for it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A message, read now.
    #[default]
    Message,
    /// A retained statement, read long after.
    Retained,
    /// A will, fixed at CONNECT, sent by the broker when it likes.
    Will,
}

impl Kind {
    /// The `typ` of such tokens (RFC 7515 section 4.1.9).
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Message => "edgeseal-msg+jwt",
            Self::Retained => "edgeseal-retained+jwt",
            Self::Will => "edgeseal-will+jwt",
        }
    }

    /// The longest lifetime that any grant may state, in seconds.
    pub const fn lifetime_ceiling_seconds(self) -> u64 {
        match self {
            Self::Message => limits::MESSAGE_LIFETIME_CEILING_SECONDS,
            Self::Retained => limits::RETAINED_LIFETIME_CEILING_SECONDS,
            Self::Will => limits::WILL_LIFETIME_CEILING_SECONDS,
        }
    }

    /// The lifetime when nobody asks for another, in seconds.
    pub const fn lifetime_default_seconds(self) -> u64 {
        match self {
            Self::Message => limits::MESSAGE_LIFETIME_DEFAULT_SECONDS,
            Self::Retained => limits::RETAINED_LIFETIME_DEFAULT_SECONDS,
            Self::Will => limits::WILL_LIFETIME_DEFAULT_SECONDS,
        }
    }

    /// The kind as a word for machines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Retained => "retained",
            Self::Will => "will",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `typ` of a login token.
pub const LOGIN_TYP: &str = "edgeseal-login+jwt";
/// The one signature algorithm (RFC 8037). RFC 9864 renames it `Ed25519`; too few libraries know
/// that name yet.
pub const ALG: &str = "EdDSA";
