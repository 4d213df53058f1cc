//! The registrar keys that sign a manifest: as many as the root's threshold says.

use super::Args;
use crate::error::{CommandError, Result};
use crate::keys::{self, KeyFile, PassphraseSource, Purpose};
use edgeseal_trust::document::Root;
use edgeseal_trust::key::SigningKey;

/// Opens key files until the threshold is reached.
///
/// # Errors
/// Too few of the keys are registrar keys of the root, or a passphrase is wrong.
pub(crate) fn find(args: &Args, root: &Root) -> Result<Vec<SigningKey>> {
    let needed = usize::try_from(root.registrar.threshold()).unwrap_or(usize::MAX);
    let source = args
        .passphrase_file
        .clone()
        .map_or(PassphraseSource::Terminal, PassphraseSource::File);
    let mut signers: Vec<SigningKey> = Vec::new();
    let mut first_refusal = None;
    for path in keys::find(&args.keys, Purpose::Registrar)? {
        if signers.len() == needed {
            break;
        }
        match open(&KeyFile::read(&path)?, &source) {
            Ok(key) => {
                let kid = key.public().id();
                let is_new = signers.iter().all(|other| other.public().id() != kid);
                if is_new && root.registrar.key(kid).is_some() {
                    signers.push(key);
                }
            }
            // Another holder's key, perhaps: the others may be enough.
            Err(why) => first_refusal = first_refusal.or(Some(why)),
        }
    }
    if signers.len() == needed {
        return Ok(signers);
    }
    if let Some(why) = first_refusal {
        return Err(why);
    }
    let reason = format!(
        "{} of the {needed} registrar keys needed are here that root version {} names",
        signers.len(),
        root.version
    );
    Err(CommandError::no("threshold", reason)
        .hint("give --keys again for each directory that holds some of them"))
}

fn open(file: &KeyFile, source: &PassphraseSource) -> Result<SigningKey> {
    if !file.is_encrypted() {
        return file.open("");
    }
    let passphrase = source.ask(&file.path().display().to_string())?;
    file.open(&passphrase)
}
