//! Edgeseal's agent: the daemon on each device and its device-side verbs.

// Programs are the edges: the clock, files, the network, the environment and processes are theirs.
#![allow(clippy::disallowed_methods)]

pub mod board;
pub mod clock;
pub mod config;
pub mod exit;
pub mod log;
pub mod notify;
pub mod state_dir;
