//! The key of a device is exchanged by the real commands, while programs go on.

use super::Place;
use crate::process::until;
use crate::world::now;
use serde_json::Value;

impl Place {
    /// From now on the operator publishes on the broker.
    pub(super) fn names_its_broker(&self) {
        let port = self.broker.port();
        self.domain
            .operator(&format!("domain broker mqtt://127.0.0.1:{port}"));
        self.publishes();
    }

    /// A device asks for another key and signs with it, beside the old one; every device has heard of both.
    pub(super) fn rotates(&mut self, name: &str) {
        let asked = self.device(name).verb("identity rotate --now-if-published");
        until("the registrar approves", || {
            let fetched = self.says("registrar fetch --unsynchronized-clock --overlap 10s");
            fetched["account"]["decisions"]["rotated"] == 1
        });
        self.publishes();
        assert_eq!(self.keys(name).len(), 2);
        let device = self.device(name);
        until("it signs with the next key", || {
            let status = device.verb("status");
            status["kid"] == asked["kid"] && status["signing"].is_null()
        });
    }

    /// The overlap is over: the old key of a device is retired, which every device has heard.
    pub(super) fn retires(&self, name: &str) {
        let ends = self.keys(name)[0]["retires_at"].as_u64().unwrap_or(0);
        until("the overlap is over", || now() >= ends);
        self.publishes();
        let keys = self.keys(name);
        let states: Vec<_> = keys.iter().map(|key| &key["state"]).collect();
        assert_eq!(states, ["retired", "active"]);
    }

    /// Publishes, and waits until every device has it.
    fn publishes(&self) {
        let said = self.says("publish --unsynchronized-clock --keys keys");
        for device in &self.devices {
            until("the manifest is in force", || {
                device.verb("status")["trust"]["sequence"] == said["sequence"]
            });
        }
    }

    /// A device's keys, the oldest first.
    fn keys(&self, name: &str) -> Vec<Value> {
        let shown = self.says(&format!("device show {name}"));
        shown["device"]["keys"].as_array().unwrap().clone()
    }

    fn says(&self, line: &str) -> Value {
        let said = self.domain.operator(&format!("{line} --json"));
        serde_json::from_slice(&said).unwrap()
    }
}
