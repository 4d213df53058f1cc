//! Edgeseal's agent: the daemon on each device and its device-side verbs.

// Programs are the edges: the clock, files, the network, the environment and processes are theirs.
#![allow(clippy::disallowed_methods)]

pub mod api;
mod bench;
pub mod board;
pub mod broker;
mod card;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod doctor;
mod durable_file;
pub mod engine;
pub mod enroll;
pub mod exit;
pub mod gateway;
pub mod identity;
pub mod log;
pub mod notify;
pub mod offline;
pub mod replay_file;
mod secrecy;
pub mod state_dir;
pub mod trust_link;
pub mod wire;
