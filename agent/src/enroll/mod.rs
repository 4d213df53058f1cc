//! Enrollment and rotation from the device's side.
