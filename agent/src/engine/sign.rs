//! Signing: the agent says who and when, the caller what and where.

use super::resend::{Issued, MessageHash};
use super::{Engine, InForce, Settings, counts, receiver};
use crate::wire::{ErrorBody, ErrorClass, LoginRequest, PropertiesBody, SignRequest, Signed};
use edgeseal_trust::clock::{ClockState, Now};
use edgeseal_trust::grant::{self, Act};
use edgeseal_trust::id::Audience;
use edgeseal_trust::key::{KeyId, SigningKey};
use edgeseal_trust::limits;
use edgeseal_trust::registry::{DeviceState, KeyState, Staleness, TrustView};
use edgeseal_trust::token::{
    Draft, Failure, Kind, LoginDraft, MintRefusal, Minter, Stream, TokenId,
};
use edgeseal_trust::topic::Topic;
use std::borrow::Cow;

/// Whether and with what this device signs.
pub enum Signing {
    /// It does not, whatever the trust data says.
    Blocked {
        /// Why.
        why: SignBlock,
        /// Its key, where it has one.
        kid: Option<KeyId>,
    },
    /// With this key, in an epoch that is durable and that no token has carried before.
    Ready {
        /// The boot epoch.
        epoch: u64,
        /// The key.
        key: Box<SigningKey>,
    },
}

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
            Self::Failed(SignFailure::Blocked(why)) => why.code(),
            Self::Failed(SignFailure::Trust(failure)) => failure.code(),
            Self::Refused(SignRefusal::Mint(refusal)) => refusal.code(),
            Self::Refused(SignRefusal::ResendUnknown(_)) => "resend-unknown",
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

impl Engine {
    /// Signs a message, retained statement or will.
    ///
    /// # Errors
    /// [`NotSigned`]; no id has been used then.
    pub fn sign(&mut self, request: &SignRequest, now: &Now) -> Result<Signed, NotSigned> {
        let outcome = self.try_sign(request, now);
        self.count_signing(outcome)
    }

    /// Signs a login token for one broker or service.
    ///
    /// # Errors
    /// [`NotSigned`] as for [`Engine::sign`].
    pub fn login(&mut self, request: &LoginRequest, now: &Now) -> Result<Signed, NotSigned> {
        let outcome = self.try_login(request, now);
        self.count_signing(outcome)
    }

    /// Whether this device could sign now.
    ///
    /// # Errors
    /// The [`SignFailure`] that [`Engine::sign`] would return.
    pub fn expect_signing(&self, now: &Now) -> Result<(), SignFailure> {
        self.signer
            .ready(&self.settings, self.in_force.as_ref(), now)
            .map(|_| ())
    }

    /// This device's key, where it has one.
    #[must_use]
    pub fn kid(&self) -> Option<KeyId> {
        self.signer.kid()
    }

