//! Signing and verifying in this process, as the agent does it for a known peer.

use super::Row;
use super::measure::{By, Medians, interleave};
use crate::cli::Complaint;
use crate::engine::{Engine, InForce, KeyTable, Own, Settings, Signing, Step, api_consumer};
use crate::exit::Exit;
use crate::wire::{ErrorBody, Octets, SignRequest, Signed, VerifyRequest};
use ed25519_dalek::{Signature, Signer};
use edgeseal_trust::clock::{ClockState, Now};
use edgeseal_trust::grant::{AudiencePattern, Grant};
use edgeseal_trust::id::{DeviceId, InvalidName, RoleName, TrustDomain};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::registry::{Device, DeviceState, KeyState, PeerKey, Role, TrustView};
use edgeseal_trust::replay::ReplayMemory;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Unsynchronized, Verdict};
use edgeseal_trust::topic::TopicFilter;
use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

/// A device alone in its domain, which talks to itself.
pub(super) struct Bench {
    seed: [u8; 32],
    now: UnixTime,
}

pub(super) fn rows(rounds: u32, operations: u32) -> Result<Vec<Row>, Complaint> {
    let bench = Bench::new()?;
    let sign = bench.sign(rounds, operations)?;
    let verify = bench.verify(rounds, operations)?;
    Ok(vec![
        row("sign", RAW_SIGN, sign),
        row("verify, known peer", RAW_VERIFY, verify),
    ])
}

pub(super) fn row(work: &'static str, raw: &'static str, medians: Medians) -> Row {
    Row {
        work,
        microseconds: medians.ours,
        raw,
        raw_microseconds: medians.raw,
        ratio: medians.ours / medians.raw,
        above_raw_microseconds: medians.ours - medians.raw,
    }
}

/// What one message of 256 octets asks for.
pub(super) fn request() -> SignRequest {
    SignRequest {
        topic: "site/bench/temperature".to_owned(),
        payload_b64: Octets(vec![b'7'; PAYLOAD_OCTETS]),
        audience: None,
        kind: Default::default(),
        lifetime_seconds: None,
        qos: None,
        properties: None,
        captured_at: None,
        vouched: false,
        resend: None,
    }
}

