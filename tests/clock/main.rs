//! Time on a board without a clock: the real agent under a clock that the test moves.
//!
//! Each board has hands of its own (`hands.rs`); the operator, the broker and whoever else is there live by the right time.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod board;
mod booting;
#[allow(dead_code)]
#[path = "../gateway/broker.rs"]
mod broker;
#[allow(dead_code)]
#[path = "../gateway/domain.rs"]
mod domain;
mod floor;
#[allow(dead_code)]
mod hands;
#[allow(dead_code)]
#[path = "../gateway/process.rs"]
mod process;
mod sleeping;
mod steps;