    /// The boot epoch in which this device signs.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        match &self.signer.state {
            State::Blocked { .. } => None,
            State::Idle { epoch, .. } | State::Enrolled { epoch, .. } => Some(*epoch),
        }
    }

    fn try_sign(&mut self, request: &SignRequest, now: &Now) -> Result<Signed, NotSigned> {
        let ready = self
            .signer
            .ready(&self.settings, self.in_force.as_ref(), now)?;
        let stream = request.qos.map_or(Stream::Reliable, |qos| qos.stream());
        let issued = self.signer.issued.of(stream);
        let message = MessageHash::of(request.kind, &request.topic, request.payload_b64.as_slice());
        let id = match request.resend {
            None => ready.next_id(stream, issued)?,
            Some(id) if ready.was_given(id, stream, issued, message) => id,
            Some(id) => return Err(SignRefusal::ResendUnknown(id).into()),
        };
        let everybody = Audience::Domain(ready.view.domain.clone());
        let mut pairs = Vec::new();
        let none = PropertiesBody::default();
        let mut draft = Draft {
            kind: request.kind,
            topic: request.topic.as_bytes(),
            payload: request.payload_b64.as_slice(),
            properties: request
                .properties
                .as_ref()
                .unwrap_or(&none)
                .borrow(&mut pairs),
            audience: request.audience.as_ref().unwrap_or(&everybody),
            issued_at: now.time,
            lifetime_seconds: request
                .lifetime_seconds
                .unwrap_or_else(|| self.settings.default_lifetime_seconds(request.kind)),
            id,
            trust_sequence: ready.view.sequence,
            clock_unsynchronized: now.clock != ClockState::Synchronized,
            captured_at: request.captured_at,
            vouched: request.vouched,
        };
        let token = ready.mint(&mut draft, request.lifetime_seconds.is_none())?;
        let kid = ready.minter.key().public().id();
        let signed = Signed::new(token, id, kid, now.time, draft.lifetime_seconds);
        if request.resend.is_none() {
            self.signer.issued.of_mut(stream).give(message);
        }
        Ok(signed)
    }

    fn try_login(&mut self, request: &LoginRequest, now: &Now) -> Result<Signed, NotSigned> {
        let ready = self
            .signer
            .ready(&self.settings, self.in_force.as_ref(), now)?;
        let stream = Stream::Reliable;
        let id = ready.next_id(stream, self.signer.issued.of(stream))?;
        let lifetime_seconds = request
            .lifetime_seconds
            .unwrap_or(limits::MESSAGE_LIFETIME_DEFAULT_SECONDS);
        let draft = LoginDraft {
            audience: &request.audience,
            issued_at: now.time,
            lifetime_seconds,
            id,
        };
        let token = ready.minter.mint_login(&draft).map_err(SignRefusal::from)?;
        let kid = ready.minter.key().public().id();
        // No message is the empty one: an id of a login is never given again.
        let nothing = MessageHash::of(Kind::Message, "", &[]);
        self.signer.issued.of_mut(stream).give(nothing);
        Ok(Signed::new(token, id, kid, now.time, lifetime_seconds))
    }

    fn count_signing(&mut self, outcome: Result<Signed, NotSigned>) -> Result<Signed, NotSigned> {
        match &outcome {
            Ok(_) => self.counts.signed = self.counts.signed.saturating_add(1),
            Err(why @ NotSigned::Failed(_)) => counts::add(&mut self.counts.failed, why.code()),
            Err(why @ NotSigned::Refused(_)) => counts::add(&mut self.counts.refused, why.code()),
        }
        outcome
    }
}

impl Settings {
    fn default_lifetime_seconds(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Message => self.message_lifetime_seconds,
            Kind::Retained | Kind::Will => kind.lifetime_default_seconds(),
        }
    }
}

/// The key, and what it has signed in this epoch.
pub(super) struct Signer {
    state: State,
    issued: Streams,
}

enum State {
    Blocked {
        why: SignBlock,
        kid: Option<KeyId>,
    },
    Enrolled {
        epoch: u64,
        minter: Box<Minter>,
    },
    /// A key, but no device that owns it.
    Idle {
        epoch: u64,
        key: Box<SigningKey>,
    },
}

#[derive(Default)]
struct Streams {
    at_most_once: Issued,
    reliable: Issued,
}

/// Everything that signing needs, when nothing forbids it.
struct Ready<'a> {
    epoch: u64,
    minter: &'a Minter,
    view: &'a TrustView,
    in_force: &'a InForce,
}

impl Signer {
    pub(super) fn new(signing: Signing) -> Self {
        let state = match signing {
            Signing::Blocked { why, kid } => State::Blocked { why, kid },
            Signing::Ready { epoch, key } => State::Idle { epoch, key },
        };
        Self {
            state,
            issued: Streams::default(),
        }
    }

    /// Takes the name that the registry gives this device.
    pub(super) fn follow(&mut self, in_force: Option<&InForce>) {
        let device = in_force.and_then(|in_force| {
            let own = in_force.own.as_ref()?;
            Some((&in_force.view.domain, &own.device.id))
        });
        let blocked = State::Blocked {
            why: SignBlock::NoIdentity,
            kid: None,
        };
        let (epoch, key) = match std::mem::replace(&mut self.state, blocked) {
            blocked @ State::Blocked { .. } => {
                self.state = blocked;
                return;
            }
            State::Enrolled { epoch, minter } => (epoch, Box::new(minter.into_key())),
            State::Idle { epoch, key } => (epoch, key),
        };
        self.state = match device {
            None => State::Idle { epoch, key },
            Some((domain, device)) => State::Enrolled {
                epoch,
                minter: Box::new(Minter::new(*key, domain, device.clone())),
            },
        };
    }