impl Bench {
    pub(super) fn new() -> Result<Self, Complaint> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| broken(&error))?;
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Ok(Self {
            seed,
            now: UnixTime::from_seconds(since.as_secs().max(1)),
        })
    }

    /// The engine of an enrolled device.
    pub(super) fn engine(&self, memory: Option<ReplayMemory>) -> Result<Engine, Complaint> {
        let key = SigningKey::from_seed(&self.seed);
        let (view, peer) = self.registry(&key).map_err(|error| broken(&error))?;
        let signing = Signing::Ready {
            epoch: 1,
            key: Box::new(key),
        };
        let settings = Settings {
            unsynchronized: Unsynchronized::Allow,
            ..Settings::default()
        };
        let mut engine = Engine::new(settings, signing, memory);
        engine.set_in_force(Some(InForce {
            view: Arc::new(view),
            own: Some(Own::from(&peer)),
            keys: Box::new(std::iter::once(peer).collect::<KeyTable>()),
        }));
        Ok(engine)
    }

    /// The raw operation: dalek's, with the key kept.
    pub(super) fn raw_key(&self) -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(&self.seed)
    }

    /// What a token's signature is made over: of the same length as those of the engine.
    pub(super) fn signing_input(&self) -> Result<(String, Signature), Complaint> {
        let mut engine = self.engine(None)?;
        let signed = self.signed(&mut engine, &request())?;
        self.split(&signed.token)
    }

    fn split(&self, token: &str) -> Result<(String, Signature), Complaint> {
        let (input, _) = token
            .rsplit_once('.')
            .ok_or_else(|| broken(&"a token without a dot"))?;
        let signature = self.raw_key().sign(input.as_bytes());
        Ok((input.to_owned(), signature))
    }

    fn sign(&self, rounds: u32, operations: u32) -> Result<Medians, Complaint> {
        let (input, _) = self.signing_input()?;
        let raw_key = self.raw_key();
        let mut engine = self.engine(None)?;
        let request = request();
        interleave(
            By::ThreadTime,
            rounds,
            operations,
            |_| {
                black_box(raw_key.sign(black_box(input.as_bytes())));
                Ok(())
            },
            |_| {
                self.signed(&mut engine, black_box(&request)).map(|signed| {
                    black_box(signed);
                })
            },
        )
    }

    /// From the text of the token to the verdict, replay included: each message is another one.
    fn verify(&self, rounds: u32, operations: u32) -> Result<Medians, Complaint> {
        let raw_key = self.raw_key().verifying_key();
        let mut signer = self.engine(None)?;
        let mut verifier = self.engine(Some(super::memory()))?;
        let consumer = api_consumer(0, None);
        let now = self.now();
        let total = rounds.saturating_add(1).saturating_mul(operations);
        let mut messages = Vec::new();
        // Of the same messages on both sides: a processor learns one that is verified over and over.
        let mut raw = Vec::new();
        for _ in 0..total {
            let message = self.message(&mut signer)?;
            raw.push(self.split(&message.token)?);
            messages.push(message);
        }
        let (mut messages, mut raw) = (messages.iter(), raw.iter());
        interleave(
            By::ThreadTime,
            rounds,
            operations,
            |_| {
                let (input, signature) = raw.next().ok_or_else(|| broken(&"no message left"))?;
                raw_key
                    .verify_strict(black_box(input.as_bytes()), black_box(signature))
                    .map_err(|error| broken(&error))
            },
            |_| {
                let message = messages.next().ok_or_else(|| broken(&"no message left"))?;
                match verifier.verify(black_box(message), &consumer, &now, None) {
                    Step::Done(Ok(Verdict::Verified(verified))) => {
                        black_box(verified);
                        Ok(())
                    }
                    other => Err(broken(&format_args!("not verified: {other:?}"))),
                }
            },
        )
    }

    fn message(&self, signer: &mut Engine) -> Result<VerifyRequest, Complaint> {
        let request = request();
        let signed = self.signed(signer, &request)?;
        Ok(VerifyRequest {
            token: signed.token,
            topic: request.topic,
            payload_b64: request.payload_b64,
            kind: Default::default(),
            qos: None,
            retain: false,
            consumer: None,
            properties: None,
        })
    }

    fn signed(&self, engine: &mut Engine, request: &SignRequest) -> Result<Signed, Complaint> {
        let signed = engine.sign(request, &self.now());
        signed.map_err(|why| ErrorBody::from(&why).into())
    }

    const fn now(&self) -> Now {
        Now {
            time: self.now,
            clock: ClockState::Synchronized,
            floor: self.now,
        }
    }

    fn registry(&self, key: &SigningKey) -> Result<(TrustView, PeerKey), InvalidName> {
        let role = RoleName::parse("bench")?;
        let device = Device {
            id: DeviceId::parse("bench")?,
            state: DeviceState::Active,
            roles: Box::new([role.clone()]),
            groups: Box::new([]),
        };
        let grant = Grant {
            publish: TopicFilter::parse("site/{device}/#").into_iter().collect(),
            audiences: vec![AudiencePattern::Domain],
            ..Grant::default()
        };
        let view = TrustView {
            domain: TrustDomain::parse("bench")?,
            root_version: 1,
            root_expires_at: self.now.plus(YEAR_SECONDS),
            sequence: 1,
            issued_at: self.now.minus(HOUR_SECONDS),
            expires_at: self.now.plus(YEAR_SECONDS),
            roles: std::iter::once((
                role.clone(),
                Arc::new(Role {
                    name: role,
                    grants: vec![grant],
                    manifest_age_seconds: None,
                }),
            ))
            .collect(),
        };
        let peer = PeerKey {
            key: key.public().clone(),
            state: KeyState::Active,
            not_before: UnixTime::default(),
            retired_at: None,
            device: Arc::new(device),
        };
        Ok((view, peer))
    }
}

/// A measurement that measures nothing is worse than none.
pub(super) fn broken(what: &dyn std::fmt::Display) -> Complaint {
    let hint = "please report it, with the output of edgeseal-agent --version";
    Complaint::new(Exit::No, "bench", what.to_string(), hint)
}

pub(super) const RAW_SIGN: &str = "ed25519-dalek sign";
const RAW_VERIFY: &str = "ed25519-dalek verify_strict";
const PAYLOAD_OCTETS: usize = 256;
const HOUR_SECONDS: u64 = 3600;
const YEAR_SECONDS: u64 = 365 * 86_400;
