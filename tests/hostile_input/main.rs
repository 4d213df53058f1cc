//! What strangers, files and broken disks give the agent, damaged in every way. For each: a refusal with a
//! documented exit code and a stable code, no panic, no hang, no growth, nothing half-applied; what was in
//! force works on. `tests/operator/hostile.rs` does the same to the operator's program.
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

mod bounded;
mod bundles;
mod configuration;
mod damage;
#[allow(dead_code)] // shared with the API's tests
#[path = "../../agent/tests/api/domain.rs"]
mod domain;
#[allow(dead_code)]
#[path = "../../agent/tests/api/http.rs"]
mod http;
#[allow(dead_code)]
#[path = "../../agent/tests/api/place.rs"]
mod place;
mod requests;
mod store_files;
mod tokens;
mod works;
