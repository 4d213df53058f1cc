//! The operator's program as an operator uses it: the real binary, its arguments, its output, its
//! exit code, and the files it leaves.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

#[path = "../hostile_input/bounded.rs"]
mod bounded;
mod csv_vectors;
#[path = "../hostile_input/damage.rs"]
mod damage;
mod devices;
mod domain;
mod fleet;
mod hostile;
mod inspect;
mod publish;
mod registry;
mod roles;
mod support;
