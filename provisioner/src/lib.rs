//! Provisioner.

// The programs are the edges: clock, files and network are theirs.
#![allow(clippy::disallowed_methods)]

pub mod broker;
pub mod demo;
pub mod mqtt;
