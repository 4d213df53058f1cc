//! Where private keys may lie: in a directory that is nobody else's, outside the registry and
//! outside every git work tree.

use crate::error::{CommandError, Result};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Judges a directory for private keys; it need not exist yet.
///
/// # Errors
/// It lies in the registry or in a git work tree.
pub(crate) fn judge_place(dir: &Path, registry: &Path) -> Result<()> {
    let dir = resolved(dir)?;
    if dir.starts_with(resolved(registry)?) {
        let reason = format!(
            "{} lies in the registry, which is made to be shared",
            dir.display()
        );
        return Err(CommandError::configuration("keys-in-registry", reason)
            .hint("choose a directory elsewhere, best on a medium that is kept offline"));
    }
    let tree = dir.ancestors().find(|above| above.join(".git").exists());
    if let Some(tree) = tree {
        let reason = format!(
            "{} lies in the git work tree {}: a private key would be committed sooner or later",
            dir.display(),
            tree.display()
        );
        return Err(CommandError::configuration("keys-in-git", reason)
            .hint("choose a directory outside of every git work tree"));
    }
    Ok(())
}

/// Makes the directory, mode 0700, where it does not exist.
///
/// # Errors
/// The system refuses.
pub(crate) fn make_directory(dir: &Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|why| CommandError::io("create", dir, &why))
}

/// The path without links, as far as it exists.
fn resolved(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path).map_err(|why| CommandError::io("find", path, &why))?;
    for above in path.ancestors() {
        if let Ok(real) = above.canonicalize() {
            let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
            return Ok(real.join(rest));
        }
    }
    Ok(path)
}
