//! Where the registrar keys are: the same options for every verb that signs.

use crate::error::{CommandError, Result};
use std::path::PathBuf;

/// The options.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Signing {
    /// Directory with registrar keys; give it again where they lie in several places
    #[arg(long, value_name = "DIR", env = "EDGESEAL_KEYS")]
    pub(crate) keys: Vec<PathBuf>,
    /// Its first line is the passphrase of the registrar keys; without it you are asked
    #[arg(long, value_name = "FILE", env = "EDGESEAL_PASSPHRASE_FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Sign although the kernel does not call this clock synchronized
    #[arg(long)]
    pub(crate) unsynchronized_clock: bool,
}

impl Signing {
    /// Whether any keys were named.
    pub(crate) fn is_given(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Refuses where no keys were named.
    ///
    /// # Errors
    /// None were.
    pub(crate) fn judge_given(&self) -> Result<()> {
        if self.is_given() {
            return Ok(());
        }
        Err(CommandError::usage(
            "usage",
            "a manifest is signed by registrar keys, and none are named",
        )
        .hint("give --keys DIR, or set EDGESEAL_KEYS"))
    }
}
