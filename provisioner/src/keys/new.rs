//! New keys on their way to disk: files that are taken back where what they were made for fails.

use super::{Passphrase, Purpose, generate, judge_place, make_directory, path_of, write_new};
use crate::error::Result;
use crate::registry::sync_directory;
use edgeseal_trust::key::{SigningKey, VerifyingKey};
use edgeseal_trust::limits;
use std::path::{Path, PathBuf};

/// Keys that are in memory only.
pub(crate) struct NewKeys {
    dir: PathBuf,
    keys: Vec<(PathBuf, SigningKey)>,
}

/// Keys that are on disk, and that nothing names yet.
#[must_use]
pub(crate) struct MadeKeys(Vec<(PathBuf, SigningKey)>);

impl NewKeys {
    /// Makes `count` keys for files in `dir` whose names are free; nothing is written.
    ///
    /// # Errors
    /// The place is none for keys, too many are asked for, or there is no randomness.
    pub(crate) fn make(dir: &Path, registry: &Path, purpose: Purpose, count: u32) -> Result<Self> {
        judge_place(dir, registry)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > limits::AUTHORITY_KEYS {
            let reason = format!("a root names at most {} keys", limits::AUTHORITY_KEYS);
            return Err(
                crate::error::CommandError::usage("key-count", reason).hint("make fewer new keys")
            );
        }
        let free = (1_usize..)
            .map(|number| path_of(dir, purpose, number))
            .filter(|path| path.symlink_metadata().is_err());
        let keys: Result<_> = free
            .take(count)
            .map(|path| Ok((path, generate()?)))
            .collect();
        Ok(Self {
            dir: dir.to_owned(),
            keys: keys?,
        })
    }

    /// The public keys.
    pub(crate) fn public(&self) -> impl Iterator<Item = VerifyingKey> {
        self.keys.iter().map(|(_, key)| key.public().clone())
    }

    /// Writes them, under the passphrase that `choose` gives. It is asked only where there are any.
    ///
    /// # Errors
    /// The passphrase, or the system; then none is left.
    pub(crate) fn write(
        self,
        choose: impl FnOnce() -> Result<Option<Passphrase>>,
    ) -> Result<MadeKeys> {
        let mut made = MadeKeys(Vec::new());
        if self.keys.is_empty() {
            return Ok(made);
        }
        let passphrase = choose()?;
        make_directory(&self.dir)?;
        for (path, key) in self.keys {
            if let Err(why) = write_new(&path, &key, passphrase.as_ref()) {
                made.take_back();
                return Err(why);
            }
            made.0.push((path, key));
        }
        match sync_directory(&self.dir) {
            Ok(()) => Ok(made),
            Err(why) => {
                made.take_back();
                Err(why)
            }
        }
    }
}

impl MadeKeys {
    /// Does what they were made for; where that fails, their files go.
    ///
    /// # Errors
    /// As `act`.
    pub(crate) fn keep_if<T>(self, act: impl FnOnce(Vec<SigningKey>) -> Result<T>) -> Result<T> {
        let (paths, keys): (Vec<PathBuf>, Vec<SigningKey>) = self.0.into_iter().unzip();
        let done = act(keys);
        if done.is_err() {
            remove(&paths);
        }
        done
    }

    fn take_back(&mut self) {
        let paths: Vec<PathBuf> = self.0.drain(..).map(|(path, _)| path).collect();
        remove(&paths);
    }
}

fn remove(paths: &[PathBuf]) {
    for path in paths {
        // Nothing names the key: one that stays is passed over by every later run.
        let _ = std::fs::remove_file(path);
    }
}
