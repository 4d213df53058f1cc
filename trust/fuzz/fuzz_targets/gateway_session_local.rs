//! The session of a program that sends anything, in any order with anything else that may happen: no panic, bounded
//! buffers, nothing unsigned upstream.
#![no_main]

#[path = "session/mod.rs"]
mod session;

use libfuzzer_sys::fuzz_target;
use session::{Line, Side};

fuzz_target!(|data: &[u8]| Line::run(data, Side::Program));
