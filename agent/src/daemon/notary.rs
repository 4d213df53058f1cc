//! The running agent as the gateway's notary.

use super::Agent;
use crate::engine::{LoadedKey, Minted, NotSigned, SignDraft, SignFailure, Step};
use crate::gateway::message::Notary;
use crate::gateway::metrics::Histogram;
use crate::wire::{LoginRequest, Signed};
use edgeseal_trust::id::{Audience, DeviceId};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::PeerKey;
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Failure, Received, Verdict, Verified};
use std::sync::Arc;
use std::time::Instant;

/// Signs and judges by the agent's engine, and stores what a verdict changed before it is used.
pub struct AgentNotary {
    agent: Arc<Agent>,
    verification: Histogram,
}

impl AgentNotary {
    /// The notary that this agent is.
    pub fn new(agent: Arc<Agent>) -> Self {
        Self {
            agent,
            verification: Histogram::default(),
        }
    }

    /// How long judgements took, storing included.
    pub const fn verification(&self) -> &Histogram {
        &self.verification
    }
}

impl Notary for AgentNotary {
    fn device(&self) -> Option<DeviceId> {
        self.agent.device()
    }

    fn time(&self) -> UnixTime {
        self.agent.with(|_, now| now.time)
    }

    fn sign(&mut self, draft: &SignDraft<'_>) -> Result<Minted, NotSigned> {
        self.agent.with(|engine, now| engine.sign_draft(draft, now))
    }

    fn login(&mut self, audience: &Audience, lifetime_seconds: u64) -> Result<Signed, NotSigned> {
        self.agent.login(&LoginRequest {
            audience: audience.clone(),
            lifetime_seconds: Some(lifetime_seconds),
        })
    }

    fn introduce(&mut self, consumer: &ConsumerId) -> Result<(), Failure> {
        self.agent.introduce(consumer)
    }

    fn judge(
        &mut self,
        token: &[u8],
        received: &Received<'_>,
        loaded: Option<&LoadedKey>,
        before_stored: &mut dyn FnMut(&Verified),
    ) -> Step<Result<Verdict, Failure>> {
        let began = Instant::now();
        let step = self.agent.judge(token, received, loaded, before_stored);
        if let Step::Done(_) = &step {
            self.verification.record(began.elapsed());
        }
        step
    }

    fn peer(
        &self,
        kid: KeyId,
        loaded: Option<&LoadedKey>,
    ) -> Step<Result<Option<Arc<PeerKey>>, Failure>> {
        self.agent.with(|engine, _| engine.peer(kid, loaded))
    }

    fn can_judge(&self) -> Result<(), Failure> {
        self.agent.with(|engine, now| engine.expect_judging(now))
    }

    fn can_sign(&self) -> Result<(), SignFailure> {
        self.agent.with(|engine, now| engine.expect_signing(now))
    }
}
