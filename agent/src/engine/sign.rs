//! Signing: the agent says who and when, the caller what and where.

use super::resend::{Message, MessageHash};
use super::{Engine, NotSigned, Settings, SignFailure, SignRefusal, counts};
use crate::wire::{LoginRequest, PropertiesBody, SignRequest, Signed};
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
        self.signer.epoch()
    }

    fn try_sign(&mut self, request: &SignRequest, now: &Now) -> Result<Signed, NotSigned> {
        let ready = self
            .signer
            .ready(&self.settings, self.in_force.as_ref(), now)?;
        let stream = request.qos.map_or(Stream::Reliable, |qos| qos.stream());
        let issued = self.signer.issued.of(stream);
        let payload = PayloadHash::of(request.payload_b64.as_slice());
        let everybody = Audience::Domain(ready.view.domain.clone());
        let audience = request.audience.as_ref().unwrap_or(&everybody);
        let mut pairs = Vec::new();
        let none = PropertiesBody::default();
        let properties = request.properties.as_ref().unwrap_or(&none);
        let properties = properties.borrow(&mut pairs);
        let message = Message {
            kind: request.kind,
            topic: &request.topic,
            payload,
            audience,
            properties,
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
            properties,
            audience,
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
        let nothing = MessageHash::NONE; // the id of a login is never given again
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
