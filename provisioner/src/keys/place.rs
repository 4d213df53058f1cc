//! Where private keys may lie: in a directory that is nobody else's, outside the registry and
//! outside every git work tree.

use crate::error::{CommandError, Result};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

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
            return Ok(rest.components().fold(real, step));
        }
    }
    Ok(path)
}

/// One step further, where nothing is a link because nothing exists yet.
fn step(mut at: PathBuf, component: Component<'_>) -> PathBuf {
    match component {
        Component::ParentDir => drop(at.pop()),
        other => at.push(other),
    }
    at
}

#[cfg(test)]
mod tests {
    use super::judge_place;

    #[test]
    fn no_detour_leads_into_the_registry_or_a_work_tree() {
        let dir = tempfile::tempdir().unwrap();
        let (registry, tree) = (dir.path().join("registry"), dir.path().join("tree"));
        std::fs::create_dir_all(&registry).unwrap();
        std::fs::create_dir_all(tree.join(".git")).unwrap();
        let code = |place: &str| {
            let judged = judge_place(&dir.path().join(place), &registry);
            judged.err().map(|why| why.code)
        };
        assert_eq!(code("elsewhere/keys"), None);
        for place in [
            "registry/keys",
            "absent/../registry/keys",
            "absent/./x/../../registry",
        ] {
            assert_eq!(code(place), Some("keys-in-registry"), "{place}");
        }
        for place in ["tree/keys", "absent/../tree/keys", "tree/absent/../keys"] {
            assert_eq!(code(place), Some("keys-in-git"), "{place}");
        }
        assert_eq!(code("tree/../elsewhere"), None);
    }
}
