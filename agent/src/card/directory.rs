//! A directory in which others may have put anything: no link is followed, no pipe is waited for, nothing
//! is read without a bound.

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;
use zeroize::Zeroizing;

/// An open directory. Its files are reached through it, whatever happens to its path.
#[derive(Debug)]
pub(crate) struct Directory(File);

impl Directory {
    /// Opens it; nothing where there is none.
    ///
    /// # Errors
    /// Something else lies there, a link for one, or it may not be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | SAFELY;
        match openat(rustix::fs::CWD, path, flags, Mode::empty()) {
            Ok(directory) => Ok(Some(Self(File::from(directory)))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a plain file of at most `limit` octets; nothing where there is none.
    ///
    /// # Errors
    /// It is no plain file, has more octets, or cannot be read.
    pub(crate) fn read(&self, name: &str, limit: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        match self.plain(name, OFlags::RDONLY)? {
            Some(file) => read_at_most(&file, limit).map(Some),
            None => Ok(None),
        }
    }

    /// Writes a file in the place of whatever is there, whole or not at all, and durably. It gets the group
    /// of the directory, where the system lets this process give it.
    ///
    /// # Errors
    /// It is not written: what was there is there.
    pub(crate) fn replace(&self, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
        let new = format!("{name}.new");
        self.remove(&new)?; // of a try that was cut off
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | SAFELY;
        let write = || {
            let mut file = File::from(openat(&self.0, &new, flags, Mode::from_raw_mode(0o600))?);
            let group = self.0.metadata()?.gid();
            // Refused by file systems without owners, and to whom is not in that group.
            if file.metadata()?.gid() != group {
                let _ = fchown(&file, None, Some(group));
            }
            let _ = fchmod(&file, Mode::from_raw_mode(mode));
            file.write_all(content)?;
            file.sync_all()?;
            renameat(&self.0, &new, &self.0, name)?;
            self.0.sync_all()
        };
        let written = write();
        if written.is_err() {
            let _ = self.remove(&new); // the error that stopped it is the one to tell
        }
        written
    }

    /// Overwrites and removes a plain file of at most `limit` octets that `is_it` recognizes; whether it did.
    /// Stopped at any moment it leaves the file as it is or as one that [`Directory::clear`] removes.
    ///
    /// # Errors
    /// It may still be there, whole or in part.
    pub(crate) fn shred(
        &self,
        name: &str,
        limit: usize,
        is_it: impl FnOnce(&[u8]) -> bool,
    ) -> io::Result<bool> {
        let Some(file) = self.plain(name, OFlags::RDWR)? else {
            return Ok(false);
        };
        if !is_it(&read_at_most(&file, limit)?) {
            return Ok(false);
        }
        renameat(&self.0, name, &self.0, shredded_name(name))?;
        self.0.sync_all()?;
        self.clear(name)?;
        Ok(true)
    }

    /// Ends a [`Directory::shred`] that was cut off; whether there was one.
    ///
    /// # Errors
    /// What it left is still there.
    pub(crate) fn clear(&self, name: &str) -> io::Result<bool> {
        let name = shredded_name(name);
        if let Some(mut file) = self.plain(&name, OFlags::RDWR)? {
            let length = file.metadata()?.len().min(OVERWRITTEN_AT_MOST);
            io::copy(&mut io::repeat(0).take(length), &mut file)?;
            file.sync_all()?;
        }
        let was_there = self.remove(&name)?;
        if was_there {
            self.0.sync_all()?;
        }
        Ok(was_there)
    }

    /// Removes a name, and says whether it was there. A link is removed, not what it leads to.
    ///
    /// # Errors
    /// It is still there: a directory, for one.
    pub(crate) fn remove(&self, name: &str) -> io::Result<bool> {
        match unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The first few names that `wanted` takes, sorted.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn names(&self, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)?.take(ENTRIES) {
            let entry = entry?;
            let name = entry.file_name().to_str().unwrap_or_default();
            if wanted(name) && names.len() < NAMES {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn plain(&self, name: &str, flags: OFlags) -> io::Result<Option<File>> {
        let opened = match openat(&self.0, name, flags | SAFELY, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(io::Error::other("it is a link")),
            Err(Errno::ISDIR | Errno::NXIO) => return Err(not_plain()),
            Err(error) => return Err(error.into()),
        };
        if FileType::from_raw_mode(fstat(&opened)?.st_mode) != FileType::RegularFile {
            return Err(not_plain());
        }
        Ok(Some(File::from(opened)))
    }
}

fn read_at_most(mut file: &File, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let past_limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut octets = Zeroizing::new(Vec::new());
    if file.take(past_limit).read_to_end(&mut octets)? > limit {
        let why = format!("it has more than {limit} octets");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    file.rewind()?;
    Ok(octets)
}

fn not_plain() -> io::Error {
    io::Error::other("it is no plain file")
}

fn shredded_name(name: &str) -> String {
    format!("{name}.used")
}

const SAFELY: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);
/// Longer than any join file.
const OVERWRITTEN_AT_MOST: u64 = 1 << 20;
/// Entries of a directory that are looked at.
const ENTRIES: usize = 1000;
const NAMES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use tempfile::TempDir;

    struct Card {
        dir: TempDir,
        open: Directory,
    }

    fn card() -> Card {
        let dir = tempfile::tempdir().unwrap();
        let open = Directory::open(dir.path()).unwrap().unwrap();
        Card { dir, open }
    }

    impl Card {
        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }
    }

    #[test]
    fn what_is_no_plain_file_is_refused_at_once() {
        let card = card();
        fs::write(card.path("target"), "secret").unwrap();
        symlink(card.path("target"), card.path("link")).unwrap();
        fs::create_dir(card.path("directory")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            card.path("pipe"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        fs::write(card.path("huge"), vec![b'x'; 101]).unwrap();
        for name in ["link", "directory", "pipe", "huge"] {
            assert!(card.open.read(name, 100).is_err(), "{name}");
            assert!(card.open.shred(name, 100, |_| true).is_err(), "{name}");
            assert!(card.path(name).symlink_metadata().is_ok(), "{name}");
        }
        assert_eq!(fs::read(card.path("target")).unwrap(), b"secret");
        assert!(card.open.read("absent", 100).unwrap().is_none());
        assert!(Directory::open(&card.path("absent")).unwrap().is_none());
        symlink(card.dir.path(), card.path("way")).unwrap();
        assert!(Directory::open(&card.path("way")).is_err(), "a link");
    }

    #[test]
    fn a_link_in_the_way_of_a_file_is_replaced_and_not_followed() {
        let card = card();
        fs::write(card.path("target"), "as it was").unwrap();
        for name in ["result", "result.new", "join.used"] {
            symlink(card.path("target"), card.path(name)).unwrap();
        }
        card.open.replace("result", b"new", 0o644).unwrap();
        assert!(card.open.clear("join").is_err(), "a link is no leftover");
        assert_eq!(fs::read(card.path("target")).unwrap(), b"as it was");
        assert_eq!(fs::read(card.path("result")).unwrap(), b"new");
        assert!(!card.path("result").is_symlink());
    }

    #[test]
    fn shredding_takes_only_what_is_meant_and_goes_on_after_a_cut() {
        let card = card();
        fs::write(card.path("join.json"), "the seed").unwrap();
        let linked = fs::File::open(card.path("join.json")).unwrap();
        assert!(!card.open.shred("join.json", 100, |_| false).unwrap());
        assert_eq!(fs::read(card.path("join.json")).unwrap(), b"the seed");
        let is_it = |octets: &[u8]| octets == b"the seed";
        assert!(card.open.shred("join.json", 100, is_it).unwrap());
        assert_eq!(fs::read_dir(card.dir.path()).unwrap().count(), 0);
        let mut left = Vec::new();
        (&linked).read_to_end(&mut left).unwrap();
        assert_eq!(left, [0; 8], "the octets are overwritten where they lay");
        // A cut after the renaming.
        fs::write(card.path("join.json.used"), "the seed").unwrap();
        assert!(card.open.clear("join.json").unwrap());
        assert!(!card.path("join.json.used").exists());
        assert!(!card.open.shred("join.json", 100, is_it).unwrap(), "twice");
        assert!(!card.open.clear("join.json").unwrap(), "twice");
    }

    #[test]
    fn names_are_few() {
        let card = card();
        for name in ["b.json", "a.json", "c.txt", "d.json", "e.json"] {
            fs::write(card.path(name), "").unwrap();
        }
        let found = card.open.names(|name| name.ends_with(".json")).unwrap();
        assert_eq!(found.len(), 3);
        assert!(found.is_sorted());
    }
}
