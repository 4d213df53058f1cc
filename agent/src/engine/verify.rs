//! Judging what others signed.

use super::explain::{Recorder, explanation};
use super::{Engine, InForce, KeyLookup, KeyTicket, LoadedKey, Settings, Step, counts, receiver};
use crate::wire::{Answer, ErrorBody, Explanation, VerdictBody, VerifyRequest};
use edgeseal_trust::clock::Now;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::PeerKey;
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::status::Refused;
use edgeseal_trust::token::{
    ALG, Check, Failure, Memory, ReceiveRule, Received, Rejection, Trace, Unverified, Verdict,
    verify,
};
use std::sync::Arc;

impl Engine {
    /// Judges a message for a caller of the local API. `loaded` is what came of the
    /// [`KeyTicket`] that an earlier call for this message answered.
    ///
    /// # Errors
    /// [`Failure`] when this device is in no state to judge: ask again later.
    pub fn verify(
        &mut self,
        request: &VerifyRequest,
        consumer: &ConsumerId,
        now: &Now,
        loaded: Option<&LoadedKey>,
    ) -> Step<Result<Verdict, Failure>> {
        let rule = request.rule();
        let mut pairs = Vec::new();
        let received = request.received(consumer, &rule, &mut pairs);
        self.judge(request.token.as_bytes(), &received, now, loaded)
    }

    /// Judges a message by any rule.
    ///
    /// # Errors
    /// As for [`Engine::verify`].
    pub fn judge(
        &mut self,
        token: &[u8],
        received: &Received<'_>,
        now: &Now,
        loaded: Option<&LoadedKey>,
    ) -> Step<Result<Verdict, Failure>> {
        let crowds = self.crowds_others(received.consumer);
        let memory = match (&mut self.memory, crowds) {
            (Some(memory), true) => Memory::Foresee(memory),
            (memory, _) => memory.as_mut().into(),
        };
        let judge = Judge {
            settings: &self.settings,
            in_force: self.in_force.as_ref(),
            now,
            loaded,
        };
        let step = judge
            .run(token, received, memory, &mut ())
            .map(share(crowds));
        if let Step::Done(outcome) = &step {
            self.count(outcome);
            if let Ok(Verdict::Rejected(why)) = outcome {
                self.note_refusal(token, received, why, now, loaded);
            }
        }
        step
    }

    /// Judges a message as [`Engine::verify`] would and tells of every check. It is counted nowhere
    /// and remembered nowhere: a message that was accepted before is explained as a replay.
    pub fn explain(
        &self,
        request: &VerifyRequest,
        consumer: &ConsumerId,
        now: &Now,
        loaded: Option<&LoadedKey>,
    ) -> Step<Explanation> {
        let rule = request.rule();
        let mut pairs = Vec::new();
        let received = request.received(consumer, &rule, &mut pairs);
        let mut recorder = Recorder::default();
        let token = request.token.as_bytes();
        let memory = self.memory.as_ref().map_or(Memory::Forget, Memory::Foresee);
        let judge = Judge {
            settings: &self.settings,
            in_force: self.in_force.as_ref(),
            now,
            loaded,
        };
        judge
            .run(token, &received, memory, &mut recorder)
            .map(share(self.crowds_others(consumer)))
            .map(|outcome| explanation(recorder, token, &outcome))
    }

    /// What the registry has under a key's name, without judging anything.
    ///
    /// # Errors
    /// [`Failure`] where there is no trust data, or the store does not answer.
    pub fn peer(
        &self,
        kid: KeyId,
        loaded: Option<&LoadedKey>,
    ) -> Step<Result<Option<Arc<PeerKey>>, Failure>> {
        match &self.in_force {
            Some(in_force) => in_force.key(kid, loaded),
            None => Step::Done(Err(Failure::NoManifest)),
        }
    }

    /// Whether this is one more named consumer of a user that has its share of them: a quarter, so
    /// that nobody who makes up names takes the memory from the others.
    pub(super) fn crowds_others(&self, consumer: &ConsumerId) -> bool {
        let (Some(memory), Some(user)) = (&self.memory, user_of_named(consumer)) else {
            return false;
        };
        let share = memory.bounds().consumers.div_ceil(4);
        !memory.is_known(consumer)
            && memory.consumers_named(|name| user_of_named(name) == Some(user)) >= share
    }

    /// Who sent it is said only where the signature was right: nobody is blamed for what others wrote.
    fn note_refusal(
        &mut self,
        token: &[u8],
        received: &Received<'_>,
        why: &Rejection,
        now: &Now,
        loaded: Option<&LoadedKey>,
    ) {
        let kid = Unverified::parse(token, received.rule.kind.typ()).map(|token| token.kid());
        let sender = match (kid, &self.in_force) {
            (Ok(kid), Some(in_force)) if is_after_signature(why) => in_force.key(kid, loaded),
            _ => Step::Done(Ok(None)),
        };
        let sender = match sender {
            Step::Done(Ok(peer)) => peer.map(|peer| peer.device.id.clone()),
            _ => None,
        };
        self.last_refusal = Some(Refused {
            code: why.code().to_owned(),
            sender,
            at: now.time,
        });
    }

