//! Trust that travels: both programs, real brokers, and what happens when they are cut off from each other.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod approving;
mod authority;
#[allow(dead_code)]
#[path = "../gateway/broker.rs"]
mod broker;
mod card;
mod cards;
mod cut;
mod doctor;
mod enrolling;
mod guarding;
mod immediate;
mod joining;
#[allow(dead_code)]
#[path = "../operator/support.rs"]
mod operator;
mod preparing;
#[allow(dead_code)]
#[path = "../gateway/process.rs"]
mod process;
mod publishing;
mod retained;
mod serving;
mod thresholds;
