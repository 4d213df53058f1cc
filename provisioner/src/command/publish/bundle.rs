//! The bundle file: everything that a device needs, for a USB stick or a copy over SSH.

use crate::error::{CommandError, Result};
use crate::registry::{Registry, sync_directory};
use edgeseal_trust::document::{BundleReader, BundleWriter, Document, Manifest};
use edgeseal_trust::id::TrustDomain;
use std::fs::{File, Permissions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Refuses to replace anything but a bundle of this domain.
///
/// # Errors
/// The file is something else.
pub(crate) fn judge_target(path: &Path, domain: &TrustDomain) -> Result<()> {
    let mut reader = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(CommandError::io("replace", path, &why)),
    };
    let begin = reader.fill_buf();
    let begin = begin.map_err(|why| CommandError::io("replace", path, &why))?;
    let refuse = |what: String| {
        let reason = format!("{} is there, and is {what}", path.display());
        Err(CommandError::no("file-exists", reason).hint("choose another file with --to"))
    };
    if begin.is_empty() {
        return Ok(());
    }
    if !begin.starts_with(MAGIC) {
        return refuse("no bundle file".to_owned());
    }
    let manifest = BundleReader::open(reader).map(|old| Document::load(old.manifest()));
    match manifest {
        Ok(Ok(old)) if domain_of(&old) != domain => {
            refuse(format!("a bundle of the domain {}", domain_of(&old)))
        }
        _ => Ok(()), // one of ours, or the damaged remains of one
    }
}

/// Writes the file at once or not at all, and gives its length.
///
/// # Errors
/// The system refuses; the file is as before.
pub(crate) fn write<'a>(
    path: &Path,
    registry: &Registry,
    manifest: &[u8],
    shards: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Result<u64> {
    let roots = registry.roots()?;
    let roots: Vec<&[u8]> = roots.iter().map(|root| root.octets()).collect();
    let dir = directory_of(path);
    let failed = |why: io::Error| CommandError::io("write", path, &why);
    let temporary = tempfile::Builder::new()
        .prefix(".edgeseal-")
        .permissions(Permissions::from_mode(0o644)) // nothing in it is secret
        .tempfile_in(&dir)
        .map_err(failed)?;
    let count = u32::try_from(shards.len()).unwrap_or(u32::MAX);
    let written = || {
        let target = BufWriter::new(temporary.as_file());
        let mut writer = BundleWriter::begin(target, &roots, manifest, count)?;
        for shard in shards {
            writer.shard(shard)?;
        }
        writer.finish()?.flush()?;
        temporary.as_file().sync_all()?;
        temporary.as_file().metadata()
    };
    let octets = written().map_err(failed)?.len();
    temporary.persist(path).map_err(|why| failed(why.error))?;
    sync_directory(&dir)?;
    Ok(octets)
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn domain_of(manifest: &Document<Manifest>) -> &TrustDomain {
    &manifest.content().domain
}

const MAGIC: &[u8] = b"{\"edgeseal_bundle\"";
