//! Signing and verifying against the raw curve operation of the same run: `cargo bench -p edgeseal-trust`.
//!
//! Rounds are interleaved (raw, ours, raw, ours, ...) so that a machine whose speed drifts does not favour a side; medians and
//! their ratio are what counts.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub
)]

#[path = "../../tests/support/mod.rs"]
mod support;

use ed25519_dalek::{Signature, Signer};
use edgeseal_trust::clock::{ClockState, Now};
use edgeseal_trust::id::{Audience, DeviceId, TrustDomain};
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{
    Draft, Kind, Minter, PayloadHash, Properties, ReceiveRule, Received, Receiver, Stream, TokenId,
    Unsynchronized, Unverified, Verdict, verify,
};
use std::hint::black_box;
use std::time::Instant;
use support::domain::{self, Domain, NOW};

const ROUNDS: usize = 401;
const CALLS: usize = 25;
const TOPIC: &[u8] = b"site/sensor/temp";

fn main() {
    let domain = Domain::new();
    let payload = vec![b'x'; 256];
    let name = TrustDomain::parse("farm").unwrap();
    let audience = Audience::Domain(name.clone());
    let minter = Minter::new(
        domain::key_of("sensor"),
        &name,
        DeviceId::parse("sensor").unwrap(),
    );
    let roles: Vec<_> = domain::roles()
        .into_iter()
        .filter(|role| role.name.as_str() == "sensor")
        .collect();
    let draft = |counter| Draft {
        kind: Kind::Message,
        topic: TOPIC,
        payload: PayloadHash::of(&payload),
        properties: Properties::default(),
        audience: &audience,
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
    let token = minter.mint(&roles, &draft(1)).unwrap();
    println!(
        "token of {} octets, payload of {} octets, {ROUNDS} rounds of {CALLS}\n",
        token.len(),
        payload.len()
    );

    let (signed, _) = token.rsplit_once('.').unwrap();
    let raw_key = ed25519_dalek::SigningKey::from_bytes(&[18; 32]);

    let mut counter = 1;
    compare(
        "sign",
        || {
            black_box(raw_key.sign(black_box(signed.as_bytes())));
        },
        || {
            counter += 1;
            black_box(minter.mint(&roles, black_box(&draft(counter))).unwrap());
        },
    );
    verify_row(&domain, &token, &payload);
}

fn verify_row(domain: &Domain, token: &str, payload: &[u8]) {
    let (signed, _) = token.rsplit_once('.').unwrap();
    let raw_key = ed25519_dalek::SigningKey::from_bytes(&[18; 32]);
    let raw_signature: Signature = raw_key.sign(signed.as_bytes());
    let raw_public = raw_key.verifying_key();
    let rule = ReceiveRule::default();
    let consumer = ConsumerId::from("bench");
    let pump = DeviceId::parse("pump").unwrap();
    let receiver = Receiver {
        trust: &domain.view,
        device: Some(&pump),
        groups: &[],
        leeway_seconds: 10,
        grace_seconds: 0,
        unsynchronized: Unsynchronized::Refuse,
    };
    let now = Now {
        time: UnixTime::from_seconds(NOW),
        clock: ClockState::Synchronized,
        floor: domain.view.issued_at,
    };
    let received = Received {
        topic: TOPIC,
        payload,
        properties: Some(Properties::default()),
        retain: false,
        consumer: &consumer,
        rule: &rule,
    };
    compare(
        "verify",
        || {
            raw_public
                .verify_strict(black_box(signed.as_bytes()), &raw_signature)
                .unwrap();
        },
        || {
            let token =
                Unverified::parse(black_box(token.as_bytes()), Kind::Message.typ()).unwrap();
            let key = domain.keys.get(&token.kid());
            let verdict = verify(&token, key, &received, &receiver, &now, None, &mut ()).unwrap();
            assert!(matches!(black_box(verdict), Verdict::Verified(_)));
        },
    );
}

fn compare(what: &str, mut raw: impl FnMut(), mut ours: impl FnMut()) {
    let time = |call: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        start.elapsed().as_secs_f64() * 1e6 / CALLS as f64
    };
    let rounds: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|_| (time(&mut raw), time(&mut ours)))
        .collect();
    let median = |mut figures: Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let raw = median(rounds.iter().map(|round| round.0).collect());
    let ours = median(rounds.iter().map(|round| round.1).collect());
    let ratio = median(rounds.iter().map(|round| round.1 / round.0).collect());
    println!("{what:<7} raw {raw:7.2} us   ours {ours:7.2} us   ratio {ratio:.3}");
}
