//! JSON forms of requests and answers, the same in server, client and offline verbs.
//!
//! Unknown members and members that occur twice are refused; octets are standard base64 with
//! padding (RFC 4648 section 4), read strictly; every bound is refused, never cut.

mod answer;
mod batch;
mod error;
mod explanation;
mod octets;
mod rejection;
mod request;
mod sentence;
#[cfg(test)]
mod tests;
mod update;
mod verdict;

pub use answer::{Answer, Signed};
pub use batch::{BATCH_ELEMENTS, OneOrMany};
pub use error::{ErrorBody, ErrorClass};
pub use explanation::{CheckLine, Explanation, Outcome};
pub use octets::Octets;
pub use request::{
    ConsumerKind, ConsumerName, LoginRequest, PROPERTY_OCTETS, PropertiesBody, Qos, SignRequest,
    VerifyRequest,
};
pub use sentence::{explained, sentence};
pub use update::{UpdateBody, UpdateOutcome};
pub(crate) use verdict::staleness;
pub use verdict::{RejectedBody, VerdictBody, VerifiedBody};
