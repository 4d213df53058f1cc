//! What a broker keeps.

use super::topic;
use crate::mqtt::{Connection, MqttError};
use edgeseal_trust::carrier::{CarrierKind, CarrierTopic, filter};
use edgeseal_trust::document::{Document, Root};
use edgeseal_trust::id::TrustDomain;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Roots and manifest as a broker keeps them; nothing of it is believed.
#[derive(Default)]
pub(super) struct Found {
    /// The manifest.
    pub(super) manifest: Option<Vec<u8>>,
    /// The roots by the version that their topics state.
    pub(super) roots: BTreeMap<u64, Vec<u8>>,
    /// Topics below `root/` that no version has.
    pub(super) strange: Vec<String>,
}

impl Found {
    /// Looks. MQTT tells nobody that a topic has no retained message: where something is missing that may not be there, this
    /// takes half a second.
    pub(super) async fn look(
        connection: &mut Connection,
        domain: &TrustDomain,
        roots: &[Document<Root>],
    ) -> Result<Self, MqttError> {
        let manifest = topic(domain, CarrierTopic::Manifest);
        let all_roots = filter(CarrierKind::Root, domain);
        let filters = [manifest.as_str(), all_roots.as_str()];
        connection.subscribe(&filters).await?;
        connection.answered().await?;
        let mut found = Self::default();
        let started = Instant::now();
        while started.elapsed() < ENOUGH {
            let patience = if found.has_all(roots) { MOMENT } else { QUIET };
            match connection.receive(patience).await? {
                None => break,
                Some(arrival) if !arrival.retain || arrival.payload.is_empty() => {}
                Some(arrival) => match CarrierTopic::parse(&arrival.topic, domain) {
                    Some(CarrierTopic::Manifest) => found.manifest = Some(arrival.payload),
                    Some(CarrierTopic::Root(version)) if found.roots.len() < MOST_ROOTS => {
                        found.roots.insert(version, arrival.payload);
                    }
                    None if found.strange.len() < MOST_ROOTS => found.strange.push(arrival.topic),
                    _ => {}
                },
            }
        }
        connection.unsubscribe(&filters).await?;
        Ok(found)
    }

    fn has_all(&self, roots: &[Document<Root>]) -> bool {
        let has = |root: &Document<Root>| self.roots.contains_key(&root.content().version);
        self.manifest.is_some() && roots.iter().all(has)
    }
}

/// What the broker keeps on `topics`; those that it keeps nothing on are missing.
pub(super) async fn fetch(
    connection: &mut Connection,
    topics: &[String],
) -> Result<BTreeMap<String, Vec<u8>>, MqttError> {
    let filters: Vec<&str> = topics.iter().map(String::as_str).collect();
    connection.subscribe(&filters).await?;
    connection.answered().await?;
    let mut got = BTreeMap::new();
    let started = Instant::now();
    while got.len() < topics.len() && started.elapsed() < ENOUGH {
        match connection.receive(QUIET).await? {
            Some(arrival) if arrival.retain && topics.contains(&arrival.topic) => {
                got.insert(arrival.topic, arrival.payload);
            }
            Some(_) => {}
            None => break,
        }
    }
    connection.unsubscribe(&filters).await?;
    Ok(got)
}

/// After everything that is expected has come, something else may.
const MOMENT: Duration = Duration::from_millis(50);
/// After so long without a message nothing more comes: a broker sends what it keeps at once.
const QUIET: Duration = Duration::from_millis(500);
/// Messages of others, without end, are no reason to stay.
const ENOUGH: Duration = Duration::from_secs(60);
/// More roots than any domain ever has.
const MOST_ROOTS: usize = 1024;
