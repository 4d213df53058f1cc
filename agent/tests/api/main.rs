//! The real program over real sockets: what it serves, whom, how much, and how it stops.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

mod broker;
mod callers;
mod disk;
mod doctor;
mod domain;
mod enrolled;
mod gateway;
mod hostile;
mod http;
mod kill;
mod limits;
mod openapi;
mod owner;
mod packages;
mod place;
mod schema;
mod service;
mod trust_link;
mod unenrolled;
