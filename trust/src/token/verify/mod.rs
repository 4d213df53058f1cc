//! The one strict verifier. Its order: trust usable, key, signature over the received octets, only
//! then the claims; replay last, so that strangers cannot fill the memory.

mod check;
mod judgement;
mod receiver;

pub use check::{Check, Trace};
pub(crate) use receiver::{Claimed, expect_owner};

use super::claims::Profile;
use super::{Claims, Failure, Kind, LOGIN_TYP, Properties, Rejection, TokenId, Unverified};
use crate::clock::{ClockState, Now};
use crate::id::{Audience, DeviceId, GroupName};
use crate::key::KeyId;
use crate::limits;
use crate::registry::{Device, PeerKey, Staleness, TrustView};
use crate::replay::{ConsumerId, Delivery, ReplayMemory};
use crate::time::UnixTime;
use judgement::Judgement;
use std::sync::Arc;

/// A message as it was received, with the receiver's rule for its topic.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The topic name it was delivered on.
    pub topic: &'a [u8],
    /// Its application payload.
    pub payload: &'a [u8],
    /// Its properties; nothing on an MQTT 3.1.1 path, where no program can see them.
    pub properties: Option<Properties<'a>>,
    /// RETAIN as received: the broker's word.
    pub retain: bool,
    /// Who gets it.
    pub consumer: &'a ConsumerId,
    /// What the receiver's rule says of its topic.
    pub rule: &'a ReceiveRule,
}

/// What a receiver's rule says of the messages on a topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReceiveRule {
    /// What the topic takes.
    pub kind: Kind,
    /// An observer: every audience is accepted, and the verdict says so.
    pub any_audience: bool,
    /// Accept nothing older, in seconds.
    pub max_age_seconds: Option<u64>,
    /// The topic carries commands: no retained statement, nothing issued before the start.
    pub command: bool,
    /// Accept what was issued before this receiver could remember (a repeat does no harm).
    pub after_power_loss: bool,
    /// User properties are removed before delivery, so they need not be bound.
    pub ignore_user_properties: bool,
    /// A bridge adds or removes a prefix.
    pub as_published: Option<AsPublished>,
}

/// How a bridged topic is turned into the one it was published on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AsPublished {
    /// Prefix that the bridge added: it must be there and is removed.
    pub remove: String,
    /// Prefix that the bridge removed: it is added.
    pub add: String,
}

impl Default for ReceiveRule {
    fn default() -> Self {
        Self {
            kind: Kind::Message,
            any_audience: false,
            max_age_seconds: None,
            command: false,
            after_power_loss: false,
            ignore_user_properties: false,
            as_published: None,
        }
    }
}

/// Who judges, and by what trust data.
#[derive(Clone, Copy, Debug)]
pub struct Receiver<'a> {
    /// The trust data in force.
    pub trust: &'a TrustView,
    /// This device; nothing for a verifier that is no device, to which only the domain speaks.
    pub device: Option<&'a DeviceId>,
    /// This device's groups.
    pub groups: &'a [GroupName],
    /// Tolerance for clock error, in seconds; at most 60 count.
    pub leeway_seconds: u64,
    /// How long expired trust data still counts, in seconds.
    pub grace_seconds: u64,
    /// Whether an unsynchronized clock counts.
    pub unsynchronized: Unsynchronized,
}

/// What a device does while its clock is not synchronized.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Unsynchronized {
    /// Believe it, and say so in every verdict: for isolated networks.
    Allow,
    /// Neither sign nor accept.
    #[default]
    Refuse,
}

/// The outcome for somebody else's message.
#[derive(Debug)]
#[must_use]
pub enum Verdict {
    /// Not believed, for good.
    Rejected(Rejection),
    /// Every check has passed.
    Verified(Box<Verified>),
}

