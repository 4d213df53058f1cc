//! The trust link: one MQTT connection over which trust data comes and the status goes.

mod broker_file;
mod handle;

pub use broker_file::{BrokerFile, BrokerFileError};
pub use handle::{LinkHandle, Orders, Payload, Published};
