//! Which agents have applied the last publish, by their own signed word (DESIGN 4.3). Absence is not consent.

use super::runtime;
use crate::command::reach;
use crate::error::Result;
use crate::mqtt::{Arrival, Connection, Endpoint, MqttError};
use crate::registry::Registry;
use crate::render::{Style, progress};
use edgeseal_trust::carrier::{CarrierKind, CarrierTopic, filter};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::status::VerifiedStatus;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// How far a publish has come.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Arrived {
    /// Agents that have applied it.
    pub(crate) applied: usize,
    /// Active devices whose agents have not, or say nothing, by their ids.
    pub(crate) missing: BTreeSet<DeviceId>,
}

/// Waits until the agent of every active device says that it has applied the last publish, or until `patience` is over.
///
/// # Errors
/// The registry, or the connection.
pub(crate) fn wait(
    registry: &Registry,
    endpoint: &Endpoint,
    patience: Duration,
    style: Style,
) -> Result<Arrived> {
    let manifest = registry.manifest()?;
    let manifest = manifest.ok_or_else(crate::command::publish::never_published)?;
    let content = manifest.content();
    let held = registry.held_back()?;
    let devices = registry.devices().values();
    let active = devices.filter(|device| held.state(device) == DeviceState::Active);
    let watch = Watch {
        registry,
        wanted: (content.root_version, content.sequence),
        seen: BTreeMap::new(),
        arrived: Arrived {
            applied: 0,
            missing: active.map(|device| device.id.clone()).collect(),
        },
    };
    let waited = runtime()?.block_on(watch.until(endpoint, patience, style));
    waited.map_err(|why| reach::failed(&why))
}

struct Watch<'a> {
    registry: &'a Registry,
    wanted: (u64, u64),
    seen: BTreeMap<DeviceId, VerifiedStatus>,
    arrived: Arrived,
}

impl Watch<'_> {
    async fn until(
        mut self,
        endpoint: &Endpoint,
        patience: Duration,
        style: Style,
    ) -> std::result::Result<Arrived, MqttError> {
        let domain = self.registry.domain();
        let all = filter(CarrierKind::Status, domain);
        let id = format!("edgeseal-wait-{domain}-{}", std::process::id());
        let mut connection = Connection::open(endpoint, &id, &[&all]).await?;
        let bar = progress(style, self.arrived.missing.len(), "agents have applied it");
        let mut asked = false;
        let started = Instant::now();
        while !self.arrived.missing.is_empty() && started.elapsed() < patience {
            let left = patience.saturating_sub(started.elapsed());
            match connection.receive(left.min(QUIET)).await? {
                Some(arrival) => self.take(&arrival),
                // A broker drops what it keeps for a filter that matches too much: who is missing is asked for by name.
                None if !asked => {
                    asked = true;
                    self.ask(&mut connection).await?;
                }
                None => {}
            }
            bar.set_position(u64::try_from(self.arrived.applied).unwrap_or(u64::MAX));
        }
        bar.finish_and_clear();
        connection.close().await;
        Ok(self.arrived)
    }

    async fn ask(&mut self, connection: &mut Connection) -> std::result::Result<(), MqttError> {
        let silent: Vec<String> = self
            .arrived
            .missing
            .iter()
            .filter(|id| !self.seen.contains_key(*id))
            .map(|id| CarrierTopic::Status(id.clone()).name(self.registry.domain()))
            .collect();
        for batch in silent.chunks(ASKED_AT_ONCE) {
            let filters: Vec<&str> = batch.iter().map(String::as_str).collect();
            connection.subscribe(&filters).await?;
            connection.answered().await?;
            // Others may say something all the time: what is asked for has a place among so many.
            for _ in 0..ASKED_AT_ONCE.saturating_mul(4) {
                match connection.receive(MOMENT).await? {
                    Some(arrival) => self.take(&arrival),
                    None => break,
                }
            }
            connection.unsubscribe(&filters).await?;
        }
        Ok(())
    }

    fn take(&mut self, arrival: &Arrival) {
        let domain = self.registry.domain();
        let Some(CarrierTopic::Status(id)) = CarrierTopic::parse(&arrival.topic, domain) else {
            return;
        };
        let Some(device) = self.registry.devices().get(&id) else {
            return;
        };
        let key_of = |kid| device.peer_key(kid);
        let Ok(status) = VerifiedStatus::verify(&arrival.payload, &id, key_of, domain) else {
            return;
        };
        if self
            .seen
            .get(&id)
            .is_some_and(|seen| !status.is_newer_than(seen))
        {
            return;
        }
        let place = (status.content.root_version, status.content.sequence);
        if place >= self.wanted && self.arrived.missing.remove(&id) {
            self.arrived.applied = self.arrived.applied.saturating_add(1);
        }
        self.seen.insert(id, status);
    }
}

const QUIET: Duration = Duration::from_millis(500);
const MOMENT: Duration = Duration::from_millis(50);
const ASKED_AT_ONCE: usize = 100;
