//! An embedded MQTT broker for the demonstration and for tests. **Not a product broker.**
//!
//! It exists so that `edgeseal demo` and the tests need nothing but Rust, and so that a hostile broker can be shown:
//! [`BrokerHandle::interfere`] lets it alter, move, repeat or keep what passes through it.
//!
//! Within its limits it is correct MQTT 5 and MQTT 3.1.1 (OASIS, both on one port; the protocol level of CONNECT decides):
//! QoS 0, 1 and 2, `+` and `#`, retained messages, wills with their delay, persistent sessions, session takeover, message
//! expiry, receive maximum, subscription identifiers. Publish properties pass from MQTT 5 to MQTT 5 unchanged and user
//! properties in order; towards 3.1.1 they are left out.
//!
//! What it does not do:
//! - It asks nobody for a password, and therefore listens on the loopback interface only. No TLS, no WebSocket.
//! - Nothing is written to disk: sessions and retained messages end with the process.
//! - No shared subscriptions, no topic aliases, no AUTH. A client identifier is at most 256 octets, a topic at most 4,096
//!   octets and 128 levels. User name and password must be UTF-8 (a limit of the codec).
//! - The codec (rumqttc's) tolerates some malformed packets that the specification wants refused.
//!
//! Limits, all of them hard: 128 connections; 256 sessions; 256 subscriptions and 64 KiB of filters a session; 4,096 queued
//! deliveries a session (publishers are slowed down before; what comes after is lost for that subscriber, as in mosquitto);
//! 1 MiB a packet; 4,096 retained messages; 64 MiB for all messages kept for later together. A PUBLISH beyond the last two is
//! refused with reason 0x97; a 3.1.1 client, which cannot be told, is disconnected.

mod connection;
mod hostile;
mod message;
mod retained;
mod session;
mod shared;
mod state;
mod topics;
mod wire;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

pub use hostile::Interference;
pub use message::{Message, MessageError};
pub use rumqttc::v5::mqttbytes::QoS;
pub use rumqttc::v5::mqttbytes::v5::PublishProperties;

use shared::Shared;

/// The demonstration broker, bound to its port but not yet serving: see [`Broker::run`].
#[derive(Debug)]
pub struct Broker {
    listener: TcpListener,
    local_addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Broker {
    /// Binds to `addr`, an address of the loopback interface; port 0 lets the operating system choose.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotLoopback`] for an address that others could reach, [`BrokerError::Bind`] when the port is not free.
    pub async fn bind(addr: SocketAddr) -> Result<Self, BrokerError> {
        if !addr.ip().is_loopback() {
            return Err(BrokerError::NotLoopback { addr });
        }
        let bind = |source| BrokerError::Bind { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(bind)?;
        let local_addr = listener.local_addr().map_err(bind)?;
        Ok(Self {
            listener,
            local_addr,
            shared: Shared::new(),
        })
    }

    /// The address that clients connect to, with the port that was really given.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// A handle that controls this broker, also while it runs.
    #[must_use]
    pub fn handle(&self) -> BrokerHandle {
        BrokerHandle {
            shared: Arc::clone(&self.shared),
            local_addr: self.local_addr,
        }
    }

    /// Serves until [`BrokerHandle::shutdown`]; spawn it, or poll it beside other work. It needs tokio's time and IO drivers.
    ///
    /// At shutdown MQTT 5 clients are told (0x8B), all connections are closed, and wills are not published.
    /// Dropping the future closes everything at once.
    pub async fn run(self) {
        let mut shutdown = self.shared.shutdown_signal();
        let mut connections = JoinSet::new();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.received() => break,
                _ = tick.tick() => self.shared.tick(),
                _ = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                        connections.spawn(connection::serve(stream, Arc::clone(&self.shared)));
                    }
                    Ok(_) => {} // full: closed at once
                    Err(_) => sleep(ACCEPT_PAUSE).await, // out of file descriptors: some may become free
                },
            }
        }
        drop(self.listener);
        // What has not ended by then is aborted with the set.
        let _ = timeout(SHUTDOWN_PATIENCE, async {
            while connections.join_next().await.is_some() {}
        })
        .await;
    }
}

/// Controls a [`Broker`] from anywhere, also from other threads. Clones control the same broker.
#[derive(Clone, Debug)]
pub struct BrokerHandle {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
}

impl BrokerHandle {
    /// The address that clients connect to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Makes the broker hostile: from now on every message of a client (wills too) is handed to `interference`, and what
    /// that returns goes to the subscribers and, with its `retain`, into the retained messages, instead of the original.
    /// Replaces an earlier one. The publisher is acknowledged as if nothing had happened.
    ///
    /// Of one call's messages the first 64 count; those that no broker could send ([`MessageError`]) are left out.
    /// `interference` may call [`Self::inject`], but neither this method nor [`Self::stop_interfering`]: they would wait for
    /// it to end.
    pub fn interfere(&self, interference: impl FnMut(&Message) -> Vec<Message> + Send + 'static) {
        self.shared.interfere(Some(Box::new(interference)));
    }

    /// Makes the broker honest again.
    pub fn stop_interfering(&self) {
        self.shared.interfere(None);
    }

    /// Sends `message` to the matching subscribers (and retains it, where it says so) as if somebody had published it,
    /// past any interference. Returns the number of sessions that it was queued for.
    ///
    /// # Errors
    ///
    /// A message that no client could have published, or that there is no room for.
    pub fn inject(&self, message: Message) -> Result<usize, MessageError> {
        self.shared.inject(message)
    }

    /// Ends [`Broker::run`], which closes all connections first. May be called more than once.
    pub fn shutdown(&self) {
        self.shared.shut_down();
    }
}

/// Why the broker could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The operating system refused the port.
    #[error("cannot listen on {addr}: {source}; choose another port, or 0 for any free one")]
    Bind {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The address can be reached from outside of this machine, and the broker asks nobody who they are.
    #[error(
        "{addr} is not an address of this machine alone; the demonstration broker takes 127.0.0.1 or [::1]"
    )]
    NotLoopback {
        /// The address that was asked for.
        addr: SocketAddr,
    },
}

/// Connections at one time; one more is closed at once.
const MAX_CONNECTIONS: usize = 128;
/// How often due wills, ended sessions and expired messages are looked for.
const TICK: Duration = Duration::from_millis(250);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long connections may take to say goodbye.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);
