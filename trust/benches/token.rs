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

mod message;
#[path = "../../tests/support/mod.rs"]
mod support;

use ed25519_dalek::{Signature, Signer, SigningKey};
use message::{PAYLOAD, Pump, Sensor};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 401;
const CALLS: usize = 25;

fn main() {
    let (sensor, pump) = (Sensor::new(), Pump::new());
    let token = sensor.sign(1);
    println!(
        "token of {} octets, payload of {} octets, {ROUNDS} rounds of {CALLS}\n",
        token.len(),
        PAYLOAD.len()
    );
    let (signed, _) = token.rsplit_once('.').unwrap();
    let raw_key = SigningKey::from_bytes(&[18; 32]);
    let raw_signature: Signature = raw_key.sign(signed.as_bytes());
    let raw_public = raw_key.verifying_key();

    let mut counter = 1;
    compare(
        "sign",
        || {
            black_box(raw_key.sign(black_box(signed.as_bytes())));
        },
        || {
            counter += 1;
            black_box(sensor.sign(counter));
        },
    );
    compare(
        "verify",
        || {
            raw_public
                .verify_strict(black_box(signed.as_bytes()), &raw_signature)
                .unwrap();
        },
        || pump.verify(&token),
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