    fn count(&mut self, outcome: &Result<Verdict, Failure>) {
        let counts = &mut self.counts;
        match outcome {
            Ok(Verdict::Verified(_)) => counts.verified = counts.verified.saturating_add(1),
            Ok(Verdict::Rejected(why)) => counts::add(&mut counts.rejected, why.code()),
            Err(failure) => counts::add(&mut counts.failed, failure.code()),
        }
    }
}

/// What is accepted in a memory that has no room for it is not judged.
fn share(is_taken: bool) -> impl FnOnce(Result<Verdict, Failure>) -> Result<Verdict, Failure> {
    move |outcome| match outcome {
        Ok(Verdict::Verified(_)) if is_taken => Err(CROWDED),
        outcome => outcome,
    }
}

/// The part of an [`api_consumer`](super::api_consumer) with a name that says whose it is.
fn user_of_named(consumer: &str) -> Option<&str> {
    consumer
        .rsplit_once(':')
        .map(|(user, _)| user)
        .filter(|user| user.contains(':'))
}

/// All that a verification stands on but the message.
struct Judge<'a> {
    settings: &'a Settings,
    in_force: Option<&'a InForce>,
    now: &'a Now,
    loaded: Option<&'a LoadedKey>,
}

impl Judge<'_> {
    fn run(
        &self,
        token: &[u8],
        received: &Received<'_>,
        memory: Memory<'_>,
        trace: &mut impl Trace,
    ) -> Step<Result<Verdict, Failure>> {
        let typ = received.rule.kind.typ();
        let unverified = match Unverified::parse(token, typ) {
            Ok(unverified) => unverified,
            Err(rejection) => return Step::Done(Ok(Verdict::Rejected(rejection))),
        };
        let kid = unverified.kid();
        let facts = format_args!("alg {ALG}, typ {typ}, kid {kid}");
        trace.passed(Check::Header, facts);
        let Some(in_force) = self.in_force else {
            return Step::Done(Err(Failure::NoManifest));
        };
        let key = match in_force.key(kid, self.loaded) {
            Step::Done(Ok(key)) => key,
            Step::Done(Err(failure)) => return Step::Done(Err(failure)),
            Step::NeedsKey(ticket) => return Step::NeedsKey(ticket),
        };
        let receiver = receiver(self.settings, in_force);
        let key = key.as_deref();
        let outcome = verify(
            &unverified,
            key,
            received,
            &receiver,
            self.now,
            memory,
            trace,
        );
        Step::Done(outcome)
    }
}

impl InForce {
    fn key(
        &self,
        kid: KeyId,
        loaded: Option<&LoadedKey>,
    ) -> Step<Result<Option<Arc<PeerKey>>, Failure>> {
        match self.keys.lookup(kid) {
            KeyLookup::Known(key) => Step::Done(Ok(Some(key))),
            KeyLookup::Unknown => Step::Done(Ok(None)),
            KeyLookup::NeedsLoad => {
                let manifest = (self.view.root_version, self.view.sequence);
                let ticket = KeyTicket::new(kid, manifest);
                match loaded.and_then(|loaded| loaded.answer(ticket)) {
                    Some(found) => Step::Done(found.map_err(Failure::Store)),
                    None => Step::NeedsKey(ticket),
                }
            }
        }
    }
}

impl VerifyRequest {
    fn rule(&self) -> ReceiveRule {
        ReceiveRule {
            kind: self.kind,
            ..ReceiveRule::default()
        }
    }

    fn received<'a>(
        &'a self,
        consumer: &'a ConsumerId,
        rule: &'a ReceiveRule,
        pairs: &'a mut Vec<(&'a str, &'a str)>,
    ) -> Received<'a> {
        let properties = self.properties.as_ref();
        Received {
            topic: self.topic.as_bytes(),
            payload: self.payload_b64.as_slice(),
            properties: properties.map(|properties| properties.borrow(pairs)),
            retain: self.retain,
            consumer,
            rule,
        }
    }
}

impl From<&Result<Verdict, Failure>> for Answer<VerdictBody> {
    fn from(outcome: &Result<Verdict, Failure>) -> Self {
        match outcome {
            Ok(verdict) => Self::Done(verdict.into()),
            Err(failure) => Self::Error(ErrorBody::from(failure)),
        }
    }
}

/// Whether the signature was found right before this was found wrong.
const fn is_after_signature(why: &Rejection) -> bool {
    matches!(
        why,
        Rejection::Audience { .. }
            | Rejection::BeforeStart { .. }
            | Rejection::CloneProven { .. }
            | Rejection::DevicePending(_)
            | Rejection::DeviceRevoked(_)
            | Rejection::DeviceSuspended(_)
            | Rejection::Expired { .. }
            | Rejection::IssuedInFuture { .. }
            | Rejection::KeyNotYetValid { .. }
            | Rejection::KeyRetired(_)
            | Rejection::KeyRevoked(_)
            | Rejection::Lifetime { .. }
            | Rejection::NotGranted(_)
            | Rejection::OldEpoch { .. }
            | Rejection::Overage { .. }
            | Rejection::Payload { .. }
            | Rejection::PropertyAltered { .. }
            | Rejection::PropertyMissing(_)
            | Rejection::PropertyUnsigned(_)
            | Rejection::Replay(_)
            | Rejection::Subject { .. }
            | Rejection::Superseded
            | Rejection::Topic { .. }
            | Rejection::WillSpent(_)
            | Rejection::WindowPassed { .. }
    )
}

pub(super) const CROWDED: Failure = Failure::MemoryFull("this user has its share of consumers");
