//! The gateway: a local MQTT listener that signs what programs publish and judges what they receive.
//!
//! A proxy at the level of packets, no broker: one connection to the broker for each local one. Only
//! `link` does input and output; everything else takes octets, events and `now`, and gives values.

pub mod clients;
pub mod flows;
pub mod link;
pub mod message;
pub mod metrics;
pub mod packet;
pub mod password;
pub mod rules;
pub mod session;
