//! Sessions between a scripted program and a scripted broker.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod broker_table;
mod farm;
mod handshake;
mod holding;
mod hostile;
mod incoming;
mod line;
mod outgoing;
mod renewing;
mod subscribing;
mod timing;
mod versions;
mod words;

use crate as agent;
