//! Passphrases: from a file, or asked for on the terminal.

use crate::error::{CommandError, Exit, Result};
use crate::input;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A passphrase; it leaves memory when dropped.
pub(crate) type Passphrase = Zeroizing<String>;

/// Where the passphrase of a key comes from.
#[derive(Clone, Debug)]
pub(crate) enum PassphraseSource {
    /// The first line of a file.
    File(PathBuf),
    /// The terminal.
    Terminal,
}

impl PassphraseSource {
    /// The passphrase for new keys; on the terminal it is asked for twice.
    ///
    /// # Errors
    /// Too short, the two differ, no terminal, or the file cannot be read or is open to others.
    pub(crate) fn choose(&self, label: &str) -> Result<Passphrase> {
        let chosen = self.ask(label)?;
        if chosen.chars().count() < SHORTEST_CHARACTERS {
            let reason = format!(
                "the passphrase for {label} is shorter than {SHORTEST_CHARACTERS} characters"
            );
            return Err(CommandError::usage("passphrase-short", reason)
                .hint("five or six random words are easy to type and hard to guess"));
        }
        if matches!(self, Self::Terminal)
            && prompt(&format!("The same again, for {label}"))? != chosen
        {
            return Err(
                CommandError::usage("passphrase-differs", "the two passphrases differ")
                    .hint("run the command again; no key was made"),
            );
        }
        Ok(chosen)
    }

    /// The passphrase of existing keys.
    ///
    /// # Errors
    /// No terminal, or the file cannot be read or is open to others.
    pub(crate) fn ask(&self, label: &str) -> Result<Passphrase> {
        match self {
            Self::File(path) => first_line(path),
            Self::Terminal => prompt(&format!("Passphrase for {label}")),
        }
    }
}

fn prompt(label: &str) -> Result<Passphrase> {
    rpassword::prompt_password(format!("{label}: "))
        .map(Passphrase::new)
        .map_err(|why| {
            let reason = format!("no terminal to ask for a passphrase: {why}");
            CommandError::new(Exit::Unavailable, "no-terminal", reason)
                .hint("give --passphrase-file FILE (mode 0600)")
        })
}

fn first_line(path: &Path) -> Result<Passphrase> {
    let metadata = std::fs::metadata(path).map_err(|why| CommandError::io("read", path, &why))?;
    let mode = metadata.permissions().mode();
    // A credential is its service's: systemd grants it by an access list, whose bits show in the place of the group's.
    let others = if is_credential(path) { 0o007 } else { 0o077 };
    // A pipe (`--passphrase-file <(pass show edgeseal)`) is nobody else's to open.
    if mode & others != 0 && !metadata.file_type().is_fifo() {
        let reason = format!("others may read the passphrase in {}", path.display());
        return Err(
            CommandError::new(Exit::Permission, "passphrase-file-open", reason)
                .hint(format!("chmod 600 {}", path.display())),
        );
    }
    let text = input::read_secret(path, LONGEST_OCTETS)
        .map_err(|why| CommandError::io("read", path, &why))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        let reason = format!("the first line of {} is empty", path.display());
        return Err(CommandError::usage("passphrase-empty", reason)
            .hint("the first line of the file is the passphrase"));
    }
    Ok(Passphrase::new(line.to_owned()))
}

/// Whether systemd hands the file to this service (systemd.exec(5), `LoadCredential=`).
fn is_credential(path: &Path) -> bool {
    let dir = std::env::var_os("CREDENTIALS_DIRECTORY");
    dir.is_some_and(|dir| !dir.is_empty() && path.starts_with(dir))
}

const SHORTEST_CHARACTERS: usize = 8;
const LONGEST_OCTETS: usize = 16 << 10;
