//! Judging what others signed.

use super::explain::{Recorder, explanation};
use super::{Engine, InForce, KeyLookup, KeyTicket, LoadedKey, Step, counts, receiver};
use crate::wire::{Answer, ErrorBody, Explanation, VerdictBody, VerifyRequest};
use edgeseal_trust::clock::Now;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::PeerKey;
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::token::{
    ALG, Check, Failure, ReceiveRule, Received, Trace, Unverified, Verdict, verify,
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
        let step = self.run(token, received, now, loaded, &mut ());
        if let Step::Done(outcome) = &step {
            self.count(outcome);
        }
        step
    }

    /// Judges a message as [`Engine::verify`] does and tells of every check. It is counted nowhere.
    pub fn explain(
        &mut self,
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
        match self.run(token, &received, now, loaded, &mut recorder) {
            Step::Done(outcome) => Step::Done(explanation(recorder, token, &outcome)),
            Step::NeedsKey(ticket) => Step::NeedsKey(ticket),
        }
    }

    fn run(
        &mut self,
        token: &[u8],
        received: &Received<'_>,
        now: &Now,
        loaded: Option<&LoadedKey>,
        trace: &mut impl Trace,
    ) -> Step<Result<Verdict, Failure>> {
        let unverified = match Unverified::parse(token, received.rule.kind.typ()) {
            Ok(unverified) => unverified,
            Err(rejection) => return Step::Done(Ok(Verdict::Rejected(rejection))),
        };
        let (typ, kid) = (received.rule.kind.typ(), unverified.kid());
        trace.passed(
            Check::Header,
            format_args!("alg {ALG}, typ {typ}, kid {kid}"),
        );
        let Some(in_force) = &self.in_force else {
            return Step::Done(Err(Failure::NoManifest));
        };
        let key = match in_force.key(kid, loaded) {
            Step::Done(Ok(key)) => key,
            Step::Done(Err(failure)) => return Step::Done(Err(failure)),
            Step::NeedsKey(ticket) => return Step::NeedsKey(ticket),
        };
        let receiver = receiver(&self.settings, in_force);
        let memory = self.memory.as_mut();
        Step::Done(verify(
            &unverified,
            key.as_deref(),
            received,
            &receiver,
            now,
            memory,
            trace,
        ))
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
