//! Which broker is asked, and who this device says it is there.

use super::broker_file::{BrokerFile, BrokerFileError};
use crate::broker::{Tls, TlsError};
use crate::config::{Config, Credentials, UpstreamConfig, UpstreamUrl};
use crate::daemon::Agent;
use crate::wire::LoginRequest;
use edgeseal_trust::id::{Audience, TrustDomain};
use edgeseal_trust::limits;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// What the configuration says of the link.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkSettings {
    /// Whether there is one.
    pub is_on: bool,
    /// The upstream of the gateway that is asked; else the broker of the join file.
    pub upstream: Option<UpstreamConfig>,
    /// Time between two reports of this device's status where nothing has changed.
    pub status_every: Duration,
}

/// A broker, files read.
pub(super) struct Broker {
    pub(super) url: UpstreamUrl,
    pub(super) tls: Option<Tls>,
    pub(super) connect_timeout: Duration,
    /// Another one is meant once this device is enrolled.
    pub(super) until_enrolled: bool,
    credentials: LinkCredentials,
}

/// User name and password of a CONNECT.
pub(super) struct Login(pub(super) Option<(String, Zeroizing<String>)>);

enum LinkCredentials {
    None,
    Password {
        username: String,
        password: Zeroizing<String>,
    },
    Login {
        audience: Audience,
        username: Option<String>,
    },
}

/// Why no broker can be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokerError {
    #[error(transparent)]
    File(#[from] BrokerFileError),
    #[error("this device cannot log in at the broker: {0}")]
    Login(String),
    #[error("password_file {}: {error}", path.display())]
    Password { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("broker.json: the url {0}")]
    Url(&'static str),
}

impl LinkSettings {
    /// What this configuration says.
    pub fn of(config: &Config) -> Self {
        Self {
            is_on: config.trust.link,
            upstream: config.trust_upstream().cloned(),
            status_every: Duration::from_secs(config.trust.status_seconds.into()),
        }
    }
}

impl Broker {
    /// The broker to ask; nothing where none is named. Blocks.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub(super) fn find(
        settings: &LinkSettings,
        agent: &Arc<Agent>,
    ) -> Result<Option<Self>, BrokerError> {
        if !settings.is_on {
            return Ok(None);
        }
        let file = BrokerFile::read(agent.state_dir())?;
        match (&settings.upstream, file) {
            // Who is not enrolled yet has no login token to show.
            (Some(upstream), Some(file)) if wants_token(upstream) && agent.device().is_none() => {
                let stopgap = Self::of_file(file, agent)?;
                Ok(Some(Self {
                    until_enrolled: true,
                    ..stopgap
                }))
            }
            (Some(upstream), _) => Self::of_upstream(upstream, agent).map(Some),
            (None, Some(file)) => Self::of_file(file, agent).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn of_upstream(upstream: &UpstreamConfig, agent: &Arc<Agent>) -> Result<Self, BrokerError> {
        let tls = upstream.tls.as_ref();
        let tls = tls.map(|tls| Tls::named(tls, &upstream.url, agent));
        Ok(Self {
            url: upstream.url.clone(),
            tls: tls.transpose()?,
            connect_timeout: Duration::from_secs(upstream.connect_timeout_seconds.into()),
            until_enrolled: false,
            credentials: match &upstream.credentials {
                // The link has no credentials of a program.
                Credentials::None | Credentials::Program => LinkCredentials::None,
                Credentials::Password {
                    username,
                    password_file,
                } => LinkCredentials::Password {
                    username: username.clone(),
                    password: first_line(password_file)?,
                },
                Credentials::Login { audience, username } => LinkCredentials::Login {
                    audience: audience.clone(),
                    username: username.clone(),
                },
            },
        })
    }

    fn of_file(file: BrokerFile, agent: &Arc<Agent>) -> Result<Self, BrokerError> {
        let url = UpstreamUrl::parse(&file.url).map_err(BrokerError::Url)?;
        let tls = matches!(url, UpstreamUrl::Mqtts { .. })
            .then(|| Tls::with_pem(file.ca_pem.as_deref(), &url, agent));
        Ok(Self {
            tls: tls.transpose()?,
            url,
            connect_timeout: CONNECT_TIMEOUT,
            until_enrolled: false,
            credentials: match file.username {
                Some(username) => LinkCredentials::Password {
                    username,
                    password: Zeroizing::new(file.password.unwrap_or_default()),
                },
                None => LinkCredentials::None,
            },
        })
    }

    /// User name and password for a connection that begins now.
    ///
    /// # Errors
    /// [`BrokerError::Login`] where this device cannot sign a login token.
    pub(super) fn login(&self, agent: &Agent) -> Result<Login, BrokerError> {
        Ok(Login(match &self.credentials {
            LinkCredentials::None => None,
            LinkCredentials::Password { username, password } => {
                Some((username.clone(), password.clone()))
            }
            LinkCredentials::Login { audience, username } => {
                let signed = agent.login(&LoginRequest {
                    audience: audience.clone(),
                    lifetime_seconds: Some(limits::LOGIN_LIFETIME_SECONDS),
                });
                let signed = signed.map_err(|why| BrokerError::Login(why.to_string()))?;
                let device = agent.device().map(|device| device.to_string());
                let username = username.clone().or(device).unwrap_or_default();
                Some((username, Zeroizing::new(signed.token)))
            }
        }))
    }
}

impl BrokerError {
    /// The stable short code.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::Login(_) => "broker-login",
            Self::Password { .. } => "password-file",
            Self::Tls(error) => error.code(),
            Self::Url(_) => "broker-file-malformed",
        }
    }
}

/// The client identifier at the broker: the same as long as the key is, so that a connection that
/// was lost takes the place of nobody else's.
pub(super) fn client_id(agent: &Agent, domain: &TrustDomain) -> String {
    let own = agent.kid().map(|kid| kid.to_string());
    let own = own.unwrap_or_else(|| format!("{:016x}", getrandom::u64().unwrap_or_default()));
    let short = own.get(..CLIENT_ID_OCTETS).unwrap_or(&own);
    format!("edgeseal-{domain}-{short}")
}

fn wants_token(upstream: &UpstreamConfig) -> bool {
    matches!(upstream.credentials, Credentials::Login { .. })
}

/// MQTT passwords are octets; the library takes text alone.
fn first_line(path: &PathBuf) -> Result<Zeroizing<String>, BrokerError> {
    let failed = |error| BrokerError::Password {
        path: path.clone(),
        error,
    };
    let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CLIENT_ID_OCTETS: usize = 16;
