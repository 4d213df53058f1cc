//! The registrar's side of enrollment: what becomes of a request, without sockets and without a clock.
//!
//! A [`Desk`] is an open registry with its join tokens and its waiting requests. It takes requests one after the other and decides
//! in memory; [`Desk::commit`] then writes everything, uses of join tokens first. So many requests cost one set of writes and one
//! manifest, and a crash between any two writes leaves a state from which the same requests lead to the same end.

mod desk;
mod flood;
mod joining;
mod operator;
mod rotation;
mod verdict;

pub(crate) use desk::Desk;
pub(crate) use flood::Flood;
pub(crate) use rotation::{DEFAULT_OVERLAP_SECONDS, next_due, retire_due};
pub(crate) use verdict::{Decision, Judged, Refusal};

#[cfg(test)]
mod tests;
