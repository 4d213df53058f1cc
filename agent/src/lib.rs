//! Edgeseal's agent: the daemon on each device and its device-side verbs.

// Programs are the edges: the clock, files, the network, the environment and processes are theirs.
#![allow(clippy::disallowed_methods)]

pub mod replay_file;
