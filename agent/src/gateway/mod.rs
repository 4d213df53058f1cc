//! The gateway: a local MQTT listener, so that unchanged programs sign and verify.

pub mod packet;
