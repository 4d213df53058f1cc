//! A verdict as JSON: the one place that makes it.

use super::rejection;
use edgeseal_trust::id::{Audience, DeviceId, GroupName, RoleName};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::Staleness;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Addressed, Kind, Rejection, Verdict, Verified};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The outcome for one message.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "verdict")]
pub enum VerdictBody {
    /// Not believed, for good.
    Rejected(RejectedBody),
    /// Every check has passed.
    Verified(Box<VerifiedBody>),
}

/// Why a message is not believed: code, sentence, and the data behind it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RejectedBody {
    /// Stable short code.
    pub code: Cow<'static, str>,
    /// A sentence for people; text of the peer in it is escaped.
    pub reason: String,
    /// The values that were compared.
    #[serde(default)]
    pub data: Map<String, Value>,
}

/// What is known of a message that passed every check.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct VerifiedBody {
    /// Who sent it.
    pub device: DeviceId,
    /// The key that signed it.
    pub kid: KeyId,
    /// Message, retained statement or will.
    pub kind: Kind,
    /// For whom it is.
    pub audience: Audience,
    /// Why that includes this receiver: `device`, `domain`, `group` or `observed`.
    pub addressed: Cow<'static, str>,
    /// When it was signed.
    pub iat: UnixTime,
    /// When it expires.
    pub exp: UnixTime,
    /// Seconds since it was signed.
    pub age_seconds: u64,
    /// Its id.
    pub jti: String,
    /// Messages of the sender that are missing before it; null where that cannot be said.
    pub gap: Option<u64>,
    /// How it is to be taken: `live`, `retained` or `will`.
    pub delivery: Cow<'static, str>,
    /// No statement of this sender on this topic was remembered.
    pub first_since_start: bool,
    /// State of this receiver's clock.
    pub clock: Cow<'static, str>,
    /// State of the sender's clock: its word.
    pub sender_clock: Cow<'static, str>,
    /// `fresh`, or `stale` where the trust data has expired and the grace period runs.
    pub staleness: Cow<'static, str>,
    /// Seconds since the trust data expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_seconds: Option<u64>,
    /// The sender's roles.
    pub roles: Vec<RoleName>,
    /// The sender's groups.
    pub groups: Vec<GroupName>,
    /// When the data was captured, where older than the signature: the sender's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_at: Option<UnixTime>,
    /// The sender relays for others that cannot sign.
    pub vouched: bool,
    /// Sequence of the manifest that the sender had: its word.
    pub trust_sequence: u64,
}

impl From<&Verdict> for VerdictBody {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Rejected(rejection) => Self::Rejected(rejection.into()),
            Verdict::Verified(verified) => Self::Verified(Box::new((&**verified).into())),
        }
    }
}

impl From<&Rejection> for RejectedBody {
    fn from(rejection: &Rejection) -> Self {
        Self {
            code: Cow::Borrowed(rejection.code()),
            reason: rejection.to_string(),
            data: rejection::data(rejection),
        }
    }
}

impl From<&Verified> for VerifiedBody {
    fn from(verified: &Verified) -> Self {
        let (staleness, expired_seconds) = staleness(verified.staleness);
        let sender_clock = match verified.sender_clock_unsynchronized {
            true => "unsynchronized",
            false => "synchronized",
        };
        Self {
            device: verified.device.id.clone(),
            kid: verified.kid,
            kind: verified.kind,
            audience: verified.audience.clone(),
            addressed: Cow::Borrowed(addressed(verified.addressed)),
            iat: verified.issued_at,
            exp: verified.expires_at,
            age_seconds: verified.age_seconds,
            jti: verified.id.to_string(),
            gap: verified.gap,
            delivery: Cow::Borrowed(verified.delivery.as_str()),
            first_since_start: verified.first_since_start,
            clock: Cow::Borrowed(verified.clock.as_str()),
            sender_clock: Cow::Borrowed(sender_clock),
            staleness: Cow::Borrowed(staleness),
            expired_seconds,
            roles: verified.device.roles.to_vec(),
            groups: verified.device.groups.to_vec(),
            captured_at: verified.captured_at,
            vouched: verified.vouched,
            trust_sequence: verified.sender_trust_sequence,
        }
    }
}

const fn addressed(addressed: Addressed) -> &'static str {
    match addressed {
        Addressed::Device => "device",
        Addressed::Domain => "domain",
        Addressed::Group => "group",
        Addressed::Observed => "observed",
    }
}

/// Staleness as a word, and since when in seconds.
pub(crate) const fn staleness(staleness: Staleness) -> (&'static str, Option<u64>) {
    match staleness {
        Staleness::Fresh => ("fresh", None),
        Staleness::PastGrace { expired_seconds } => ("past-grace", Some(expired_seconds)),
        Staleness::Stale { expired_seconds } => ("stale", Some(expired_seconds)),
    }
}
