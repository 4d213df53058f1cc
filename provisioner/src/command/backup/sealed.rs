//! A backup under a passphrase: PBES2 (RFC 8018) with scrypt (RFC 7914) and AES-256-GCM, from the
//! library that the key files stand on. `age` was looked at and brings a hundred crates.
//!
//! A first line that names the format, 16 octets of salt, 12 of nonce, the ciphertext. The format
//! fixes the cost, so that no file can ask for more memory than this.

use crate::error::{CommandError, Exit, Result};
use crate::input;
use crate::keys::{Passphrase, fill_random};
use pkcs8::pkcs5::{pbes2, scrypt};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// Refuses to replace anything but a backup.
///
/// # Errors
/// The file is something else.
pub(super) fn judge_target(path: &Path) -> Result<()> {
    let mut begin = Vec::new();
    let most = u64::try_from(MAGIC.len()).unwrap_or(u64::MAX);
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut begin));
    match read {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(why) => Err(CommandError::io("replace", path, &why)),
        Ok(_) if begin == MAGIC => Ok(()),
        Ok(_) => {
            let reason = format!("{} is there, and is no backup", path.display());
            Err(CommandError::no("file-exists", reason).hint("choose another file"))
        }
    }
}

/// Encrypts.
///
/// # Errors
/// No randomness, or more octets than a backup may have.
pub(super) fn seal(plain: &[u8], passphrase: &Passphrase) -> Result<Vec<u8>> {
    if plain.len() > MOST_OCTETS {
        let reason = format!("the registry has more than {MOST_OCTETS} octets");
        return Err(CommandError::no("size", reason)
            .hint("keep fewer manifests (edgeseal history --keep N) and publish"));
    }
    let (mut salt, mut nonce) = ([0; SALT], [0; NONCE]);
    fill_random(&mut salt)?;
    fill_random(&mut nonce)?;
    let parameters = parameters(&salt, nonce).ok_or_else(unsealable)?;
    let sealed = parameters.encrypt(passphrase.as_bytes(), plain);
    let sealed = sealed.map_err(|_| unsealable())?;
    Ok([MAGIC, &salt, &nonce, &sealed].concat())
}

/// Reads a backup and decrypts it.
///
/// # Errors
/// No backup, another format, or a passphrase that does not open it; a damaged one looks the same.
pub(super) fn open(
    path: &Path,
    passphrase: impl FnOnce() -> Result<Passphrase>,
) -> Result<Zeroizing<Vec<u8>>> {
    let octets = input::read(path, MOST_OCTETS.saturating_add(OVERHEAD))
        .map_err(|why| CommandError::io("read", path, &why))?;
    let parts = octets.strip_prefix(MAGIC).and_then(|rest| {
        let (salt, rest) = rest.split_first_chunk::<SALT>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        Some((parameters(salt, *nonce)?, sealed))
    });
    let Some((parameters, sealed)) = parts else {
        let reason = format!("{} is no backup that this program knows", path.display());
        return Err(CommandError::no("not-a-backup", reason).hint(
            "name the file that edgeseal backup wrote; a newer edgeseal may have written it",
        ));
    };
    let plain = parameters.decrypt(passphrase()?.as_bytes(), sealed);
    plain.map(Zeroizing::new).map_err(|_| {
        let reason = format!(
            "the passphrase does not open {}, or the file is damaged",
            path.display()
        );
        CommandError::new(Exit::Permission, "passphrase-wrong", reason)
            .hint("try again; then take another copy of the backup")
    })
}

fn parameters(salt: &[u8; SALT], nonce: [u8; NONCE]) -> Option<pbes2::Parameters> {
    let cost = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).ok()?;
    pbes2::Parameters::scrypt_aes256gcm(cost, salt, nonce).ok()
}

fn unsealable() -> CommandError {
    CommandError::new(
        Exit::TemporaryFailure,
        "encryption",
        "the backup could not be encrypted",
    )
    .hint("run the command again")
}

const MAGIC: &[u8] = b"edgeseal-backup-1\n";
const SALT: usize = 16;
const NONCE: usize = 12;
/// Tag and all that is before the ciphertext, with room.
const OVERHEAD: usize = 256;
/// Ten times a domain of 100,000 devices with its history.
const MOST_OCTETS: usize = 1 << 30;
/// As for the key files.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 5;
