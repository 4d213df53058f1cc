//! The fleet in a few words, for who looks at everything.

use super::heard::Heard;
use super::judge::View;
use super::snapshot::Snapshot;
use super::status::{Line, SILENT_AFTER_SECONDS};
use crate::clock;
use crate::error::Result;
use crate::mqtt::Endpoint;
use crate::registry::Registry;
use edgeseal_trust::id::DeviceId;
use std::collections::BTreeMap;

/// How the fleet is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Glance {
    /// Active devices.
    pub(crate) active: usize,
    /// Active devices that want attention, by why.
    pub(crate) attention: BTreeMap<&'static str, Vec<DeviceId>>,
}

/// Who looks at a fleet once, and needs no registry meanwhile.
pub(crate) struct Onlooker(Snapshot);

impl Onlooker {
    /// Of the fleet that the registry describes.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn of(registry: &Registry) -> Result<Self> {
        Snapshot::of(registry).map(Self)
    }

    /// Takes the statuses that the broker keeps, and judges them.
    ///
    /// # Errors
    /// No connection, or the connection has ended.
    pub(crate) async fn glance(&self, endpoint: Endpoint) -> Result<Glance> {
        let mut line = Line::open(endpoint, &self.0).await?;
        let mut heard = Heard::default();
        line.gather(&mut heard, &self.0).await?;
        line.close().await;
        let view = View::of(&heard, &self.0, clock::now(), SILENT_AFTER_SECONDS);
        let mut glance = Glance {
            active: view.rows.len(),
            ..Glance::default()
        };
        for row in view.rows {
            for attention in row.attention {
                let devices = glance.attention.entry(attention.as_str()).or_default();
                devices.push(row.device.clone());
            }
        }
        Ok(glance)
    }
}
