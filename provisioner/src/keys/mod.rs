//! The operator's private keys: root and registrar keys in a directory of their own, never in the
//! registry, never in a git work tree.

mod new;
mod passphrase;
mod pem;
mod place;

pub(crate) use new::NewKeys;
pub(crate) use passphrase::{Passphrase, PassphraseSource};
pub(crate) use pem::{KeyFile, write_new};
pub(crate) use place::{judge_place, make_directory};

use crate::error::{CommandError, Exit, Result};
use edgeseal_trust::key::SigningKey;
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a key is for; it is the beginning of its file's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// Signs roots. Kept offline.
    Root,
    /// Signs manifests.
    Registrar,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Registrar => "registrar",
        })
    }
}

/// A new key from the operating system's random numbers.
///
/// # Errors
/// The operating system gives no random numbers.
pub(crate) fn generate() -> Result<SigningKey> {
    let mut seed = Zeroizing::new([0; 32]);
    fill_random(&mut *seed)?;
    Ok(SigningKey::from_seed(&seed))
}

/// Where the key number `number`, counted from 1, lies in `dir`.
pub(crate) fn path_of(dir: &Path, purpose: Purpose, number: usize) -> PathBuf {
    dir.join(format!("{purpose}-{number}.pem"))
}

/// The key files for `purpose` in `dirs`, in order of their names.
///
/// # Errors
/// A directory cannot be read, or holds no such file.
pub(crate) fn find(dirs: &[PathBuf], purpose: Purpose) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in dirs {
        let entries = std::fs::read_dir(dir).map_err(|why| CommandError::io("read", dir, &why))?;
        for entry in entries {
            let path = entry
                .map_err(|why| CommandError::io("read", dir, &why))?
                .path();
            let name = path.file_name().and_then(|name| name.to_str());
            let is_ours = |name: &str| {
                name.strip_prefix(&format!("{purpose}-"))
                    .is_some_and(|rest| rest.ends_with(".pem"))
            };
            if name.is_some_and(is_ours) {
                found.push(path);
            }
        }
    }
    found.sort();
    if found.is_empty() {
        let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        let reason = format!("no {purpose} key ({purpose}-*.pem) in {}", dirs.join(", "));
        return Err(CommandError::new(Exit::Unavailable, "no-keys", reason)
            .hint("--keys names the directory that `edgeseal domain init` filled"));
    }
    Ok(found)
}

/// Fills `octets` with the operating system's random numbers.
///
/// # Errors
/// The operating system gives none.
pub(crate) fn fill_random(octets: &mut [u8]) -> Result<()> {
    getrandom::fill(octets).map_err(|why| {
        let reason = format!("the operating system gives no random numbers: {why}");
        CommandError::new(Exit::TemporaryFailure, "no-randomness", reason)
    })
}
