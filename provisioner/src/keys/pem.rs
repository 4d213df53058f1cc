//! Key files: PKCS#8 version 1 in PEM form (RFC 5958, RFC 8410), under a passphrase by PBES2
//! (RFC 8018) with scrypt (RFC 7914) and AES-256-CBC, which OpenSSL reads.

use super::{Passphrase, fill_random};
use crate::error::{CommandError, Exit, Result};
use crate::input;
use edgeseal_trust::key::SigningKey;
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Writes a key to a file that does not exist yet, mode 0600, on disk before this returns.
///
/// # Errors
/// The file exists, or cannot be written.
pub(crate) fn write_new(
    path: &Path,
    key: &SigningKey,
    passphrase: Option<&Passphrase>,
) -> Result<()> {
    let text = match passphrase {
        Some(passphrase) => encrypted_pem(key, passphrase)?,
        None => plain_pem(key)?,
    };
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    })
    .map_err(|why| CommandError::io("create the key file", path, &why))
}

/// A key file that has been read; its key is still under its passphrase.
pub(crate) struct KeyFile {
    path: PathBuf,
    label: String,
    document: SecretDocument,
}

impl KeyFile {
    /// Reads a key file.
    ///
    /// # Errors
    /// The file cannot be read, is open to others, or is no PKCS#8 document in PEM form.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let failed = |why| CommandError::io("read the key file", path, &why);
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            let reason = format!("others may read the private key {}", path.display());
            return Err(CommandError::new(Exit::Permission, "key-file-open", reason)
                .hint(format!("chmod 600 {}", path.display())));
        }
        let text = input::read_secret(path, LONGEST_OCTETS).map_err(|why| match why.kind() {
            io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidData => not_a_key(path),
            _ => failed(why),
        })?;
        let (label, document) = SecretDocument::from_pem(&text).map_err(|_| not_a_key(path))?;
        if !matches!(label, ENCRYPTED | PLAIN) {
            return Err(not_a_key(path));
        }
        Ok(Self {
            path: path.to_owned(),
            label: label.to_owned(),
            document,
        })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a passphrase is needed.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.label == ENCRYPTED
    }

    /// The key. A passphrase is ignored where none is needed.
    ///
    /// # Errors
    /// Wrong passphrase, or the content is no Ed25519 key.
    pub(crate) fn open(&self, passphrase: &str) -> Result<SigningKey> {
        let damaged = |_| not_a_key(&self.path);
        if !self.is_encrypted() {
            return SigningKey::from_pkcs8_der(self.document.as_bytes())
                .map_err(|_| not_a_key(&self.path));
        }
        let info =
            EncryptedPrivateKeyInfoRef::try_from(self.document.as_bytes()).map_err(damaged)?;
        let plain = info.decrypt(passphrase).map_err(|_| {
            let reason = format!("the passphrase does not open {}", self.path.display());
            CommandError::new(Exit::Permission, "passphrase-wrong", reason)
                .hint("each key file may have a passphrase of its own; try again")
        })?;
        SigningKey::from_pkcs8_der(plain.as_bytes()).map_err(|_| not_a_key(&self.path))
    }
}

fn plain_pem(key: &SigningKey) -> Result<Zeroizing<String>> {
    SecretDocument::try_from(key.to_pkcs8_der().as_slice())
        .and_then(|document| document.to_pem(PLAIN, LineEnding::LF))
        .map_err(|_| unwritable())
}

fn encrypted_pem(key: &SigningKey, passphrase: &Passphrase) -> Result<Zeroizing<String>> {
    let mut salt = [0; 16];
    let mut iv = [0; 16];
    fill_random(&mut salt)?;
    fill_random(&mut iv)?;
    let cost = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).map_err(|_| unwritable())?;
    let parameters =
        pbes2::Parameters::generate_scrypt_aes256cbc(cost, &salt, iv).map_err(|_| unwritable())?;
    let der = key.to_pkcs8_der();
    let info = PrivateKeyInfoRef::try_from(der.as_slice()).map_err(|_| unwritable())?;
    let document = info
        .encrypt_with_params(parameters, passphrase.as_bytes())
        .map_err(|_| unwritable())?;
    document
        .to_pem(ENCRYPTED, LineEnding::LF)
        .map_err(|_| unwritable())
}

fn not_a_key(path: &Path) -> CommandError {
    let reason = format!("{} is no Ed25519 key in PKCS#8 PEM form", path.display());
    CommandError::configuration("key-file-damaged", reason)
        .hint("restore the file from your backup; `openssl pkey -in FILE -noout` must read it")
}

fn unwritable() -> CommandError {
    CommandError::new(
        Exit::TemporaryFailure,
        "key-encoding",
        "the key could not be encoded as PKCS#8",
    )
}

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const LONGEST_OCTETS: usize = 16 << 10;
/// scrypt with N = 2^14, r = 8, p = 5: as hard to guess as N = 2^17, p = 1, within the 32 MiB that
/// OpenSSL allows scrypt when it reads a key.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 5;

#[cfg(test)]
mod tests {
    use super::{KeyFile, write_new};
    use crate::keys::{Passphrase, generate};

    #[test]
    fn a_key_comes_back_only_with_its_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root-1.pem");
        let key = generate().unwrap();
        let passphrase = Passphrase::new("correct horse".into());
        write_new(&path, &key, Some(&passphrase)).unwrap();
        let file = KeyFile::read(&path).unwrap();
        assert_eq!(
            file.open("correct horse").unwrap().public().id(),
            key.public().id()
        );
        assert_eq!(
            file.open("wrong horse").err().unwrap().code,
            "passphrase-wrong"
        );
        let again = write_new(&path, &key, Some(&passphrase)).unwrap_err();
        assert_eq!(again.code, "file-exists");
    }

    #[test]
    fn a_loose_or_damaged_file_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registrar-1.pem");
        write_new(&path, &generate().unwrap(), None).unwrap();
        assert!(KeyFile::read(&path).unwrap().open("").is_ok());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(KeyFile::read(&path).err().unwrap().code, "key-file-open");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace('M', "N")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let opened = KeyFile::read(&path).and_then(|file| file.open("").map(drop));
        assert_eq!(opened.unwrap_err().code, "key-file-damaged");
    }
}
