//! The boot partition of a card.

use crate::error::{CommandError, Result};
use crate::registry::{Batch, replace_file};
use std::path::{Path, PathBuf};

/// A directory that is taken for a boot partition.
pub(super) struct Partition {
    dir: PathBuf,
}

impl Partition {
    /// Judges the directory, and what is in it.
    ///
    /// # Errors
    /// It is none, looks like no boot partition, or was prepared already.
    pub(super) fn judge(dir: &Path, force: bool) -> Result<Self> {
        if !dir.is_dir() {
            let reason = format!("{} is no directory", dir.display());
            return Err(CommandError::usage("no-directory", reason)
                .hint("mount the boot partition of the card, and name where it is mounted"));
        }
        let lacks = BOOT_FILES.iter().find(|name| !dir.join(name).is_file());
        if let Some(name) = lacks.filter(|_| !force) {
            let reason = format!(
                "{} looks like no boot partition of a Raspberry Pi: it has no {name}",
                dir.display()
            );
            return Err(CommandError::no("no-boot-partition", reason)
                .hint("name the small FAT partition of the card (bootfs), or give --force"));
        }
        let partition = Self {
            dir: dir.to_owned(),
        };
        let join_file = partition.folder().join(JOIN_FILE);
        // A link there would be followed by nobody, but it is no card of ours either.
        if join_file.symlink_metadata().is_ok() && !force {
            let reason = format!("{} is there already", join_file.display());
            return Err(CommandError::no("card-prepared", reason).hint(
                "is it the card of another device? To prepare it anew give --force; the old join file's token stays good until \
                 it expires: edgeseal join list, edgeseal join revoke ID",
            ));
        }
        Ok(partition)
    }

    /// Writes the folder: the join file last, so that it is there only with all the rest.
    ///
    /// # Errors
    /// The card does not take it.
    pub(super) fn write(&self, files: &[(&str, Vec<u8>)], join_file: &[u8]) -> Result<()> {
        let folder = self.folder();
        let mut batch = Batch::new(&folder)?;
        for (name, octets) in files {
            batch.add(name, octets)?;
        }
        batch.commit()?;
        let result = folder.join(RESULT_FILE);
        match std::fs::remove_file(&result) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                return Err(CommandError::io("remove", &result, &why));
            }
            _ => {}
        }
        let mut batch = Batch::new(&folder)?.private();
        batch.add(JOIN_FILE, join_file)?;
        batch.commit()
    }

    /// Writes cloud-init's user-data, unless there is one that says something else; whether it says this now.
    ///
    /// # Errors
    /// The card does not take it.
    pub(super) fn write_user_data(&self, text: &str, force: bool) -> Result<bool> {
        let path = self.dir.join("user-data");
        let is_same = std::fs::read(&path).is_ok_and(|there| there == text.as_bytes());
        if is_same {
            return Ok(true);
        }
        if path.symlink_metadata().is_ok() && !force {
            return Ok(false);
        }
        replace_file(&path, text.as_bytes()).map(|()| true)
    }

    fn folder(&self) -> PathBuf {
        self.dir.join(FOLDER)
    }
}

/// A package of the agent: the name that it gets on the card, and its octets.
///
/// # Errors
/// It is none, or far too large for one.
pub(super) fn read_package(path: &Path) -> Result<(String, Vec<u8>)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or_default();
    if !name.starts_with("edgeseal-agent_") || !name.ends_with(".deb") {
        let reason = format!(
            "{} is not named edgeseal-agent_..._ARCH.deb",
            path.display()
        );
        return Err(CommandError::usage("package-name", reason).hint(
            "arm64 for 64-bit systems, armhf for ARMv7, armhf-armv6 for the Pi Zero and Pi 1",
        ));
    }
    let size = std::fs::metadata(path).map_err(|why| CommandError::io("read", path, &why))?;
    if size.len() > PACKAGE_OCTETS {
        let reason = format!("{} is larger than any package of the agent", path.display());
        return Err(CommandError::usage("package-size", reason));
    }
    let octets = std::fs::read(path).map_err(|why| CommandError::io("read", path, &why))?;
    if !octets.starts_with(b"!<arch>\n") {
        let reason = format!("{} is no Debian package", path.display());
        return Err(CommandError::usage("package-form", reason).hint("copy it again"));
    }
    Ok((name.to_owned(), octets))
}

const BOOT_FILES: [&str; 2] = ["cmdline.txt", "config.txt"];
const FOLDER: &str = "edgeseal";
const JOIN_FILE: &str = "join.json";
const RESULT_FILE: &str = "edgeseal-result.txt";
const PACKAGE_OCTETS: u64 = 32 << 20;
