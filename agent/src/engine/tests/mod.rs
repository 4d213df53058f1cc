//! Two engines that talk to each other.

mod explaining;
mod remembering;
mod signing;
mod verifying;

use super::{Engine, InForce, KeyLookup, KeySource, KeyTable, Settings, Signing, Step};
use crate::wire::{SignRequest, Signed, VerifyRequest};
use edgeseal_trust::clock::{ClockReading, Now};
use edgeseal_trust::grant::{AudiencePattern, Grant};
use edgeseal_trust::id::{DeviceId, GroupName, RoleName, TrustDomain};
use edgeseal_trust::key::{KeyId, SigningKey};
use edgeseal_trust::registry::{Device, DeviceState, KeyState, PeerKey, Role, TrustView};
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Failure, Verdict};
use edgeseal_trust::topic::TopicFilter;
use std::sync::Arc;

const NOW: u64 = 1_800_000_000;
const GRACE: u64 = 1000;
/// Seconds from the manifest's `iat` to its `exp`.
const VALID: u64 = 86_400;

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

fn reading(seconds: u64, synchronized: bool) -> ClockReading {
    ClockReading {
        time: at(seconds),
        synchronized,
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn view() -> TrustView {
    let grant = |publish: &str, audience: &str| Grant {
        publish: vec![TopicFilter::parse(publish).unwrap()],
        audiences: vec![AudiencePattern::parse(audience).unwrap()],
        ..Grant::default()
    };
    let state = Grant {
        retained_seconds: Some(3600),
        responses: vec![TopicFilter::parse("reply/#").unwrap()],
        ..grant("state/{device}", "domain")
    };
    let longer = Grant {
        retained_seconds: Some(7200),
        ..grant("state/{device}", "domain")
    };
    let role = Role {
        name: RoleName::parse("sensor").unwrap(),
        grants: vec![
            grant("site/{device}/#", "domain"),
            grant("cmd/#", "device:*"),
            state,
            longer,
        ],
        manifest_age_seconds: None,
    };
    TrustView {
        domain: TrustDomain::parse("farm").unwrap(),
        root_version: 1,
        root_expires_at: at(NOW + 10 * VALID),
        sequence: 7,
        issued_at: at(NOW - 100),
        expires_at: at(NOW - 100 + VALID),
        roles: [(role.name.clone(), Arc::new(role))].into(),
    }
}

fn peer(seed: u8, id: &str, state: DeviceState, key_state: KeyState) -> PeerKey {
    PeerKey {
        key: key(seed).public().clone(),
        state: key_state,
        not_before: at(0),
        retired_at: None,
        device: Arc::new(Device {
            id: DeviceId::parse(id).unwrap(),
            state,
            roles: [RoleName::parse("sensor").unwrap()].into(),
            groups: [GroupName::parse("all").unwrap()].into(),
        }),
    }
}

/// The registry: `one` with the key of seed 1, `two` with that of seed 2.
fn table() -> KeyTable {
    [(1, "one"), (2, "two")]
        .map(|(seed, id)| peer(seed, id, DeviceState::Active, KeyState::Active))
        .into_iter()
        .collect()
}

fn in_force(own: u8) -> InForce {
    let keys = table();
    InForce {
        view: Arc::new(view()),
        own: keys.get(key(own).public().id()).map(|key| (&**key).into()),
        keys: Box::new(keys),
    }
}

fn settings() -> Settings {
    Settings {
        grace_seconds: GRACE,
        ..Settings::default()
    }
}

fn ready(seed: u8) -> Signing {
    Signing::Ready {
        epoch: 5,
        key: Box::new(key(seed)),
    }
}

fn engine(seed: u8) -> Engine {
    let mut engine = Engine::new(settings(), ready(seed), None);
    engine.set_in_force(Some(in_force(seed)));
    engine
}

fn now_of(engine: &Engine) -> Now {
    engine.now(reading(NOW, true))
}

/// A request as its JSON text says.
fn sign_request(text: &str) -> SignRequest {
    serde_json::from_str(text).unwrap()
}

fn temperature() -> SignRequest {
    sign_request(r#"{"topic":"site/one/temp","payload_b64":"MjE="}"#)
}

fn received(signed: &Signed, request: &SignRequest) -> VerifyRequest {
    VerifyRequest {
        token: signed.token.clone(),
        topic: request.topic.clone(),
        payload_b64: request.payload_b64.clone(),
        kind: request.kind,
        qos: request.qos,
        retain: false,
        consumer: None,
        properties: Some(request.properties.clone().unwrap_or_default()),
    }
}

fn consumer() -> ConsumerId {
    super::api_consumer(1000, None)
}

fn verify(engine: &mut Engine, request: &VerifyRequest) -> Result<Verdict, Failure> {
    let now = now_of(engine);
    match engine.verify(request, &consumer(), &now, None) {
        Step::Done(outcome) => outcome,
        Step::NeedsKey(ticket) => panic!("asked for {}", ticket.kid()),
    }
}

fn code(outcome: &Result<Verdict, Failure>) -> &'static str {
    match outcome {
        Ok(Verdict::Verified(_)) => "verified",
        Ok(Verdict::Rejected(why)) => why.code(),
        Err(failure) => failure.code(),
    }
}
