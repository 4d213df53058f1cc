//! How a broker stands to the registry: looked at, and nothing is changed.

use super::found::{self, Found};
use super::{READ_AT_ONCE, judge, set, topic};
use crate::error::{CommandError, Result};
use crate::mqtt::{Connection, Endpoint, MqttError};
use crate::registry::Registry;
use crate::render::Style;
use edgeseal_trust::carrier::CarrierTopic;
use edgeseal_trust::document::{Digest, Document, Manifest, Root};
use edgeseal_trust::id::TrustDomain;
use std::time::Duration;
use tokio::time::Instant;

/// What the registry published, as far as a broker is compared with it.
pub(crate) struct Expected {
    domain: TrustDomain,
    roots: Vec<Document<Root>>,
    manifest: Option<Document<Manifest>>,
}

/// How far a broker has come.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// It has this sequence, which is lower.
    Behind(u64),
    /// It has something that this registry did not make: `broker-ahead` or `broker-conflict`.
    Differs(CommandError),
    /// It has no manifest.
    Empty,
    /// It has a manifest that nobody of this domain signed.
    Foreign,
    /// It has what was published last; so many of the shards looked at are not there as they should be.
    Same {
        /// Shards that the manifest names.
        shards: usize,
        /// Shards that were looked at.
        looked_at: usize,
        /// Shards that are missing, or are something else.
        missing: usize,
    },
}

impl Expected {
    /// What the registry holds.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn of(registry: &Registry) -> Result<Self> {
        Ok(Self {
            domain: registry.domain().clone(),
            roots: registry.roots()?,
            manifest: registry.manifest()?,
        })
    }

    /// Connects and compares.
    ///
    /// # Errors
    /// No connection, or the connection has ended.
    pub(crate) async fn compare(
        &self,
        endpoint: &Endpoint,
    ) -> std::result::Result<Standing, MqttError> {
        let id = format!("edgeseal-doctor-{}-{}", self.domain, std::process::id());
        let mut connection = Connection::open(endpoint, &id, &[]).await?;
        let found = Found::look(&mut connection, &self.domain, &self.roots).await?;
        let standing = match self.judge(&found) {
            Ok(manifest) => self.shards(&mut connection, manifest).await?,
            Err(standing) => standing,
        };
        connection.close().await;
        Ok(standing)
    }

    /// The manifest, where the broker has the same.
    fn judge(&self, found: &Found) -> std::result::Result<&Manifest, Standing> {
        let quiet = Style::detect(true);
        let Some(ours) = &self.manifest else {
            let ahead = judge::before_signing(found, &self.roots, None);
            return Err(ahead.map_or_else(Standing::Differs, |()| Standing::Empty));
        };
        match judge::not_ahead(found, &self.roots, ours, quiet) {
            Err(why) => Err(Standing::Differs(why)),
            Ok(None) if found.manifest.is_some() => Err(Standing::Foreign),
            Ok(None) => Err(Standing::Empty),
            Ok(Some(theirs)) if theirs.payload_digest() == ours.payload_digest() => {
                Ok(ours.content())
            }
            Ok(Some(theirs)) => Err(Standing::Behind(theirs.content().sequence)),
        }
    }

    /// Looks at every shard, for so long as a person waits.
    async fn shards(
        &self,
        connection: &mut Connection,
        manifest: &Manifest,
    ) -> std::result::Result<Standing, MqttError> {
        let wanted: Vec<Digest> = set(manifest).into_iter().collect();
        let (mut looked_at, mut missing) = (0_usize, 0_usize);
        let begun = Instant::now();
        for batch in wanted.chunks(READ_AT_ONCE) {
            if begun.elapsed() > ENOUGH {
                break;
            }
            let topics: Vec<String> = batch
                .iter()
                .map(|digest| topic(&self.domain, CarrierTopic::Shard(*digest)))
                .collect();
            let got = found::fetch(connection, &topics).await?;
            let is_there = |(digest, topic): &(&Digest, &String)| {
                got.get(*topic).map(|octets| Digest::of(octets)) == Some(**digest)
            };
            let there = batch.iter().zip(&topics).filter(is_there).count();
            looked_at = looked_at.saturating_add(batch.len());
            missing = missing.saturating_add(batch.len().saturating_sub(there));
        }
        Ok(Standing::Same {
            shards: wanted.len(),
            looked_at,
            missing,
        })
    }
}

const ENOUGH: Duration = Duration::from_secs(30);
