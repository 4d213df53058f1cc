//! Who signs and judges.

use crate::engine::{Engine, LoadedKey, Minted, NotSigned, SignDraft, SignFailure, Step};
use crate::wire::{LoginRequest, Signed};
use edgeseal_trust::clock::Now;
use edgeseal_trust::id::{Audience, DeviceId};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::PeerKey;
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Failure, Received, Verdict, Verified};
use std::sync::Arc;

/// Signs and judges: the daemon's agent, or a bare engine in tests and fuzzing.
pub trait Notary {
    /// This device's name in the registry.
    fn device(&self) -> Option<DeviceId>;

    /// This device's clock.
    fn time(&self) -> UnixTime;

    /// Signs a message, retained statement or will.
    ///
    /// # Errors
    /// [`NotSigned`]; no id has been used then.
    fn sign(&mut self, draft: &SignDraft<'_>) -> Result<Minted, NotSigned>;

    /// Signs a login token.
    ///
    /// # Errors
    /// [`NotSigned`]; no id has been used then.
    fn login(&mut self, audience: &Audience, lifetime_seconds: u64) -> Result<Signed, NotSigned>;

    /// Makes a consumer known before its first message, so that it begins with what others had accepted by
    /// now and not later: what one program gets first is no replay for the next one.
    ///
    /// # Errors
    /// [`Failure`] at the bound of consumers, or where it cannot be stored.
    fn introduce(&mut self, consumer: &ConsumerId) -> Result<(), Failure>;

    /// Judges a message. The verdict may be used when this returns: what it changed in the replay memory
    /// is stored. `before_stored` runs once a message is verified and before that is stored, so that what
    /// it stores itself is never missing after a kill.
    ///
    /// # Errors
    /// [`Failure`] when this device is in no state to judge: ask again later.
    fn judge(
        &mut self,
        token: &[u8],
        received: &Received<'_>,
        loaded: Option<&LoadedKey>,
        before_stored: &mut dyn FnMut(&Verified),
    ) -> Step<Result<Verdict, Failure>>;

    /// What the registry has under the name of a key.
    ///
    /// # Errors
    /// [`Failure`] where there is no trust data, or the store does not answer.
    fn peer(
        &self,
        kid: KeyId,
        loaded: Option<&LoadedKey>,
    ) -> Step<Result<Option<Arc<PeerKey>>, Failure>>;

    /// Whether this device could judge now.
    ///
    /// # Errors
    /// The [`Failure`] that every judgement would return.
    fn can_judge(&self) -> Result<(), Failure>;

    /// Whether this device could sign now.
    ///
    /// # Errors
    /// The [`SignFailure`] that every signature would return.
    fn can_sign(&self) -> Result<(), SignFailure>;
}

/// A bare engine at one moment. Nothing is stored.
pub struct EngineNotary<'a> {
    /// The engine.
    pub engine: &'a mut Engine,
    /// The moment.
    pub now: Now,
}

impl Notary for EngineNotary<'_> {
    fn device(&self) -> Option<DeviceId> {
        self.engine.device().cloned()
    }

    fn time(&self) -> UnixTime {
        self.now.time
    }

    fn sign(&mut self, draft: &SignDraft<'_>) -> Result<Minted, NotSigned> {
        self.engine.sign_draft(draft, &self.now)
    }

    fn login(&mut self, audience: &Audience, lifetime_seconds: u64) -> Result<Signed, NotSigned> {
        let request = LoginRequest {
            audience: audience.clone(),
            lifetime_seconds: Some(lifetime_seconds),
        };
        self.engine.login(&request, &self.now)
    }

    fn judge(
        &mut self,
        token: &[u8],
        received: &Received<'_>,
        loaded: Option<&LoadedKey>,
        before_stored: &mut dyn FnMut(&Verified),
    ) -> Step<Result<Verdict, Failure>> {
        let step = self.engine.judge(token, received, &self.now, loaded);
        if let Step::Done(Ok(Verdict::Verified(verified))) = &step {
            before_stored(verified);
        }
        step
    }

    fn introduce(&mut self, consumer: &ConsumerId) -> Result<(), Failure> {
        self.engine.introduce(consumer, &self.now)
    }

    fn peer(
        &self,
        kid: KeyId,
        loaded: Option<&LoadedKey>,
    ) -> Step<Result<Option<Arc<PeerKey>>, Failure>> {
        self.engine.peer(kid, loaded)
    }

    fn can_judge(&self) -> Result<(), Failure> {
        self.engine.expect_judging(&self.now)
    }

    fn can_sign(&self) -> Result<(), SignFailure> {
        self.engine.expect_signing(&self.now)
    }
}