    fn kid(&self) -> Option<KeyId> {
        match &self.state {
            State::Blocked { kid, .. } => *kid,
            State::Enrolled { minter, .. } => Some(minter.key().public().id()),
            State::Idle { key, .. } => Some(key.public().id()),
        }
    }

    /// Identity, trust, enrollment, clock: in this order, so that the first thing to repair is
    /// named.
    fn ready<'a>(
        &'a self,
        settings: &Settings,
        in_force: Option<&'a InForce>,
        now: &Now,
    ) -> Result<Ready<'a>, SignFailure> {
        if let State::Blocked { why, .. } = &self.state {
            return Err(why.clone().into());
        }
        let in_force = in_force.ok_or(Failure::NoManifest)?;
        let State::Enrolled { epoch, minter } = &self.state else {
            return Err(Failure::NotEnrolled.into());
        };
        let own = in_force.own.as_ref().ok_or(Failure::NotEnrolled)?;
        let in_use = matches!(own.key_state, KeyState::Active | KeyState::Retiring);
        if !in_use || own.device.state != DeviceState::Active {
            return Err(Failure::NotEnrolled.into());
        }
        receiver(settings, in_force).expect_clock(now)?;
        let staleness = in_force.view.staleness(now.time, settings.grace_seconds);
        if let Staleness::PastGrace { expired_seconds } = staleness {
            return Err(Failure::TrustStale { expired_seconds }.into());
        }
        Ok(Ready {
            epoch: *epoch,
            minter,
            view: &in_force.view,
            in_force,
        })
    }
}

impl Streams {
    const fn of(&self, stream: Stream) -> &Issued {
        match stream {
            Stream::AtMostOnce => &self.at_most_once,
            Stream::Reliable => &self.reliable,
        }
    }

    const fn of_mut(&mut self, stream: Stream) -> &mut Issued {
        match stream {
            Stream::AtMostOnce => &mut self.at_most_once,
            Stream::Reliable => &mut self.reliable,
        }
    }
}

impl Ready<'_> {
    fn next_id(&self, stream: Stream, issued: &Issued) -> Result<TokenId, SignFailure> {
        let counter = issued.next().ok_or(SignBlock::StateLost)?;
        Ok(TokenId {
            epoch: self.epoch,
            stream,
            counter,
        })
    }

    fn was_given(
        &self,
        id: TokenId,
        stream: Stream,
        issued: &Issued,
        message: MessageHash,
    ) -> bool {
        id.epoch == self.epoch && id.stream == stream && issued.was_given(id.counter, message)
    }

    /// Mints; a lifetime that nobody asked for is clipped to the longest that is granted.
    fn mint(&self, draft: &mut Draft<'_>, clip: bool) -> Result<String, SignRefusal> {
        let refusal = match self.try_mint(draft) {
            Err(refusal @ MintRefusal::NotGranted(_)) if clip => refusal,
            outcome => return Ok(outcome?),
        };
        match self.longest_lifetime_seconds(draft) {
            Some(seconds) if seconds < draft.lifetime_seconds => {
                draft.lifetime_seconds = seconds;
                Ok(self.try_mint(draft)?)
            }
            _ => Err(refusal.into()),
        }
    }

    fn try_mint(&self, draft: &Draft<'_>) -> Result<String, MintRefusal> {
        let own = self.in_force.own.as_ref().map(|own| &*own.device);
        let roles = own.into_iter().flat_map(|own| self.view.roles_of(own));
        self.minter.mint(roles, draft)
    }

    fn longest_lifetime_seconds(&self, draft: &Draft<'_>) -> Option<u64> {
        let own = self.in_force.own.as_ref()?;
        let response = draft.properties.response_topic;
        let act = Act {
            device: self.minter.device(),
            kind: draft.kind,
            topic: Topic::parse(draft.topic).ok()?,
            audience: draft.audience,
            lifetime_seconds: 1,
            response: match response {
                Some(text) => Some(Topic::parse(text.as_bytes()).ok()?),
                None => None,
            },
            vouched: draft.vouched,
        };
        grant::longest_lifetime_seconds(self.view.roles_of(&own.device), &act)
    }
}
