//! The trust link: one MQTT connection over which trust data comes, requests and status go.
//!
//! ```text
//!  broker <-> mqtt (rumqttc) <-> link (task) <-> follower (pure: what is asked for, what is believed)
//!                                  |  \-> spool (a scratch bundle) -> Agent::apply
//!                                  \-> outbox <-> handle (other tasks)
//! ```
//! Any broker will do, and none is believed: what it can do is to hold back.

mod broker;
mod broker_file;
mod chain;
mod fetch;
mod follower;
mod handle;
mod link;
mod link_status;
mod mqtt;
mod outbox;
mod pace;
mod reporter;
mod spool;
mod wanted;

pub use broker::LinkSettings;
pub use broker_file::{BrokerFile, BrokerFileError};
pub use follower::{Action, Follower, Outcome};
pub use handle::{LinkHandle, Orders, Payload, Published};
pub use link::TrustLink;
pub use link_status::{FetchingBody, LinkStatus, OfferedBody};
pub(crate) use pace::Pace;
pub use wanted::Wanted;
