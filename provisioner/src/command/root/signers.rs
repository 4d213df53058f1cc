//! The root keys at hand.

use crate::error::{CommandError, Result};
use crate::keys::{self, KeyFile, PassphraseSource, Purpose};
use edgeseal_trust::key::{KeyId, SigningKey};
use std::path::PathBuf;

/// Where root keys are, and how they are opened.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct RootSigning {
    /// Directory with root keys; give it again where they lie in several places
    #[arg(long, value_name = "DIR", required = true, env = "EDGESEAL_KEYS")]
    pub(crate) keys: Vec<PathBuf>,
    /// Its first line is the passphrase of the root keys; without it you are asked
    #[arg(long, value_name = "FILE", env = "EDGESEAL_PASSPHRASE_FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

impl RootSigning {
    /// The first directory: where new keys go unless another one is named.
    pub(crate) fn first_directory(&self) -> Result<PathBuf> {
        self.keys.first().cloned().ok_or_else(|| {
            CommandError::usage("keys-not-named", "no directory for keys is named")
                .hint("give --keys DIR, or set EDGESEAL_KEYS")
        })
    }

    /// Where the passphrase comes from.
    pub(crate) fn passphrase(&self) -> PassphraseSource {
        source(self.passphrase_file.as_ref())
    }

    /// The root keys at hand that are `wanted`, each once. There may be none.
    ///
    /// # Errors
    /// A directory or file cannot be read; or a passphrase is wrong and no key could be opened.
    pub(crate) fn open(&self, wanted: impl Fn(KeyId) -> bool) -> Result<Vec<SigningKey>> {
        let paths = match keys::find(&self.keys, Purpose::Root) {
            Err(why) if why.code == "no-keys" => Vec::new(),
            found => found?,
        };
        let source = self.passphrase();
        let mut opened: Vec<SigningKey> = Vec::new();
        let mut first_refusal = None;
        for path in paths {
            match open(&KeyFile::read(&path)?, &source) {
                Ok(key) => {
                    let kid = key.public().id();
                    let is_new = opened.iter().all(|other| other.public().id() != kid);
                    if is_new && wanted(kid) {
                        opened.push(key);
                    }
                }
                // Another holder's key, perhaps: the others may be enough.
                Err(why) => first_refusal = first_refusal.or(Some(why)),
            }
        }
        match first_refusal {
            Some(why) if opened.is_empty() => Err(why),
            _ => Ok(opened),
        }
    }
}

/// A file, or the terminal.
pub(crate) fn source(file: Option<&PathBuf>) -> PassphraseSource {
    file.cloned()
        .map_or(PassphraseSource::Terminal, PassphraseSource::File)
}

fn open(file: &KeyFile, source: &PassphraseSource) -> Result<SigningKey> {
    if !file.is_encrypted() {
        return file.open("");
    }
    let passphrase = source.ask(&file.path().display().to_string())?;
    file.open(&passphrase)
}
