//! The daemon: `edgeseal-agent run`.

mod agent;
mod status;

pub use agent::Agent;
pub use status::AgentStatus;
