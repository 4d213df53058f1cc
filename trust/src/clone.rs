//! The proof of a clone, for whoever was not there: two valid tokens of one key with one id that
//! say different things. No honest device makes them, and nobody else can.

use crate::id::{DeviceId, TrustDomain};
use crate::key::{KeyId, VerifyingKey};
use crate::token::{Claims, Kind, Profile, Rejection, TokenId, Unverified};

/// A proof that was judged here. Only [`prove`] makes one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CloneProof {
    /// The key that is in two places.
    pub kid: KeyId,
    /// The device that both tokens name; whether it owns the key is for the registry to say.
    pub device: DeviceId,
    /// The id that was used twice.
    pub id: TokenId,
    /// Both tokens.
    pub tokens: [String; 2],
}

/// Why two tokens prove nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[must_use]
pub enum NoProof {
    /// The tokens have different ids.
    #[error("the tokens have the ids {first} and {second}: only one id used twice proves a clone")]
    DifferentIds {
        /// Of the first.
        first: TokenId,
        /// Of the second.
        second: TokenId,
    },
    /// The tokens name different keys, or another key than the one at hand.
    #[error("both tokens must be signed by the key {0}")]
    DifferentKeys(KeyId),
    /// A token is refused.
    #[error("the {place} token is refused: {why}")]
    Rejected {
        /// `first` or `second`.
        place: &'static str,
        /// Why.
        why: Rejection,
    },
    /// Both say the same: one message, signed or delivered twice.
    #[error("both tokens say the same of {0}: a message signed anew keeps its id")]
    SameContent(TokenId),
}

impl NoProof {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::DifferentIds { .. } => "clone-different-ids",
            Self::DifferentKeys(_) => "clone-different-keys",
            Self::Rejected { why, .. } => why.code(),
            Self::SameContent(_) => "clone-same-content",
        }
    }
}

/// Judges two tokens (messages, retained statements or wills) that are said to prove that `key` is
/// in two places. Neither time nor grants matter: an expired token proves as much.
///
/// # Errors
/// [`NoProof`] of the first check that refuses.
pub fn prove(
    first: &str,
    second: &str,
    key: &VerifyingKey,
    domain: &TrustDomain,
) -> Result<CloneProof, NoProof> {
    let one = Said::read(first, "first", key, domain)?;
    let other = Said::read(second, "second", key, domain)?;
    if one.id != other.id {
        let (first, second) = (one.id, other.id);
        return Err(NoProof::DifferentIds { first, second });
    }
    if one.device != other.device {
        let why = Rejection::ClaimValue("sub");
        let place = "second";
        return Err(NoProof::Rejected { place, why });
    }
    if (&one.topic, &one.payload_hash) == (&other.topic, &other.payload_hash) {
        return Err(NoProof::SameContent(one.id));
    }
    Ok(CloneProof {
        kid: key.id(),
        device: one.device,
        id: one.id,
        tokens: [first.to_owned(), second.to_owned()],
    })
}

/// What a token says, once its signature has been verified.
struct Said {
    device: DeviceId,
    id: TokenId,
    topic: String,
    payload_hash: [u8; 32],
}

impl Said {
    fn read(
        token: &str,
        place: &'static str,
        key: &VerifyingKey,
        domain: &TrustDomain,
    ) -> Result<Self, NoProof> {
        let rejected = |why| NoProof::Rejected { place, why };
        let unverified = parse(token.as_bytes()).map_err(rejected)?;
        if unverified.kid() != key.id() {
            return Err(NoProof::DifferentKeys(key.id()));
        }
        let octets = unverified.verified_claims(key).map_err(rejected)?;
        let claims = Claims::read(octets, Profile::Message).map_err(rejected)?;
        if claims.issuer != domain.as_str() {
            return Err(rejected(Rejection::Domain {
                expected: domain.to_string(),
                found: claims.issuer.into_owned(),
            }));
        }
        let device = DeviceId::parse(&claims.subject);
        let device = device.map_err(|_| rejected(Rejection::ClaimValue("sub")))?;
        let message = claims.message;
        let message = message.ok_or_else(|| rejected(Rejection::ClaimsJson))?;
        Ok(Self {
            device,
            id: claims.id,
            topic: message.topic.into_owned(),
            payload_hash: message.payload_hash,
        })
    }
}

/// A token of any of the three types that say something of a message.
fn parse(token: &[u8]) -> Result<Unverified<'_>, Rejection> {
    let parsed = |kind: Kind| Unverified::parse(token, kind.typ());
    match parsed(Kind::Message) {
        Err(Rejection::HeaderTyp { .. }) => match parsed(Kind::Retained) {
            Err(Rejection::HeaderTyp { .. }) => parsed(Kind::Will),
            read_or_refused => read_or_refused,
        },
        read_or_refused => read_or_refused,
    }
}
