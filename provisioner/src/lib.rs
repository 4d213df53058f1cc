//! The operator's program: keys, registry, roles, devices, and the signed documents made of them.

// The programs are the edges: clock, files, network and processes are theirs.
#![allow(clippy::disallowed_methods)]

pub mod broker;
mod cli;
mod clock;
mod command;
mod confirm;
mod demo;
mod distribution;
mod doctor;
mod enrollment;
mod error;
mod input;
mod keys;
mod mqtt;
mod registry;
mod render;

pub use cli::{command_line, run};
