//! Where programs connect: loopback TCP, Unix sockets, sockets that systemd passes.

use super::plan::Plan;
use super::stream::Stream;
use crate::api::{ListenError, Socket};
use crate::config::{ListenAddress, ListenerConfig};
use crate::gateway::session::LocalPeer;
use listenfd::ListenFd;
use std::env;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net;
use std::path::Path;
use tokio::net::{TcpListener, UnixListener};
use tracing::warn;

/// Sockets that systemd passed (sd_listen_fds(3)). They stay its own: they are still there when the
/// agent starts anew, and after a listener was taken out of the configuration and put back.
#[derive(Default)]
pub struct PassedSockets(Vec<Passed>);

struct Passed {
    /// `FileDescriptorName=` of its unit.
    name: String,
    socket: PassedSocket,
}

enum PassedSocket {
    Tcp(std::net::TcpListener),
    Unix(net::UnixListener),
}

/// A socket that listens.
pub(super) enum LocalSocket {
    Tcp(TcpListener),
    Unix(Socket),
    PassedUnix(UnixListener),
}

/// Why a listener cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A TCP address.
    #[error("cannot listen on {address}: {error}\n  hint: {}", hint(error))]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// A Unix socket.
    #[error(transparent)]
    Unix(#[from] ListenError),
    /// A socket that systemd passed.
    #[error("the socket {name} that systemd passed cannot be used: {error}")]
    Passed {
        /// Its name.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// One that everybody in the network could connect to.
    #[error(
        "the socket {name} that systemd passed listens on {address}, which is no loopback address\n  hint: change ListenStream= of its unit, or set allow_nonloopback and local users"
    )]
    NotLoopback {
        /// Its name.
        name: String,
        /// Its address.
        address: SocketAddr,
    },
}

impl PassedSockets {
    /// Takes what systemd passed to this process, once, before there are threads.
    pub fn take() -> Self {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let name = names.get(index).copied().unwrap_or_default().to_owned();
            let socket = match passed.take_tcp_listener(index) {
                Ok(Some(socket)) => Some(PassedSocket::Tcp(socket)),
                _ => match passed.take_unix_listener(index) {
                    Ok(Some(socket)) => Some(PassedSocket::Unix(socket)),
                    _ => None,
                },
            };
            match socket {
                Some(socket) => sockets.push(Passed { name, socket }),
                None => warn!(name, "what systemd passed is no socket that listens"),
            }
        }
        Self(sockets)
    }

    /// Takes the socket of the local API out: the one at this path, else the one that is called `api`.
    pub fn take_for_api(&mut self, path: &Path) -> Option<net::UnixListener> {
        let at = |socket: &PassedSocket| match socket {
            PassedSocket::Unix(listener) => listener
                .local_addr()
                .is_ok_and(|address| address.as_pathname() == Some(path)),
            PassedSocket::Tcp(_) => false,
        };
        let unix = |passed: &Passed| matches!(passed.socket, PassedSocket::Unix(_));
        let found = self.0.iter().position(|passed| at(&passed.socket));
        let named = || {
            let mut sockets = self.0.iter();
            sockets.position(|passed| passed.name == API && unix(passed))
        };
        match self.0.swap_remove(found.or_else(named)?).socket {
            PassedSocket::Unix(listener) => Some(listener),
            PassedSocket::Tcp(_) => None,
        }
    }

    /// The socket for a listener: of its address, else of its name.
    fn find(&self, config: &ListenerConfig) -> Option<&Passed> {
        let by_address = self.0.iter().find(|passed| passed.is_at(&config.address));
        let named = || self.0.iter().find(|passed| passed.name == config.name);
        by_address.or_else(named)
    }

    /// Says which of them serve nobody.
    pub(super) fn warn_of_unused(&self, listeners: &[ListenerConfig]) {
        let used: Vec<*const Passed> = listeners
            .iter()
            .filter_map(|config| self.find(config))
            .map(std::ptr::from_ref)
            .collect();
        for passed in &self.0 {
            if !used.contains(&std::ptr::from_ref(passed)) {
                warn!(
                    name = passed.name,
                    "systemd passed a socket that no listener has by address or by name: nobody is served there"
                );
            }
        }
    }
}

