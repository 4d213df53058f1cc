//! How a device comes into a domain, and to its next key: join tokens and join files, enrollment
//! requests, requests for rotation, and approvals by several persons.

mod approval;
mod join;
mod join_file;
mod reject;
mod request;
mod rotation;

#[cfg(test)]
mod tests;

pub use approval::{Approval, ApprovalSubject};
pub use join::{InvalidJoinId, JOIN_TYP, JoinDraft, JoinId, JoinToken};
pub use join_file::{Broker, JoinFile, JoinFileRejection, Secret};
pub use reject::{JoinRejection, RotationRejection};
pub use request::{EnrollmentRequest, RequestDraft};
pub use rotation::{KeyOwner, RotationDraft, RotationRequest};

use crate::document::{DocumentRejection, DocumentType, Unverified};

/// Which of the two kinds a request is, by its protected headers: `Request` or `Rotation`. Nothing of
/// it is believed.
///
/// # Errors
/// [`DocumentRejection`] when it is neither.
pub fn kind_of(octets: &[u8]) -> Result<DocumentType, DocumentRejection> {
    match Unverified::parse(octets, DocumentType::Request) {
        Err(DocumentRejection::HeaderTyp { .. }) => {
            Unverified::parse(octets, DocumentType::Rotation)?;
            Ok(DocumentType::Rotation)
        }
        refused_or_read => refused_or_read.map(|_| DocumentType::Request),
    }
}