/// A message that passed every check. There is no other way to this type.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Verified {
    /// Who sent it, with roles and groups.
    pub device: Arc<Device>,
    /// The key that signed it.
    pub kid: KeyId,
    /// What it is.
    pub kind: Kind,
    /// For whom it is.
    pub audience: Audience,
    /// Why that includes this receiver.
    pub addressed: Addressed,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
    /// Seconds since `iat`.
    pub age_seconds: u64,
    /// `jti`.
    pub id: TokenId,
    /// Counters missing since the newest accepted message of the sender's stream.
    pub gap: Option<u64>,
    /// How it is to be handed on.
    pub delivery: Delivery,
    /// No statement of this sender on this topic was remembered.
    pub first_since_start: bool,
    /// State of this receiver's clock.
    pub clock: ClockState,
    /// The sender said that its clock is not synchronized.
    pub sender_clock_unsynchronized: bool,
    /// How stale the trust data is that judged it.
    pub staleness: Staleness,
    /// The sequence of the manifest that the sender had: its word.
    pub sender_trust_sequence: u64,
    /// When the data was captured, where older than the signature.
    pub captured_at: Option<UnixTime>,
    /// The sender relays for others.
    pub vouched: bool,
}

/// Why a message is for this receiver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Addressed {
    /// It names this device.
    Device,
    /// It is for the whole domain.
    Domain,
    /// It names a group of this device.
    Group,
    /// It is for somebody else; the rule lets this receiver observe.
    Observed,
}

/// What a verification does with the memory of what was accepted before.
#[derive(Debug)]
pub enum Memory<'a> {
    /// Asks it and changes nothing: to explain a verdict, never to act on one.
    Foresee(&'a ReplayMemory),
    /// Has none: where a replay does no harm (tests, one-off checks).
    Forget,
    /// Asks it and remembers what is accepted.
    Remember(&'a mut ReplayMemory),
}

impl<'a> From<Option<&'a mut ReplayMemory>> for Memory<'a> {
    fn from(memory: Option<&'a mut ReplayMemory>) -> Self {
        memory.map_or(Self::Forget, Self::Remember)
    }
}

/// Verifies a message. `key` is what the registry has under [`Unverified::kid`].
///
/// # Errors
/// [`Failure`] when this receiver is in no state to judge: the message may be accepted later.
pub fn verify<'m, T: Trace>(
    token: &Unverified<'_>,
    key: Option<&PeerKey>,
    received: &Received<'_>,
    receiver: &Receiver<'_>,
    now: &Now,
    memory: impl Into<Memory<'m>>,
    trace: &mut T,
) -> Result<Verdict, Failure> {
    let judgement = Judgement {
        received,
        receiver,
        now,
    };
    match judgement.run(token, key, memory.into(), trace) {
        Ok(verified) => Ok(Verdict::Verified(Box::new(verified))),
        Err(Refusal::Rejected(rejection)) => Ok(Verdict::Rejected(rejection)),
        Err(Refusal::Failed(failure)) => Err(failure),
    }
}

/// Verifies a login token for the service that is addressed by `audience`.
///
/// # Errors
/// [`Failure`] as for [`verify`].
pub fn verify_login(
    token: &Unverified<'_>,
    key: Option<&PeerKey>,
    audience: &Audience,
    receiver: &Receiver<'_>,
    now: &Now,
) -> Result<Result<Arc<Device>, Rejection>, Failure> {
    let run = || {
        token.expect_typ(LOGIN_TYP)?;
        receiver.expect_trust(now)?;
        let peer = key.ok_or(Rejection::UnknownKey(token.kid()))?;
        let claims = Claims::read(token.verified_claims(&peer.key)?, Profile::Login)?;
        receiver.expect_sender(peer, &claims, Kind::Message)?;
        if audience.to_string() != claims.audience || !matches!(audience, Audience::Login(_)) {
            return Err(Refusal::Rejected(Rejection::Audience {
                found: claims.audience.into(),
            }));
        }
        receiver.expect_time(&claims, limits::LOGIN_LIFETIME_SECONDS, now)?;
        receiver.expect_manifest_age(peer, now)?;
        Ok(Arc::clone(&peer.device))
    };
    match run() {
        Ok(device) => Ok(Ok(device)),
        Err(Refusal::Rejected(rejection)) => Ok(Err(rejection)),
        Err(Refusal::Failed(failure)) => Err(failure),
    }
}

/// Carries both outcomes through `?`; split again before anybody sees it.
enum Refusal {
    Failed(Failure),
    Rejected(Rejection),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}
