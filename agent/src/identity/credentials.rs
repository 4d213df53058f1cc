//! What systemd hands to the service (systemd.exec(5), "Credentials"): the identity key itself, or the passphrase
//! of its file. Files in the directory that `CREDENTIALS_DIRECTORY` names, readable by this process alone.

use super::IdentityError;
use super::files::failed;
use crate::durable_file;
use std::ffi::OsString;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Where credentials lie, if there are any.
pub(super) struct Credentials {
    directory: Option<PathBuf>,
}

/// A credential, and where it was read.
pub(super) struct Credential {
    pub(super) path: PathBuf,
    pub(super) octets: Zeroizing<Vec<u8>>,
}

impl Credentials {
    /// Those of this process.
    pub(super) fn of_process() -> Self {
        Self::in_directory(std::env::var_os("CREDENTIALS_DIRECTORY"))
    }

    /// Those of the service that runs, where root looks.
    pub(super) fn of_service() -> Self {
        Self::in_directory(Some(OF_SERVICE.into()))
    }

    /// Those in a directory.
    pub(super) fn in_directory(directory: Option<OsString>) -> Self {
        let directory = directory.filter(|directory| !directory.is_empty());
        Self {
            directory: directory.map(PathBuf::from),
        }
    }

    /// The identity key (PKCS#8, PEM).
    ///
    /// # Errors
    /// [`IdentityError::Io`], also when it is longer than any key.
    pub(super) fn identity(&self) -> Result<Option<Credential>, IdentityError> {
        self.read(IDENTITY)
    }

    /// Refuses where the key is a credential: this program cannot replace it.
    ///
    /// # Errors
    /// [`IdentityError::FromCredential`].
    pub(super) fn expect_no_identity(&self) -> Result<(), IdentityError> {
        match self.identity()? {
            Some(Credential { path, .. }) => Err(IdentityError::FromCredential { path }),
            None => Ok(()),
        }
    }

    /// The passphrase of key files, without the end of its line.
    ///
    /// # Errors
    /// [`IdentityError::Io`]; [`IdentityError::Malformed`] when it is empty.
    pub(super) fn passphrase(&self) -> Result<Option<Zeroizing<Vec<u8>>>, IdentityError> {
        let Some(Credential { path, mut octets }) = self.read(PASSPHRASE)? else {
            return Ok(None);
        };
        for end in [b'\n', b'\r'] {
            if octets.last() == Some(&end) {
                octets.pop();
            }
        }
        if octets.is_empty() {
            let what = "the passphrase is empty".to_owned();
            return Err(IdentityError::Malformed { path, what });
        }
        Ok(Some(octets))
    }

    fn read(&self, name: &str) -> Result<Option<Credential>, IdentityError> {
        let Some(directory) = &self.directory else {
            return Ok(None);
        };
        let path = directory.join(name);
        let read = durable_file::read(&path, OCTETS_AT_MOST).map_err(failed("read", &path))?;
        Ok(read.map(|octets| Credential {
            path,
            octets: Zeroizing::new(octets),
        }))
    }
}

/// Names of the credentials: a promise to the units of operators.
const IDENTITY: &str = "edgeseal-identity";
const PASSPHRASE: &str = "edgeseal-passphrase";
/// Where systemd keeps those of the unit (systemd.exec(5), `CREDENTIALS_DIRECTORY`).
const OF_SERVICE: &str = "/run/credentials/edgeseal-agent.service";
const OCTETS_AT_MOST: u64 = 4096;
