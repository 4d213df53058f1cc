//! The verbs, one file each.

pub mod device;
pub mod domain;
mod duration;
pub mod group;
pub mod inspect;
pub mod publish;
pub mod role;
pub mod status;

use crate::error::Result;
use crate::registry::{Access, Registry};
use crate::render::Style;
use std::path::PathBuf;

/// What every verb is given.
pub struct Context {
    /// Directory of the registry.
    pub registry: PathBuf,
    /// How to print.
    pub style: Style,
}

impl Context {
    /// Opens the registry.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub fn open(&self, access: Access) -> Result<Registry> {
        Registry::open(&self.registry, access)
    }
}

/// Where the registry lies unless somebody says otherwise.
pub const REGISTRY: &str = "registry";
