//! What the trust link counts, for Prometheus.

use super::metrics::Page;
use crate::trust_link::LinkStatus;

impl Page {
    /// Everything of the trust link.
    pub(super) fn trust_link(&mut self, link: &LinkStatus) {
        self.single(
            "edgeseal_trust_link_connected",
            "gauge",
            "1 while the broker from which trust data comes is connected.",
            u8::from(link.connected),
        );
        self.single(
            "edgeseal_trust_link_connections_total",
            "counter",
            "Connections that the broker accepted.",
            link.connections,
        );
        self.single(
            "edgeseal_trust_link_taken_over_total",
            "counter",
            "Connections that ended because another client took this device's name.",
            link.taken_over,
        );
        self.single(
            "edgeseal_trust_link_applied_total",
            "counter",
            "Updates of trust data that came over the link and were applied.",
            link.applied,
        );
        let name = "edgeseal_trust_link_refused_total";
        let help = "Offers of trust data that were refused, by code.";
        self.family(name, "counter", help);
        for (code, count) in &link.refused {
            self.sample(name, &[("code", &**code)], count);
        }
    }
}
