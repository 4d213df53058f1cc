//! Power cuts: the system calls of the real agent are recorded while it works, and every prefix of them is laid out again with
//! what was not synced dropped, or kept in part. From each such state the agent starts, with nothing older than what it had
//! acknowledged, and goes on.
//!
//! `EDGESEAL_POWER_CUTS=all cargo test -p edgeseal --test power_cut` looks at all of them and at more random remains; otherwise
//! at a sample of each recording.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

#[allow(dead_code)]
#[path = "../fleet/broker.rs"]
mod broker;
mod disk;
mod farm;
mod offline;
#[allow(dead_code)]
#[path = "../fleet/operator.rs"]
mod operator;
mod random;
mod record;
mod site;
mod state;
mod strace;

use farm::Farm;

#[test]
fn a_first_bundle_survives_a_power_cut_at_any_call() {
    if strace::is_there() {
        offline::first_bundle(&Farm::found()).holds_everywhere();
    }
}

#[test]
fn an_update_survives_a_power_cut_at_any_call() {
    if strace::is_there() {
        offline::update(&Farm::found()).holds_everywhere();
    }
}

#[test]
fn a_running_agent_survives_a_power_cut_at_any_call() {
    if strace::is_there() {
        offline::running(&Farm::found()).holds_everywhere();
    }
}

#[test]
fn a_first_start_survives_a_power_cut_at_any_call() {
    if strace::is_there() {
        offline::first_start(&Farm::found()).holds_everywhere();
    }
}
