//! Edgeseal domain library.
