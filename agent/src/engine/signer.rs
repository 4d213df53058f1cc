//! The key, the streams of counters, and whether this device may sign.

use super::resend::{Issued, MessageHash};
use super::{InForce, Settings, SignBlock, SignFailure, SignRefusal, receiver};
use edgeseal_trust::clock::Now;
use edgeseal_trust::grant::{self, Act};
use edgeseal_trust::key::{KeyId, SigningKey};
use edgeseal_trust::registry::{DeviceState, KeyState, Staleness, TrustView};
use edgeseal_trust::token::{Draft, Failure, MintRefusal, Minter, Stream, TokenId};
use edgeseal_trust::topic::Topic;

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

/// The key, and what it has signed in this epoch.
pub(super) struct Signer {
    state: State,
    pub(super) issued: Streams,
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
pub(super) struct Streams {
    at_most_once: Issued,
    reliable: Issued,
}

/// Everything that signing needs, when nothing forbids it.
pub(super) struct Ready<'a> {
    epoch: u64,
    pub(super) minter: &'a Minter,
    pub(super) view: &'a TrustView,
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
            State::Enrolled { epoch, minter } => (epoch, minter.into_key()),
            State::Idle { epoch, key } => (epoch, key),
        };
        self.state = match device {
            None => State::Idle { epoch, key },
            Some((domain, device)) => State::Enrolled {
                epoch,
                minter: Box::new(Minter::new(key, domain, device.clone())),
            },
        };
    }

    pub(super) fn kid(&self) -> Option<KeyId> {
        match &self.state {
            State::Blocked { kid, .. } => *kid,
            State::Enrolled { minter, .. } => Some(minter.key().public().id()),
            State::Idle { key, .. } => Some(key.public().id()),
        }
    }

    pub(super) fn epoch(&self) -> Option<u64> {
        match &self.state {
            State::Blocked { .. } => None,
            State::Idle { epoch, .. } | State::Enrolled { epoch, .. } => Some(*epoch),
        }
    }

    /// The key, and the next id of what is not to be signed anew.
    pub(super) fn key_and_id(
        &self,
        issued: &Issued,
    ) -> Result<(&SigningKey, TokenId), SignFailure> {
        let (key, epoch) = match &self.state {
            State::Blocked { why, .. } => return Err(why.clone().into()),
            State::Enrolled { epoch, minter } => (minter.key(), *epoch),
            State::Idle { epoch, key } => (&**key, *epoch),
        };
        let counter = issued.next().ok_or(SignBlock::StateLost)?;
        let id = TokenId {
            epoch,
            stream: Stream::Reliable,
            counter,
        };
        Ok((key, id))
    }

    /// Identity, trust, enrollment, clock: in this order, so that the first thing to repair is
    /// named.
    pub(super) fn ready<'a>(
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
    pub(super) const fn of(&self, stream: Stream) -> &Issued {
        match stream {
            Stream::AtMostOnce => &self.at_most_once,
            Stream::Reliable => &self.reliable,
        }
    }

    pub(super) const fn of_mut(&mut self, stream: Stream) -> &mut Issued {
        match stream {
            Stream::AtMostOnce => &mut self.at_most_once,
            Stream::Reliable => &mut self.reliable,
        }
    }
}

impl Ready<'_> {
    pub(super) fn next_id(&self, stream: Stream, issued: &Issued) -> Result<TokenId, SignFailure> {
        let counter = issued.next().ok_or(SignBlock::StateLost)?;
        Ok(TokenId {
            epoch: self.epoch,
            stream,
            counter,
        })
    }

    pub(super) fn was_given(
        &self,
        id: TokenId,
        stream: Stream,
        issued: &Issued,
        message: MessageHash,
    ) -> bool {
        id.epoch == self.epoch && id.stream == stream && issued.was_given(id.counter, message)
    }

    /// Mints; a lifetime that nobody asked for is clipped to the longest that is granted.
    pub(super) fn mint(&self, draft: &mut Draft<'_>, clip: bool) -> Result<String, SignRefusal> {
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
