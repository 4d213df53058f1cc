//! The gateway under unchanged programs: real clients of six libraries, real brokers, two agents enrolled by the real commands.
//!
//! `EDGESEAL_TESTS_ROUTE=direct` runs the programs without gateways: what the broker alone does is the measure.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]
mod broker;
mod client;
mod conformance;
mod domain;
mod exchange;
mod habits;
#[allow(dead_code)]
#[path = "../clock/hands.rs"]
mod hands;
mod hostile;
mod local;
mod mosquitto;
mod newcomer;
mod observer;
mod packet;
mod process;
mod raw;
mod restarts;
mod rust;
mod scripted;
mod wire;
mod world;
