//! `broker.json` in the state directory: the broker that the join file named.

use crate::durable_file::{self, Live};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A broker as a join file names it.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerFile {
    /// `mqtt://host[:port]`, `mqtts://host[:port]` or `unix:/path`.
    pub url: String,
    /// Certificates (PEM) that the broker's must go back to; the system's where absent.
    #[serde(default, rename = "ca", skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// User name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password; never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Why `broker.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BrokerFileError {
    /// The system does not give or take it.
    #[error("{}: {error}", path.display())]
    Io {
        /// Where it lies.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is no broker.
    #[error("{} names no broker: {what}", path.display())]
    Malformed {
        /// Where it lies.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl BrokerFile {
    /// Reads the one in a state directory; nothing where there is none. Blocks.
    ///
    /// # Errors
    /// [`BrokerFileError`].
    pub fn read(state_dir: &Path) -> Result<Option<Self>, BrokerFileError> {
        let path = state_dir.join(NAME);
        let failed = |error| BrokerFileError::Io {
            path: path.clone(),
            error,
        };
        let Some(octets) = durable_file::read(&path, MAX_OCTETS).map_err(failed)? else {
            return Ok(None);
        };
        let octets = Zeroizing::new(octets);
        let read = serde_json::from_slice(&octets);
        let read = read.map_err(|error| BrokerFileError::Malformed {
            path: path.clone(),
            what: error.to_string(),
        });
        read.map(Some)
    }

    /// Writes it into a state directory, for this account alone, durably: whole or not at all. Blocks.
    ///
    /// # Errors
    /// [`BrokerFileError::Io`].
    pub fn write(&self, state_dir: &Path) -> Result<(), BrokerFileError> {
        let path = state_dir.join(NAME);
        let failed = |error| BrokerFileError::Io {
            path: path.clone(),
            error,
        };
        let text = serde_json::to_vec(self).map_err(io::Error::from);
        let text = Zeroizing::new(text.map_err(failed)?);
        durable_file::replace(&Live, state_dir, NAME, &text).map_err(failed)
    }
}

impl BrokerFileError {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "broker-file",
            Self::Malformed { .. } => "broker-file-malformed",
        }
    }
}

impl fmt::Debug for BrokerFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerFile")
            .field("url", &self.url)
            .field("ca_pem", &self.ca_pem.is_some())
            .field("username", &self.username)
            .field("password", &self.password.is_some())
            .finish()
    }
}

const NAME: &str = "broker.json";
/// A bundle of certificates has its place in it.
const MAX_OCTETS: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_comes_back_as_written_for_its_owner_alone_and_shows_no_password() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(BrokerFile::read(dir.path()).unwrap(), None);
        let file = BrokerFile {
            url: "mqtts://broker.example".to_owned(),
            ca_pem: None,
            username: Some("door".to_owned()),
            password: Some("secret".to_owned()),
        };
        file.write(dir.path()).unwrap();
        file.write(dir.path()).unwrap();
        assert_eq!(BrokerFile::read(dir.path()).unwrap().as_ref(), Some(&file));
        assert!(!format!("{file:?}").contains("secret"));
        let mode = std::fs::metadata(dir.path().join(NAME)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::write(dir.path().join(NAME), b"{\"url\":\"x\",\"token\":1}").unwrap();
        let refused = BrokerFile::read(dir.path()).unwrap_err();
        assert_eq!(refused.code(), "broker-file-malformed");
    }
}
