#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod ends;
mod load;
mod local;
mod rig;
mod tls;
