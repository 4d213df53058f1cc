//! The verbs, one file each.

pub(crate) mod approval;
pub(crate) mod backup;
pub(crate) mod device;
pub(crate) mod doctor;
pub(crate) mod domain;
mod duration;
pub(crate) mod fleet;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod inspect;
pub(crate) mod join;
pub(crate) mod prepare_card;
pub(crate) mod publish;
pub(crate) mod reach;
pub(crate) mod registrar;
pub(crate) mod role;
pub(crate) mod root;
mod signing;
pub(crate) mod status;

pub(crate) use reach::Reach;
pub(crate) use signing::Signing;

use crate::error::Result;
use crate::registry::{Access, Registry};
use crate::render::Style;
use std::path::PathBuf;

/// What every verb is given.
pub(crate) struct Context {
    /// Directory of the registry.
    pub(crate) registry: PathBuf,
    /// How to print.
    pub(crate) style: Style,
}

impl Context {
    /// Opens the registry.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub(crate) fn open(&self, access: Access) -> Result<Registry> {
        Registry::open(&self.registry, access)
    }
}

/// Where the registry lies unless somebody says otherwise.
pub(crate) const REGISTRY: &str = "registry";
