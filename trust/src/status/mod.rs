//! Status tokens: what an agent says of itself, signed and retained on the broker. They never raise
//! anybody's authority, and their absence is not consent.

mod text;

#[cfg(test)]
mod tests;

use crate::clock::ClockState;
use crate::id::{DeviceId, TrustDomain};
use crate::key::{KeyId, SigningKey};
use crate::limits;
use crate::registry::PeerKey;
use crate::time::UnixTime;
use crate::token::{Claimed, Rejection, TokenId, Unverified, compact, expect_owner};
use std::collections::BTreeMap;
use text::StatusText;

/// A status to be signed, or one that was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusDraft {
    /// `iat`: now.
    pub issued_at: UnixTime,
    /// `exp`: later, nobody need keep it.
    pub expires_at: UnixTime,
    /// `jti`: never used before by this key.
    pub id: TokenId,
    /// Sequence of the manifest in force; 0 while there is none.
    pub sequence: u64,
    /// Version of the newest root that was applied; 0 while there is none.
    pub root_version: u64,
    /// State of the clock.
    pub clock: ClockState,
    /// Version of the agent.
    pub version: String,
    /// When the agent started.
    pub started_at: UnixTime,
    /// What it counted since then, by code.
    pub counts: BTreeMap<String, u64>,
    /// The last message that it refused.
    pub last_refusal: Option<Refused>,
    /// Trust data that it is offered and refuses.
    pub offered: Option<Offered>,
    /// What people may want to look at.
    pub notices: Vec<Notice>,
    /// Two tokens that prove a clone (see [`crate::clone::prove`]).
    pub clone: Option<[String; 2]>,
}

/// A message that an agent refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// The code of the rejection or failure.
    pub code: String,
    /// The device whose key signed it, where that was known.
    pub sender: Option<DeviceId>,
    /// When.
    pub at: UnixTime,
}

/// Trust data that an agent is offered and refuses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offered {
    /// The root version that it names, where that could be read.
    pub root_version: Option<u64>,
    /// The sequence that it names, where that could be read.
    pub sequence: Option<u64>,
    /// The code of the rejection.
    pub code: String,
}

/// Something that proves nothing, but that people may want to look at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// What was seen: a code of [`crate::replay::EpochNotice`], or the agent's own.
    pub code: String,
    /// The key that it concerns.
    pub kid: Option<KeyId>,
    /// The device that it concerns.
    pub device: Option<DeviceId>,
    /// When it was seen.
    pub at: UnixTime,
}

/// The status of a device, signed by one of its keys. Only its verification makes one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct VerifiedStatus {
    /// Whose status it is.
    pub device: DeviceId,
    /// The key that signed it.
    pub kid: KeyId,
    /// What it says: the device's word about itself.
    pub content: StatusDraft,
}

/// Why a status was not signed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[must_use]
pub enum StatusRefusal {
    /// Not 1 second to [`limits::STATUS_LIFETIME_SECONDS`].
    #[error("a status lives 1 to {ceiling} s, not {0}", ceiling = limits::STATUS_LIFETIME_SECONDS)]
    Lifetime(u64),
    /// More octets than anybody reads.
    #[error("the status would have {0} octets, at most {limit} are read", limit = limits::STATUS_OCTETS)]
    Size(usize),
    /// A text is empty, too long, or has characters that it may not have.
    #[error("the {0} of a status is empty, too long, or has characters that it may not have")]
    Text(&'static str),
    /// More of something than a status may hold.
    #[error("too many {0} for a status")]
    TooMany(&'static str),
}

impl StatusRefusal {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Lifetime(_) => "status-lifetime",
            Self::Size(_) => "status-size",
            Self::Text(_) => "status-text",
            Self::TooMany(_) => "status-too-many",
        }
    }
}

/// The `typ` of status tokens (RFC 7515 section 4.1.9).
pub const STATUS_TYP: &str = "edgeseal-status+jwt";

impl StatusDraft {
    /// The status token of `device`, signed by its key.
    ///
    /// # Errors
    /// [`StatusRefusal`]: what a reader would reject is not signed.
    pub fn sign(
        &self,
        key: &SigningKey,
        domain: &TrustDomain,
        device: &DeviceId,
    ) -> Result<String, StatusRefusal> {
        self.check()?;
        let token = compact(STATUS_TYP, &StatusText::write(self, domain, device), key);
        match token.len() {
            size if size > limits::STATUS_OCTETS => Err(StatusRefusal::Size(size)),
            _ => Ok(token),
        }
    }

