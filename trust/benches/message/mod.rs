//! The message that is measured: a sensor signs 256 octets, a pump verifies them.

use super::support::domain::{self, Domain, NOW};
use edgeseal_trust::clock::{ClockState, Now};
use edgeseal_trust::id::{Audience, DeviceId, TrustDomain};
use edgeseal_trust::registry::Role;
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{
    Draft, Kind, Minter, PayloadHash, Properties, ReceiveRule, Received, Receiver, Stream, TokenId,
    Unsynchronized, Unverified, Verdict, verify,
};
use std::hint::black_box;

pub(crate) struct Sensor {
    minter: Minter,
    roles: Vec<Role>,
    audience: Audience,
    payload: PayloadHash,
}

impl Sensor {
    pub(crate) fn new() -> Self {
        let name = TrustDomain::parse("farm").unwrap();
        let device = DeviceId::parse("sensor").unwrap();
        let roles = domain::roles().into_iter();
        Self {
            minter: Minter::new(domain::key_of("sensor"), &name, device),
            roles: roles
                .filter(|role| role.name.as_str() == "sensor")
                .collect(),
            audience: Audience::Domain(name),
            payload: PayloadHash::of(&PAYLOAD),
        }
    }

    pub(crate) fn sign(&self, counter: u64) -> String {
        let draft = Draft {
            kind: Kind::Message,
            topic: TOPIC,
            payload: self.payload,
            properties: Properties::default(),
            audience: &self.audience,
            issued_at: UnixTime::from_seconds(NOW),
            lifetime_seconds: 60,
            id: TokenId {
                epoch: 3,
                stream: Stream::Reliable,
                counter,
            },
            trust_sequence: 7,
            clock_unsynchronized: false,
            captured_at: None,
            vouched: false,
        };
        self.minter.mint(&self.roles, black_box(&draft)).unwrap()
    }
}

pub(crate) struct Pump {
    domain: Domain,
    device: DeviceId,
    rule: ReceiveRule,
    consumer: ConsumerId,
}

impl Pump {
    pub(crate) fn new() -> Self {
        Self {
            domain: Domain::new(),
            device: DeviceId::parse("pump").unwrap(),
            rule: ReceiveRule::default(),
            consumer: ConsumerId::from("bench"),
        }
    }

    /// From octets to verdict, without the memory of what was accepted: that a replay is none is part of no figure.
    pub(crate) fn verify(&self, token: &str) {
        let view = &self.domain.view;
        let receiver = Receiver {
            trust: view,
            device: Some(&self.device),
            groups: &[],
            leeway_seconds: 10,
            grace_seconds: 0,
            unsynchronized: Unsynchronized::Refuse,
        };
        let now = Now {
            time: UnixTime::from_seconds(NOW),
            clock: ClockState::Synchronized,
            floor: view.issued_at,
        };
        let received = Received {
            topic: TOPIC,
            payload: &PAYLOAD,
            properties: Some(Properties::default()),
            retain: false,
            consumer: &self.consumer,
            rule: &self.rule,
        };
        let token = Unverified::parse(black_box(token.as_bytes()), Kind::Message.typ()).unwrap();
        let key = self.domain.keys.get(&token.kid());
        let verdict = verify(&token, key, &received, &receiver, &now, None, &mut ()).unwrap();
        assert!(matches!(black_box(verdict), Verdict::Verified(_)));
    }
}

pub(crate) const PAYLOAD: [u8; 256] = [b'x'; 256];
const TOPIC: &[u8] = b"site/sensor/temp";
