//! What every connection of this agent to a broker stands on: when it is tried again, and TLS by
//! this agent's own idea of the time.

mod backoff;
mod tls;

pub use backoff::Backoff;
pub use tls::{Tls, TlsError};

/// So that a fleet does not come back in step. Without randomness it does: no harm to this device.
pub(crate) fn chance() -> u32 {
    getrandom::u32().unwrap_or_default()
}