    /// What every reader demands.
    fn check(&self) -> Result<(), StatusRefusal> {
        let lifetime_seconds = self.expires_at.since(self.issued_at);
        if !(1..=limits::STATUS_LIFETIME_SECONDS).contains(&lifetime_seconds) {
            return Err(StatusRefusal::Lifetime(lifetime_seconds));
        }
        if self.counts.len() > limits::STATUS_COUNTS {
            return Err(StatusRefusal::TooMany("counts"));
        }
        if self.notices.len() > limits::STATUS_NOTICES {
            return Err(StatusRefusal::TooMany("notices"));
        }
        let printable = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        let version = &self.version;
        if version.is_empty() || version.len() > limits::VERSION_OCTETS || !printable(version) {
            return Err(StatusRefusal::Text("ver"));
        }
        if !self.codes().all(is_code) {
            return Err(StatusRefusal::Text("code"));
        }
        let is_token =
            |text: &String| (1..=limits::TOKEN_OCTETS).contains(&text.len()) && printable(text);
        if !self.clone.iter().flatten().all(is_token) {
            return Err(StatusRefusal::Text("clone"));
        }
        Ok(())
    }

    fn codes(&self) -> impl Iterator<Item = &str> {
        let counted = self.counts.keys().map(String::as_str);
        let noticed = self.notices.iter().map(|notice| notice.code.as_str());
        let refused = self
            .last_refusal
            .iter()
            .map(|refused| refused.code.as_str());
        let offered = self.offered.iter().map(|offered| offered.code.as_str());
        counted.chain(noticed).chain(refused).chain(offered)
    }
}

impl VerifiedStatus {
    /// Judges a status that was found on the topic of `device`: signed by one of its keys that
    /// counts, in `domain`. Its `exp` is not judged: how old a status may be, its reader decides.
    ///
    /// # Errors
    /// [`Rejection`] of the first check that refuses.
    pub fn verify(
        octets: &[u8],
        device: &DeviceId,
        key_of: impl FnOnce(KeyId) -> Option<PeerKey>,
        domain: &TrustDomain,
    ) -> Result<Self, Rejection> {
        let unverified = Unverified::parse_within(octets, STATUS_TYP, limits::STATUS_OCTETS)?;
        let kid = unverified.kid();
        let peer = key_of(kid).ok_or(Rejection::UnknownKey(kid))?;
        let claims = unverified.verified_claims(&peer.key)?;
        let text = StatusText::read(claims)?;
        let content = text.content()?;
        let claimed = Claimed {
            issuer: text.iss.as_str(),
            subject: text.sub.as_str(),
            issued_at: content.issued_at,
        };
        expect_owner(domain, &peer, &claimed, true)?;
        if text.aud != text::audience(domain) {
            return Err(Rejection::Audience { found: text.aud });
        }
        if text.sub != *device {
            return Err(Rejection::Subject {
                owner: device.clone(),
                found: text.sub.to_string(),
            });
        }
        content.check().map_err(|why| match why {
            StatusRefusal::Lifetime(lifetime_seconds) => Rejection::Lifetime {
                lifetime_seconds,
                ceiling_seconds: limits::STATUS_LIFETIME_SECONDS,
            },
            StatusRefusal::Size(found) => Rejection::Size {
                found,
                limit: limits::STATUS_OCTETS,
            },
            StatusRefusal::Text(claim) | StatusRefusal::TooMany(claim) => {
                Rejection::ClaimValue(claim)
            }
        })?;
        Ok(Self {
            device: text.sub,
            kid,
            content,
        })
    }

    /// Whether this status is newer than another of the same device: by `iat`, then by `jti`.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let place = |status: &Self| (status.content.issued_at, status.content.id);
        place(self) > place(other)
    }
}

/// A code of ours: lower-case letters, digits and hyphens.
fn is_code(code: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=limits::CODE_OCTETS).contains(&code.len()) && code.bytes().all(plain)
}
