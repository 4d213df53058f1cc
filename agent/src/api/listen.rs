//! The socket: made with its mode and group before anybody can connect, taken over from an agent
//! that died, never from one that lives.

use crate::config::{Config, SocketGroup};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A socket that listens; its name goes with the value.
#[derive(Debug)]
pub struct Socket {
    listener: tokio::net::UnixListener,
    path: PathBuf,
    inode: Option<u64>,
}

/// Why nobody can be listened to.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process answers on this path.
    #[error("{} is in use: another agent listens there\n  hint: stop it, or set another path", .0.display())]
    InUse(PathBuf),
    /// The path is there, and it is no socket.
    #[error("{} is not a socket: it is left alone\n  hint: remove it, or set another path", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot {action} {}: {error}\n  hint: {}", path.display(), hint(error))]
    System {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl ListenError {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InUse(_) => "socket-in-use",
            Self::NotASocket(_) => "socket-path",
            Self::System { .. } => "socket-unusable",
        }
    }
}

impl Socket {
    /// Listens where the configuration says. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`]; what was at the path before is still there.
    pub fn listen(config: &Config) -> Result<Self, ListenError> {
        let api = &config.api;
        Self::at(
            config.api_socket(),
            api.socket_mode,
            api.socket_group.as_ref(),
        )
    }

    /// Takes over a socket that the service manager made, with mode and group, and removes when it likes.
    /// To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ListenError::System`].
    pub fn passed(listener: UnixListener) -> Result<Self, ListenError> {
        let address = listener.local_addr().ok();
        let path = address.and_then(|address| address.as_pathname().map(Path::to_owned));
        let path = path.unwrap_or_default();
        let taken = listener
            .set_nonblocking(true)
            .and_then(|()| tokio::net::UnixListener::from_std(listener));
        Ok(Self {
            listener: taken.map_err(system("listen on", &path))?,
            path,
            inode: None,
        })
    }

    /// Listens at this path. To be called within a tokio runtime.
    ///
    /// # Errors
    /// As for [`Socket::listen`].
    pub fn at(path: PathBuf, mode: u32, group: Option<&SocketGroup>) -> Result<Self, ListenError> {
        expect_free(&path)?;
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(system("create", directory))?;
        }
        // Under another name first: nobody can connect before mode and group are set, and the
        // rename takes the place of a socket that nobody serves any more.
        let unfinished = path.with_extension(UNFINISHED);
        if unfinished.exists() {
            fs::remove_file(&unfinished).map_err(system("remove", &unfinished))?;
        }
        let listener = UnixListener::bind(&unfinished).map_err(system("listen on", &path))?;
        let made = dress(&unfinished, mode, group)
            .and_then(|()| listener.set_nonblocking(true))
            .and_then(|()| fs::rename(&unfinished, &path))
            .and_then(|()| tokio::net::UnixListener::from_std(listener));
        let listener = made.map_err(|error| {
            fs::remove_file(&unfinished).ok();
            system("listen on", &path)(error)
        })?;
        let inode = inode(&path);
        Ok(Self {
            listener,
            path,
            inode,
        })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What accepts.
    pub const fn listener(&self) -> &tokio::net::UnixListener {
        &self.listener
    }
}

impl Drop for Socket {
    /// Removes the name, if it is still this socket's.
    fn drop(&mut self) {
        if self.inode.is_some() && self.inode == inode(&self.path) {
            fs::remove_file(&self.path).ok();
        }
    }
}

fn expect_free(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(ListenError::NotASocket(path.into())),
        Ok(_) if UnixStream::connect(path).is_ok() => Err(ListenError::InUse(path.into())),
        _ => Ok(()),
    }
}

fn dress(path: &Path, mode: u32, group: Option<&SocketGroup>) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    match group.and_then(|group| group.gid) {
        Some(gid) => chown(path, None, Some(gid)),
        None => Ok(()),
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|found| found.ino())
}

fn system<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> ListenError + use<'a> {
    move |error| ListenError::System {
        action,
        path: path.to_owned(),
        error,
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::InvalidInput => {
            "a socket's path has at most 103 octets here: set a shorter one"
        }
        io::ErrorKind::PermissionDenied => {
            "its directory must belong to the account that runs the agent, and socket_group be one of its groups"
        }
        _ => "check its path and runtime_directory in the configuration",
    }
}

const UNFINISHED: &str = "new";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Api;

    fn config(path: &Path) -> Config {
        Config {
            api: Api {
                socket: Some(path.to_owned()),
                socket_mode: 0o640,
                ..Api::default()
            },
            ..Config::default()
        }
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the name behind, as a kill does");
        let first = Socket::listen(&config(&path)).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o640);
        let second = Socket::listen(&config(&path)).unwrap_err();
        assert_eq!(second.code(), "socket-in-use");
        drop(first);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        fs::write(&path, "precious").unwrap();
        assert_eq!(
            Socket::listen(&config(&path)).unwrap_err().code(),
            "socket-path"
        );
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn a_path_that_no_socket_can_have_is_explained() {
        let path = Path::new("/tmp").join("x".repeat(200));
        let refusal = Socket::listen(&config(&path)).unwrap_err();
        assert!(refusal.to_string().contains("octets"), "{refusal}");
    }
}
