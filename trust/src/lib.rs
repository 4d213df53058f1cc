//! Edgeseal's domain library: identities, tokens, trust documents, revocation and their stored form.
//!
//! It takes octets and `now` and returns a value. Nothing here reads a clock, a file, the network,
//! the environment or a source of randomness, except the module `store`, which keeps trust documents.

pub mod carrier;
pub mod clock;
pub mod clone;
pub mod document;
pub mod enrollment;
pub mod grant;
pub mod id;
mod json;
pub mod key;
pub mod limits;
pub mod registry;
pub mod replay;
pub mod status;
pub mod store;
pub mod time;
pub mod token;
pub mod topic;
pub mod update;
pub mod words;
