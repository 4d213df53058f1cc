//! The gateway: unchanged MQTT programs sign and verify.
//!
//! A proxy at the level of packets, not a broker: per local connection one upstream connection. Only
//! `link` does input and output; everything else takes octets, events and `now`, and gives values.

pub mod clients;
pub mod metrics;