impl LocalSocket {
    /// Listens. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`SocketError`].
    pub(super) fn open(
        config: &ListenerConfig,
        passed: &PassedSockets,
    ) -> Result<Self, SocketError> {
        if let Some(passed) = passed.find(config) {
            return passed.open(config);
        }
        match &config.address {
            ListenAddress::Tcp(address) => {
                let listen = || {
                    let listener = std::net::TcpListener::bind(address)?;
                    listener.set_nonblocking(true)?;
                    TcpListener::from_std(listener)
                };
                let address = *address;
                let opened = listen().map_err(|error| SocketError::Tcp { address, error });
                opened.map(Self::Tcp)
            }
            ListenAddress::Unix { path, mode, group } => {
                let socket = Socket::at(path.clone(), *mode, group.as_ref())?;
                Ok(Self::Unix(socket))
            }
        }
    }

    /// Where it listens, for people: with the port that the system chose where it is 0.
    pub(super) fn shown(&self) -> String {
        let path = |path: Option<&Path>| {
            path.map_or_else(
                || "unix socket without a name".to_owned(),
                |path| format!("unix:{}", path.display()),
            )
        };
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.to_string(),
                Err(error) => error.to_string(),
            },
            Self::Unix(socket) => path(Some(socket.path())),
            Self::PassedUnix(listener) => match listener.local_addr() {
                Ok(address) => path(address.as_pathname()),
                Err(error) => error.to_string(),
            },
        }
    }

    /// The next program that connects.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok(Accepted::Tcp(stream, address))
            }
            Self::Unix(socket) => Ok(Accepted::Unix(socket.listener().accept().await?.0)),
            Self::PassedUnix(listener) => Ok(Accepted::Unix(listener.accept().await?.0)),
        }
    }
}

/// A program that has connected.
pub(super) enum Accepted {
    Tcp(tokio::net::TcpStream, SocketAddr),
    Unix(tokio::net::UnixStream),
}

impl Accepted {
    /// Its octets, and who it is.
    pub(super) fn known(self, plan: &Plan) -> io::Result<(Stream, LocalPeer)> {
        match self {
            Self::Tcp(stream, address) => {
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), LocalPeer::Tcp(address)))
            }
            Self::Unix(stream) => {
                let peer = plan.peer(&stream)?;
                Ok((Stream::Unix(stream), peer))
            }
        }
    }
}

impl SocketError {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Tcp { .. } => "listen",
            Self::Unix(error) => error.code(),
            Self::Passed { .. } => "passed-socket",
            Self::NotLoopback { .. } => "not-loopback",
        }
    }
}

impl Passed {
    fn is_at(&self, address: &ListenAddress) -> bool {
        match (&self.socket, address) {
            (PassedSocket::Tcp(socket), ListenAddress::Tcp(address)) => {
                socket.local_addr().is_ok_and(|found| found == *address)
            }
            (PassedSocket::Unix(socket), ListenAddress::Unix { path, .. }) => socket
                .local_addr()
                .is_ok_and(|found| found.as_pathname() == Some(Path::new(path))),
            _ => false,
        }
    }

    fn open(&self, config: &ListenerConfig) -> Result<LocalSocket, SocketError> {
        if let PassedSocket::Tcp(socket) = &self.socket
            && let Ok(address) = socket.local_addr()
            && !address.ip().to_canonical().is_loopback()
            && !config.allow_nonloopback
        {
            let name = self.name.clone();
            return Err(SocketError::NotLoopback { name, address });
        }
        self.duplicate().map_err(|error| SocketError::Passed {
            name: self.name.clone(),
            error,
        })
    }

    fn duplicate(&self) -> io::Result<LocalSocket> {
        match &self.socket {
            PassedSocket::Tcp(socket) => {
                let socket = socket.try_clone()?;
                socket.set_nonblocking(true)?;
                Ok(LocalSocket::Tcp(TcpListener::from_std(socket)?))
            }
            PassedSocket::Unix(socket) => {
                let socket = socket.try_clone()?;
                socket.set_nonblocking(true)?;
                Ok(LocalSocket::PassedUnix(UnixListener::from_std(socket)?))
            }
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there, a broker perhaps: give one of them another port"
        }
        io::ErrorKind::AddrNotAvailable => "this device has no such address",
        io::ErrorKind::PermissionDenied => "ports below 1024 are not the agent's to take",
        _ => "check address in the configuration",
    }
}

/// `FileDescriptorName=` of the local API's socket.
const API: &str = "api";
