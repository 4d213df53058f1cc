//! Enrollment and rotation, from the device's side.
//!
//! [`Enrollment`] and [`Rotation`] decide, without sockets, files and clock; the daemon's task does what
//! they say. What must outlive a power cut lies in the state directory: the request as it was signed, and
//! what is known of an open rotation.

pub(crate) mod ask;
pub(crate) mod edge;
mod enrollment;
mod exchange;
pub(crate) mod join;
pub(crate) mod kept;
mod pace;
mod rotation;
mod standing;
mod status;

pub use enrollment::{Action, Ask, Enrollment, Event, Hint, Said, Shredding};
pub use pace::Moment;
pub use rotation::{Rotation, RotationAction, RotationEvent, RotationFound};
pub use standing::Standing;
pub use status::{EnrollState, EnrollStatus, RotationStatus};
