//! A PUBLISH of a program becomes a signed one; a received one becomes a verdict and what the program gets.
//!
//! Pure: packets, rules and a [`Notary`] in, octets and outcomes out. Nothing of a message is copied but into
//! `out`.

mod carried;
mod copies;
mod deliver;
mod filter;
mod first;
mod notary;
mod receive;
mod send;
mod will;

#[cfg(test)]
mod tests;

pub use copies::Copies;
pub use filter::{FilterRefused, SubscribeContext, filter_upstream};
pub use first::{FirstVerdict, MessageHash, VerdictWord};
pub use notary::{EngineNotary, Notary};
pub use receive::{Arrival, ReceiveContext, receive};
pub use send::{NotSent, SendContext, SendRefusal, Sent, send};
pub use will::{SignedWill, will};

/// Whether a user property is the agents' own: `edgeseal` or `edgeseal-*`. No program sends or gets one but
/// from the gateway itself.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    name.strip_prefix(TOKEN_PROPERTY)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The user property that carries the token.
pub const TOKEN_PROPERTY: &str = "edgeseal";
/// The user property that names who sent a message that was delivered.
pub const SENDER_PROPERTY: &str = "edgeseal-sender";
/// The user property with the sender's roles, separated by commas.
pub const ROLES_PROPERTY: &str = "edgeseal-roles";
/// The user property that says how long ago a message was signed, in milliseconds (tokens tell whole seconds).
pub const AGE_PROPERTY: &str = "edgeseal-age-ms";
/// The user property with the [`VerdictWord`].
pub const VERDICT_PROPERTY: &str = "edgeseal-verdict";
/// The user property with the code by which an unverified message would have been refused.
pub const CODE_PROPERTY: &str = "edgeseal-code";
/// What a listener with `sender_in_topic` puts before sender and topic.
pub const VERIFIED_LEVEL: &str = "verified";
