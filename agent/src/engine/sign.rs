//! Signing: the agent says who and when, the caller what and where.

use super::resend::{Message, MessageHash};
use super::{
    Engine, Lifetime, Minted, NotSigned, Settings, SignDraft, SignFailure, SignRefusal, counts,
};
use crate::wire::{LoginRequest, SignRequest, Signed};
use edgeseal_trust::clock::{ClockState, Now};
use edgeseal_trust::id::Audience;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::limits;
use edgeseal_trust::token::{Draft, Kind, LoginDraft, PayloadHash, Stream};

impl Engine {
    /// Signs a message, retained statement or will.
    ///
    /// # Errors
    /// [`NotSigned`]; no id has been used then.
    pub fn sign(&mut self, request: &SignRequest, now: &Now) -> Result<Signed, NotSigned> {
        let mut pairs = Vec::new();
        let minted = self.sign_draft(&request.draft(&mut pairs), now)?;
        Ok(minted.into())
    }

    /// Signs what is borrowed.
    ///
    /// # Errors
    /// [`NotSigned`] as for [`Engine::sign`].
    pub fn sign_draft(&mut self, draft: &SignDraft<'_>, now: &Now) -> Result<Minted, NotSigned> {
        let outcome = self.try_sign(draft, now);
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
        self.signer.epoch()
    }

    fn try_sign(&mut self, request: &SignDraft<'_>, now: &Now) -> Result<Minted, NotSigned> {
        let ready = self
            .signer
            .ready(&self.settings, self.in_force.as_ref(), now)?;
        let stream = request.qos.map_or(Stream::Reliable, |qos| qos.stream());
        let issued = self.signer.issued.of(stream);
        let payload = PayloadHash::of(request.payload);
        let everybody = Audience::Domain(ready.view.domain.clone());
        let audience = request.audience.unwrap_or(&everybody);
        let message = Message {
            kind: request.kind,
            topic: request.topic,
            payload,
            audience,
            properties: request.properties,
            vouched: request.vouched,
        };
        let message = message.hash();
        let id = match request.resend {
            None => ready.next_id(stream, issued)?,
            Some(id) if ready.was_given(id, stream, issued, message) => id,
            Some(id) => return Err(SignRefusal::ResendUnknown(id).into()),
        };
        let mut draft = Draft {
            kind: request.kind,
            topic: request.topic.as_bytes(),
            payload,
            properties: request.properties,
            audience,
            issued_at: now.time,
            lifetime_seconds: self.settings.lifetime_seconds(request),
            id,
            trust_sequence: ready.view.sequence,
            clock_unsynchronized: now.clock != ClockState::Synchronized,
            captured_at: request.captured_at,
            vouched: request.vouched,
        };
        let clip = !matches!(request.lifetime, Lifetime::Exactly(_));
        let minted = Minted {
            token: ready.mint(&mut draft, clip)?,
            id,
            kid: ready.minter.key().public().id(),
            issued_at: now.time,
            expires_at: now.time.plus(draft.lifetime_seconds),
        };
        if request.resend.is_none() {
            self.signer.issued.of_mut(stream).give(message);
        }
        Ok(minted)
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
        let nothing = MessageHash::NONE; // the id of a login is never given again
        self.signer.issued.of_mut(stream).give(nothing);
        Ok(Signed::new(token, id, kid, now.time, lifetime_seconds))
    }

    fn count_signing<T>(&mut self, outcome: Result<T, NotSigned>) -> Result<T, NotSigned> {
        match &outcome {
            Ok(_) => self.counts.signed = self.counts.signed.saturating_add(1),
            Err(why @ NotSigned::Failed(_)) => counts::add(&mut self.counts.failed, why.code()),
            Err(why @ NotSigned::Refused(_)) => counts::add(&mut self.counts.refused, why.code()),
        }
        outcome
    }
}

impl Settings {
    fn lifetime_seconds(&self, draft: &SignDraft<'_>) -> u64 {
        match draft.lifetime {
            Lifetime::AtMost(seconds) => seconds.min(draft.kind.lifetime_ceiling_seconds()),
            Lifetime::Default => self.default_lifetime_seconds(draft.kind),
            Lifetime::Exactly(seconds) => seconds,
        }
    }

    fn default_lifetime_seconds(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Message => self.message_lifetime_seconds,
            Kind::Retained | Kind::Will => kind.lifetime_default_seconds(),
        }
    }
}
