//! The vectors of what travels beside the documents: requests with a join token, join files, requests
//! for rotation, approvals, answers, status tokens, and the two tokens that prove a clone.
//!
//! The registrar's key has the seed 3, its clock shows 1,800,000,000. The registry has one device,
//! `pump-1`, whose key has the seed 4. The one-time key has the seed 31.
//! Approvals are of a root with two registrar keys, whose seeds are 3 and 5.

mod approving;
mod enrolling;
mod telling;

use super::{Named, Vector};
use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::carrier::Answer;
use edgeseal_trust::clone::prove;
use edgeseal_trust::document::{Authority, Document};
use edgeseal_trust::enrollment::{
    Approval, EnrollmentRequest, JoinFile, KeyOwner, RotationRequest,
};
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::registry::{Device, DeviceState, KeyState, PeerKey};
use edgeseal_trust::status::VerifiedStatus;
use edgeseal_trust::time::UnixTime;
use serde_json::Value;
use std::sync::Arc;

const NOW: u64 = 1_800_000_000;

/// The folders of `tests/vectors`, each with its vectors.
pub fn corpus() -> [(&'static str, Vec<Named>); 7] {
    [
        ("join", enrolling::joined()),
        ("join_file", enrolling::join_files()),
        ("rotation", enrolling::rotations()),
        ("approval", approving::vectors()),
        ("answer", telling::answers()),
        ("status", telling::statuses()),
        ("clone", telling::clones()),
    ]
}

pub fn judge(folder: &str, octets: &[u8]) -> &'static str {
    let judged = match folder {
        "join" => judge_join(octets),
        "join_file" => JoinFile::read(octets).map(drop).map_err(|why| why.code()),
        "rotation" => {
            let owner = |kid| (kid == key(4).public().id()).then(owner);
            let judged = RotationRequest::verify(octets, &farm(), owner);
            judged.map(drop).map_err(|why| why.code())
        }
        "approval" => {
            let keys = [3, 5].map(|seed| key(seed).public().clone());
            let registrars = Authority::new(2, keys.to_vec()).unwrap();
            let judged = Document::<Approval>::verified(octets, &registrars);
            judged.map(drop).map_err(|why| why.code())
        }
        "answer" => Answer::read(octets).map(drop).map_err(|why| why.code()),
        "status" => {
            let peer = |kid| (kid == key(4).public().id()).then(peer);
            let judged = VerifiedStatus::verify(octets, &pump(), peer, &farm());
            judged.map(drop).map_err(|why| why.code())
        }
        _ => {
            let text = std::str::from_utf8(octets).unwrap();
            let (first, second) = text.split_once('\n').unwrap();
            let judged = prove(first, second.trim_end(), key(4).public(), &farm());
            judged.map(drop).map_err(|why| why.code())
        }
    };
    judged.err().unwrap_or("accepted")
}

fn judge_join(octets: &[u8]) -> Result<(), &'static str> {
    let registrar = Authority::new(1, vec![key(3).public().clone()]).unwrap();
    let request = EnrollmentRequest::verify(octets).map_err(|why| why.code())?;
    let now = UnixTime::from_seconds(NOW);
    let judged = request.judge_join(&registrar, &farm(), now);
    judged.map(drop).map_err(|why| why.code())
}

fn farm() -> TrustDomain {
    TrustDomain::parse("farm").unwrap()
}

fn pump() -> DeviceId {
    DeviceId::parse("pump-1").unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn owner() -> KeyOwner {
    let key = key(4).public().clone();
    KeyOwner {
        device: pump(),
        key,
    }
}

fn peer() -> PeerKey {
    PeerKey {
        key: key(4).public().clone(),
        state: KeyState::Active,
        not_before: UnixTime::from_seconds(NOW - 1000),
        retired_at: None,
        device: Arc::new(Device {
            id: pump(),
            state: DeviceState::Active,
            roles: Box::default(),
            groups: Box::default(),
        }),
    }
}

/// A token by hand (RFC 7515 section 7.1).
fn token(typ: &str, claims: &Value, seed: u8) -> String {
    let kid = key(seed).public().id();
    let header = format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{kid}"}}"#);
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let input = format!("{}.{}", encode(&header), encode(&claims.to_string()));
    let signature = key(seed).sign(input.as_bytes());
    format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
}

type Change<'a> = &'a dyn Fn(&mut Value);

fn set(member: &'static str, value: Value) -> impl Fn(&mut Value) {
    move |object| object[member] = value.clone()
}

fn without(member: &'static str) -> impl Fn(&mut Value) {
    move |object| drop(object.as_object_mut().unwrap().remove(member))
}

fn same(_: &mut Value) {}

fn named(name: &str, expect: &str, title: &str, octets: &[u8]) -> Named {
    (name.to_owned(), Vector::new(expect, title, octets))
}

const MESSAGE: &str = "edgeseal-msg+jwt";
