//! One broker: how it is connected to, and what all connections know of its health.

use super::stream::Stream;
use crate::broker::{Backoff, Tls, TlsError, chance};
use crate::config::{UpstreamConfig, UpstreamUrl};
use crate::daemon::Agent;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tracing::{info, warn};

/// A broker that listeners lead to.
pub(super) struct Upstream {
    config: UpstreamConfig,
    tls: Option<Tls>,
    agent: Arc<Agent>,
    health: Mutex<Health>,
}

#[derive(Clone, Default)]
struct Health {
    backoff: Backoff,
    /// Why it is away, and since when.
    away: Option<(String, Duration)>,
    /// It answered once.
    is_known: bool,
    /// It refused MQTT 5.
    is_v311: bool,
}

/// A broker as `edgeseal-agent status` shows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UpstreamStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// `up`: it answered last time; `down`: it did not; `unknown`: nobody has tried yet.
    pub state: String,
    /// Why it is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Seconds that it has been down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_seconds: Option<u64>,
    /// Attempts in vain since it answered last.
    #[serde(default)]
    pub failures: u32,
    /// Seconds until the next attempt, if a program asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_seconds: Option<u64>,
    /// It speaks MQTT 3.1.1 alone: messages travel in envelopes.
    pub only_v311: bool,
}

/// An attempt that the broker has not answered yet. One that is dropped has failed if it took too
/// long; else another may try.
pub(super) struct Attempt {
    upstream: Option<Arc<Upstream>>,
    since: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum NoConnection {
    #[error("no answer within {0} seconds")]
    Late(u32),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Upstream {
    /// Reads the files that TLS needs. Blocks.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(super) fn new(config: UpstreamConfig, agent: &Arc<Agent>) -> Result<Self, TlsError> {
        let tls = config.tls.as_ref();
        let tls = tls
            .map(|tls| Tls::new(tls, &config.url, agent))
            .transpose()?;
        Ok(Self {
            config,
            tls,
            agent: Arc::clone(agent),
            health: Mutex::default(),
        })
    }

    pub(super) const fn config(&self) -> &UpstreamConfig {
        &self.config
    }

    /// A connection, TLS included; nothing where it is known to be away, or is found to be.
    pub(super) async fn connect(self: Arc<Self>) -> Option<(Stream, Attempt)> {
        if !self.health().backoff.may_try(self.now()) {
            return None;
        }
        let attempt = Attempt {
            upstream: Some(Arc::clone(&self)),
            since: self.now(),
        };
        let outcome = match timeout(self.patience(), self.open()).await {
            Ok(outcome) => outcome.map_err(NoConnection::Io),
            Err(_) => Err(NoConnection::Late(self.config.connect_timeout_seconds)),
        };
        match outcome {
            Ok(stream) => Some((stream, attempt)),
            Err(error) => {
                attempt.failed(&error.to_string());
                None
            }
        }
    }

    fn answered(&self) {
        let mut health = self.health();
        health.backoff.answered();
        health.is_known = true;
        if let Some((_, since)) = health.away.take() {
            let seconds = self.now().saturating_sub(since).as_secs();
            info!(
                upstream = self.config.name,
                down_seconds = seconds,
                "the broker answers again"
            );
        }
    }

    fn failed(&self, why: &str) {
        let now = self.now();
        let mut health = self.health();
        health.backoff.failed(now, chance());
        if health.away.is_none() {
            let url = self.config.url.to_string();
            warn!(
                upstream = self.config.name,
                url, why, "the broker does not answer"
            );
        }
        let since = health.away.take().map_or(now, |(_, since)| since);
        health.away = Some((why.to_owned(), since));
    }

    /// Lets a session see and change whether this broker speaks MQTT 3.1.1 alone.
    pub(super) fn is_v311(&self) -> bool {
        self.health().is_v311
    }

    pub(super) fn set_v311(&self, is_v311: bool) {
        self.health().is_v311 = is_v311;
    }

    /// What is known of the same broker goes on after the configuration was read anew.
    pub(super) fn inherit(&self, older: &Self) {
        if self.config.url == older.config.url {
            let mut health = older.health().clone();
            // Who tries there is not seen here.
            health.backoff.gave_up(self.now());
            health.is_v311 &= self.config.version == older.config.version;
            *self.health() = health;
        }
    }

    pub(super) fn status(&self) -> UpstreamStatus {
        let now = self.now();
        let health = self.health();
        let until = health
            .backoff
            .away_until()
            .filter(|_| health.away.is_some());
        UpstreamStatus {
            name: self.config.name.clone(),
            url: self.config.url.to_string(),
            state: match (&health.away, health.is_known) {
                (Some(_), _) => "down",
                (None, true) => "up",
                (None, false) => "unknown",
            }
            .to_owned(),
            why: health.away.as_ref().map(|(why, _)| why.clone()),
            down_seconds: health
                .away
                .as_ref()
                .map(|(_, since)| now.saturating_sub(*since).as_secs()),
            failures: health.backoff.failures(),
            next_attempt_seconds: until.map(|until| until.saturating_sub(now).as_secs()),
            only_v311: health.is_v311,
        }
    }

    async fn open(&self) -> io::Result<Stream> {
        let (host, port) = match &self.config.url {
            UpstreamUrl::Mqtt { host, port } | UpstreamUrl::Mqtts { host, port } => (host, *port),
            UpstreamUrl::Unix(path) => return Ok(Stream::Unix(UnixStream::connect(path).await?)),
        };
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Stream::Tcp(stream)),
            Some(tls) => {
                let secured = tls.connector().connect(tls.name(), stream).await?;
                Ok(Stream::Tls(Box::new(secured)))
            }
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(u64::from(self.config.connect_timeout_seconds))
    }

    fn now(&self) -> Duration {
        self.agent.since_start()
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// The broker answered the CONNECT, whatever it said.
    pub(super) fn answered(mut self) {
        if let Some(upstream) = self.upstream.take() {
            upstream.answered();
        }
    }

    /// There was no connection, or it ended before the broker answered.
    pub(super) fn failed(mut self, why: &str) {
        if let Some(upstream) = self.upstream.take() {
            upstream.failed(why);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(upstream) = &self.upstream else {
            return;
        };
        let now = upstream.now();
        // The session waits as long, and may be the first to lose patience.
        let took = now.saturating_sub(self.since).saturating_add(ALMOST);
        if took >= upstream.patience() {
            let late = NoConnection::Late(upstream.config.connect_timeout_seconds);
            upstream.failed(&late.to_string());
        } else {
            upstream.health().backoff.gave_up(now);
        }
    }
}

const ALMOST: Duration = Duration::from_millis(200);
