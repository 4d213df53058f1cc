//! Why a bundle file is no ground to judge on.

use crate::exit::Exit;
use edgeseal_trust::document::{BundleError, DocumentRejection};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::update::{UpdateError, UpdateRejection};
use std::convert::Infallible;

/// Why nothing can be judged by a bundle file.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The file is no whole bundle, or could not be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Its manifest is not one of its newest root.
    #[error("the manifest in the file is not in force under its newest root{}", because(.0.as_ref()))]
    NoManifest(Option<DocumentRejection>),
    /// Its documents are refused.
    #[error(transparent)]
    Rejected(#[from] UpdateRejection),
    /// It has no such device.
    #[error("the bundle has no device {0}")]
    UnknownDevice(DeviceId),
}

impl OfflineError {
    /// The stable short code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Bundle(BundleError::Read(_)) => "bundle-unreadable",
            Self::Bundle(BundleError::Rejected(why)) => why.code(),
            Self::NoManifest(_) => "no-manifest",
            Self::Rejected(why) => why.code(),
            Self::UnknownDevice(_) => "unknown-device",
        }
    }

    /// How a verb ends because of it.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Bundle(BundleError::Read(_)) => Exit::Unavailable,
            Self::Bundle(BundleError::Rejected(_)) | Self::NoManifest(_) => Exit::Configuration,
            Self::Rejected(_) => Exit::No,
            Self::UnknownDevice(_) => Exit::Usage,
        }
    }

    /// What to do next, where the sentence does not say it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Rejected(UpdateRejection::RootWords) => {
                Some("ask the operator for the words: edgeseal inspect FILE")
            }
            Self::UnknownDevice(_) => Some("see the device ids: edgeseal inspect FILE"),
            _ => None,
        }
    }
}

impl From<UpdateError<Infallible>> for OfflineError {
    fn from(error: UpdateError<Infallible>) -> Self {
        match error {
            UpdateError::Bundle(error) => Self::Bundle(error),
            UpdateError::Rejected(why) => Self::Rejected(why),
            UpdateError::Store(never) => match never {},
        }
    }
}

fn because(why: Option<&DocumentRejection>) -> String {
    why.map_or_else(String::new, |why| format!(": {why}"))
}
