//! Signs or verifies COUNT messages, so that an emulator can count what one costs: `instructions sign|verify COUNT`.
//!
//! `cargo xtask measure TARGET` runs it with two counts and prints the difference.
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

#[path = "../benches/message/mod.rs"]
mod message;
#[path = "../../tests/support/mod.rs"]
mod support;

use message::{Pump, Sensor};
use std::hint::black_box;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, work, count] = arguments.as_slice() else {
        panic!("instructions sign|verify COUNT");
    };
    let count: u64 = count.parse().expect("a count");
    // Both are made for either work: what is not counted is the same.
    let (sensor, pump) = (Sensor::new(), Pump::new());
    let token = sensor.sign(1);
    match work.as_str() {
        "sign" => (0..count).for_each(|counter| drop(black_box(sensor.sign(counter + 2)))),
        "verify" => (0..count).for_each(|_| pump.verify(&token)),
        other => panic!("no work {other:?}"),
    }
}
