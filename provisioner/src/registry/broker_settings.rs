//! `broker.json`: the broker of the domain. What logs in somewhere is not in it.

use super::{Registry, atomic, load, pretty};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// The broker that carries the domain's trust documents.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BrokerSettings {
    /// `mqtts://HOST:PORT` or `mqtt://HOST:PORT`.
    pub(crate) url: String,
    /// Certificate authorities that vouch for it, as PEM; those that a system trusts where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<String>,
    /// Name that the operator logs in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
}

impl Registry {
    /// The broker of the domain, once one was set.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn broker(&self) -> Result<Option<BrokerSettings>> {
        let path = self.dir.join(FILE);
        let Some(octets) = load::read_if_there(&path, FILE_OCTETS)? else {
            return Ok(None);
        };
        let settings = serde_json::from_slice(&octets);
        let settings =
            settings.map_err(|why| load::corrupt(&path, Some(why.line()), &why.to_string()))?;
        Ok(Some(settings))
    }

    /// Sets the broker of the domain.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn set_broker(&self, settings: &BrokerSettings) -> Result<()> {
        atomic::write(&self.dir, FILE, &pretty(settings)?)
    }
}

const FILE: &str = "broker.json";
/// Room for the certificate authorities that an operating system comes with.
const FILE_OCTETS: usize = 8 << 20;
