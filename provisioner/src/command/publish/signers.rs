//! The registrar keys that sign a manifest: as many as the root's threshold says, or as many of them as are here.

use crate::command::Signing;
use crate::error::{CommandError, Result};
use crate::keys::{self, KeyFile, PassphraseSource, Purpose};
use edgeseal_trust::document::Root;
use edgeseal_trust::key::SigningKey;

/// Registrar keys, open. A program that signs again and again keeps them, and asks for no passphrase twice.
pub(crate) struct Signers {
    keys: Vec<SigningKey>,
    /// Sign although the kernel does not call this clock synchronized.
    pub(super) unsynchronized_clock: bool,
}

impl Signers {
    /// Opens key files until the threshold is reached.
    ///
    /// # Errors
    /// None of the keys is a registrar key of the root, or no passphrase opens one.
    pub(crate) fn open(signing: &Signing, root: &Root) -> Result<Self> {
        let needed = needed(root);
        let is_ours = |key: &SigningKey| root.registrar.key(key.public().id()).is_some();
        let keys = open_some(signing, needed, is_ours)?;
        let signers = Self {
            keys,
            unsynchronized_clock: signing.unsynchronized_clock,
        };
        signers.of(root)?;
        Ok(signers)
    }

    /// Those that `root` names, the threshold of them at most: another root may have come since they were opened.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn of(&self, root: &Root) -> Result<Vec<&SigningKey>> {
        let ours = self.keys.iter();
        let ours = ours.filter(|key| root.registrar.key(key.public().id()).is_some());
        let ours: Vec<&SigningKey> = ours.take(needed(root)).collect();
        if ours.is_empty() {
            let version = root.version;
            let reason =
                format!("none of these registrar keys is one that root version {version} names");
            return Err(CommandError::no("threshold", reason)
                .hint("--keys names the directory of the domain's registrar keys; a root may have replaced them"));
        }
        Ok(ours)
    }
}

/// How many registrar keys must sign.
pub(super) fn needed(root: &Root) -> usize {
    usize::try_from(root.registrar.threshold()).unwrap_or(usize::MAX)
}

/// Opens registrar keys that are `wanted`, until there are `most`.
///
/// # Errors
/// There is no such file, or no passphrase opens one.
pub(crate) fn open_some(
    signing: &Signing,
    most: usize,
    is_wanted: impl Fn(&SigningKey) -> bool,
) -> Result<Vec<SigningKey>> {
    signing.judge_given()?;
    let source = signing
        .passphrase_file
        .clone()
        .map_or(PassphraseSource::Terminal, PassphraseSource::File);
    let mut keys: Vec<SigningKey> = Vec::new();
    let mut first_refusal = None;
    for path in keys::find(&signing.keys, Purpose::Registrar)? {
        if keys.len() == most {
            break;
        }
        match open(&KeyFile::read(&path)?, &source) {
            Ok(key) => {
                let kid = key.public().id();
                let is_new = keys.iter().all(|other| other.public().id() != kid);
                if is_new && is_wanted(&key) {
                    keys.push(key);
                }
            }
            // Another holder's key, perhaps: the others may be enough.
            Err(why) => first_refusal = first_refusal.or(Some(why)),
        }
    }
    match first_refusal {
        Some(why) if keys.is_empty() => Err(why),
        _ => Ok(keys),
    }
}

fn open(file: &KeyFile, source: &PassphraseSource) -> Result<SigningKey> {
    if !file.is_encrypted() {
        return file.open("");
    }
    let passphrase = source.ask(&file.path().display().to_string())?;
    file.open(&passphrase)
}
