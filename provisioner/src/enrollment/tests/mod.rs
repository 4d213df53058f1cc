//! The desk, in a registry of its own.
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod approving;
mod crash;
mod joining;
mod rotating;
mod waiting;

use super::{Decision, Desk, Judged};
use crate::registry::{Access, DeviceRecord, Registry, TokenRecord};
use edgeseal_trust::document::{Authority, DocumentType, Root, sign};
use edgeseal_trust::enrollment::{JoinDraft, JoinId, RequestDraft, RotationDraft};
use edgeseal_trust::id::{DeviceId, RoleName, TrustDomain};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::registry::{DeviceState, Role};
use edgeseal_trust::time::UnixTime;
use tempfile::TempDir;

const NOW: UnixTime = UnixTime::from_seconds(1_900_000_000);
const OVERLAP: u64 = 7200;

/// A registry of the domain `farm` with a role `sensor`, and the keys around it.
struct Rig {
    dir: TempDir,
}

/// A join token as a card carries it.
struct Card {
    text: String,
    one_time: SigningKey,
    id: JoinId,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rig = Self { dir };
        let root = Root {
            domain: domain("farm"),
            version: 1,
            issued_at: NOW,
            expires_at: NOW.plus(1 << 30),
            root: Authority::new(1, vec![key(1).public().clone()]).unwrap(),
            registrar: Authority::new(1, [2, 900, 901].map(|n| key(n).public().clone()).to_vec())
                .unwrap(),
        };
        let root = sign(DocumentType::Root, &root.to_payload().unwrap(), &[&key(1)]);
        let path = rig.dir.path().join("registry");
        Registry::create(&path, &domain("farm"), 7, &root).unwrap();
        let mut registry = Registry::open(&path, Access::Edit).unwrap();
        let sensor = Role {
            name: role("sensor"),
            grants: Vec::new(),
            manifest_age_seconds: None,
        };
        registry.put_role(sensor).unwrap();
        registry.save().unwrap();
        rig
    }

    fn desk(&self) -> Desk {
        let path = self.dir.path().join("registry");
        let registry = Registry::open(&path, Access::Edit).unwrap();
        Desk::open(registry, OVERLAP).unwrap()
    }

    /// A card with the number `number`, known to the registry.
    fn card(&self, number: u8, change: impl FnOnce(&mut JoinDraft)) -> Card {
        let (card, record) = forged(number, &key(2), change);
        let mut desk = self.desk();
        desk.tokens.put(record);
        desk.commit().unwrap();
        card
    }

    /// A device that is active with a key.
    fn add(&self, id: &str, key: &SigningKey) {
        let mut desk = self.desk();
        let device = DeviceRecord::new(device(id), key.public().clone(), DeviceState::Active);
        desk.registry_mut().put_device(device).unwrap();
        desk.commit().unwrap();
    }

    fn record(&self, id: &str) -> DeviceRecord {
        self.desk().registry().device(&device(id)).unwrap().clone()
    }

    /// One request, judged and written.
    fn take(&self, octets: &[u8]) -> Judged {
        let mut desk = self.desk();
        let judged = desk.take(octets, None, NOW);
        desk.commit().unwrap();
        judged
    }
}

impl Card {
    /// The request of a device that has this card.
    fn request(&self, id: &str, key: &SigningKey) -> Vec<u8> {
        self.request_as(&draft(id), key)
    }

    fn request_as(&self, draft: &RequestDraft, key: &SigningKey) -> Vec<u8> {
        let draft = RequestDraft {
            join: Some(self.text.clone()),
            ..draft.clone()
        };
        draft.sign_joined(key, &self.one_time).unwrap()
    }
}

/// A card signed by whoever has `registrar`, and the row that the registry would have of it.
fn forged(
    number: u8,
    registrar: &SigningKey,
    change: impl FnOnce(&mut JoinDraft),
) -> (Card, TokenRecord) {
    let one_time = key(200 + u32::from(number));
    let mut draft = JoinDraft {
        domain: domain("farm"),
        id: JoinId::from_octets([number; 16]),
        one_time: one_time.public().id(),
        device: None,
        roles: vec![role("sensor")],
        groups: Vec::new(),
        serial: None,
        issued_at: NOW.minus(10),
        expires_at: NOW.plus(1000),
    };
    change(&mut draft);
    let card = Card {
        text: draft.sign(registrar).unwrap(),
        one_time,
        id: draft.id,
    };
    (card, TokenRecord::new(draft))
}

fn draft(id: &str) -> RequestDraft {
    RequestDraft {
        domain: Some(domain("farm")),
        device: Some(device(id)),
        serial: Some(format!("serial-of-{id}")),
        ..RequestDraft::default()
    }
}

fn rotation(id: &str, old: &SigningKey, new: &SigningKey) -> Vec<u8> {
    let draft = RotationDraft {
        domain: domain("farm"),
        device: device(id),
        issued_at: None,
    };
    draft.sign(old, new).unwrap()
}

/// The decision in one word, or the code of the refusal.
fn code(judged: &Judged) -> &'static str {
    match &judged.decision {
        Decision::Refused(refusal) => refusal.code,
        Decision::Pending { why } => why,
        other => other.word(),
    }
}

fn key(number: u32) -> SigningKey {
    let mut seed = [9; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_seed(&seed)
}

fn domain(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

fn device(name: &str) -> DeviceId {
    DeviceId::parse(name).unwrap()
}

fn role(name: &str) -> RoleName {
    RoleName::parse(name).unwrap()
}
