//! Which broker, and how to reach it: the same options for every verb that speaks to one.

use crate::error::{CommandError, Exit, Result};
use crate::keys::PassphraseSource;
use crate::mqtt::{Credentials, Endpoint, MqttError};
use crate::registry::Registry;
use std::path::PathBuf;

/// The options; what is not given is as `edgeseal domain broker` set it.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Reach {
    /// The broker: mqtts://HOST[:PORT] or mqtt://HOST[:PORT]
    #[arg(long, value_name = "URL", env = "EDGESEAL_BROKER")]
    pub(crate) broker: Option<String>,
    /// Certificate authorities of the broker, as PEM; without it, those that the system trusts
    #[arg(long, value_name = "FILE", env = "EDGESEAL_CA")]
    pub(crate) ca: Option<PathBuf>,
    /// Name to log in with
    #[arg(long, value_name = "NAME", env = "EDGESEAL_USERNAME")]
    pub(crate) username: Option<String>,
    /// Its first line is the password to log in with
    #[arg(long, value_name = "FILE", env = "EDGESEAL_PASSWORD_FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

impl Reach {
    /// The broker, or none where none is named and none is set.
    ///
    /// # Errors
    /// The URL, the certificate authorities, the password's file, or the registry's `broker.json`.
    pub(crate) fn endpoint(&self, registry: &Registry) -> Result<Option<Endpoint>> {
        let settings = registry.broker()?;
        let named = self.broker.as_deref();
        let Some(url) = named.or(settings.as_ref().map(|set| set.url.as_str())) else {
            return Ok(None);
        };
        self.to(url, registry).map(Some)
    }

    /// The broker at `url`.
    ///
    /// # Errors
    /// As [`Reach::endpoint`].
    pub(crate) fn to(&self, url: &str, registry: &Registry) -> Result<Endpoint> {
        let settings = registry.broker()?;
        let known = settings.filter(|set| set.url == url);
        let pem = known.as_ref().and_then(|set| set.ca.as_deref());
        let endpoint = match (&self.ca, pem) {
            (None, Some(pem)) => Endpoint::with_pem(url, pem),
            (file, _) => Endpoint::parse(url, file.as_deref()),
        };
        let endpoint = endpoint.map_err(|why| failed(&why))?;
        let username = self.username.clone();
        let username = username.or_else(|| known.and_then(|set| set.username));
        let password = self.password_file.clone().map(PassphraseSource::File);
        let password = password.map(|file| file.ask("the broker")).transpose()?;
        let credentials = username.map(|username| Credentials { username, password });
        Ok(endpoint.with_credentials(credentials))
    }
}

/// What the MQTT side says, as a verb's error.
pub(crate) fn failed(why: &MqttError) -> CommandError {
    let reason = why.to_string();
    match why {
        MqttError::Address(_) => CommandError::usage("broker-url", reason)
            .hint("such as mqtts://broker.example:8883"),
        MqttError::Authorities { .. } => CommandError::configuration("broker-ca", reason)
            .hint("--ca names the PEM file of whoever signed the broker's certificate"),
        MqttError::Connect { .. } => CommandError::new(Exit::Unavailable, "no-broker", reason)
            .hint("check address, certificate authorities (--ca) and login (--username, --password-file)"),
        MqttError::Ended(_) => {
            CommandError::new(Exit::TemporaryFailure, CONNECTION_LOST, reason)
                .hint("run the command again: it goes on where it was cut off")
        }
        MqttError::Refused { .. } => {
            CommandError::new(Exit::Permission, "broker-refuses", reason)
                .hint("the broker must let this user publish and subscribe below edgeseal/DOMAIN/")
        }
    }
}

/// The code of a connection that was lost on the way: the same again may well do.
pub(crate) const CONNECTION_LOST: &str = "broker-connection";
