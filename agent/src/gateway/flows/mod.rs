//! What is in flight keeps its identity: a message that was handed on and not acknowledged is handed on
//! again by its first verdict, and one that was sent and not acknowledged keeps its `jti`.
//!
//! Incoming flows outlive a kill as fixed records in numbered slots (see [`FlowFile`]); one is written
//! before the replay memory's change is, so that a message that the memory knows and the program may not
//! have is never lost. Outgoing ones live in memory alone: a new process signs in a new epoch.

mod file;
mod record;
mod table;

pub use file::{FlowFile, Opened, Unusable, Why};
pub use record::{FLOW_RECORD_OCTETS, FlowRecord};
pub use table::{FlowSlots, Flows, Kept};

/// Most incoming flows of all consumers together, and most outgoing ones.
pub const FLOWS: usize = 65_536;
/// Most flows of one consumer in each direction: four times the largest Receive Maximum upstream.
pub const CONSUMER_FLOWS: usize = 1024;
