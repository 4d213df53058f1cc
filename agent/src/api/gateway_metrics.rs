//! What the gateway counts, for Prometheus.

use super::metrics::Page;
use crate::gateway::link::GatewayStatus;
use crate::gateway::metrics::{GatewayCounts, Histogram, ListenerCounts, RuleCounts};
use std::collections::BTreeMap;

impl Page {
    /// Everything of the gateway. Names of listeners, rules and upstreams are the configuration's.
    pub(super) fn gateway(&mut self, counts: &GatewayCounts, status: &GatewayStatus) {
        self.gateway_now(status);
        self.listeners(counts);
        self.sent(counts);
        self.received(counts);
        self.histogram(
            "edgeseal_gateway_verification_seconds",
            "How long judgements of received messages took, storing included.",
            &counts.verification,
        );
    }

    fn gateway_now(&mut self, status: &GatewayStatus) {
        let name = "edgeseal_gateway_connections";
        self.family(name, "gauge", "Programs that are connected.");
        for listener in &status.listeners {
            let labels = [("listener", &*listener.name)];
            self.sample(name, &labels, listener.connections);
        }
        let name = "edgeseal_gateway_upstream_up";
        let help = "1 if the broker answered last time, 0 if it did not or was never asked.";
        self.family(name, "gauge", help);
        for upstream in &status.upstreams {
            let labels = [("upstream", &*upstream.name)];
            self.sample(name, &labels, u8::from(upstream.state == "up"));
        }
        self.single(
            "edgeseal_gateway_buffered_bytes",
            "gauge",
            "Octets in buffers of all connections.",
            status.buffered_octets,
        );
    }

    fn listeners(&mut self, counts: &GatewayCounts) {
        type Count = fn(&ListenerCounts) -> u64;
        let single: [(&str, &str, Count); 3] = [
            (
                "edgeseal_gateway_connected_total",
                "Programs that were let in.",
                |listener| listener.connected,
            ),
            (
                "edgeseal_gateway_parked_total",
                "Messages of programs that had to wait for the broker's Receive Maximum.",
                |listener| listener.parked,
            ),
            (
                "edgeseal_gateway_dropped_qos0_total",
                "Messages of QoS 0 dropped because their program did not read.",
                |listener| listener.dropped_qos0,
            ),
        ];
        for (name, help, count) in single {
            self.family(name, "counter", help);
            for (listener, counts) in counts.listeners() {
                self.sample(name, &[("listener", listener)], count(counts));
            }
        }
        let name = "edgeseal_gateway_oversized_total";
        let help = "Packets that were too large and thrown away, by who sent them.";
        self.family(name, "counter", help);
        for (listener, counts) in counts.listeners() {
            for (from, count) in [
                ("program", counts.oversized_local),
                ("broker", counts.oversized_upstream),
            ] {
                self.sample(name, &[("listener", listener), ("from", from)], count);
            }
        }
        type Codes = fn(&ListenerCounts) -> &BTreeMap<&'static str, u64>;
        let by_code: [(&str, &str, Codes); 4] = [
            (
                "edgeseal_gateway_refused_total",
                "Programs that were refused before their CONNECT was read, by code.",
                |listener| &listener.refused,
            ),
            (
                "edgeseal_gateway_closed_total",
                "Connections that ended, by code.",
                |listener| &listener.closed,
            ),
            (
                "edgeseal_gateway_filters_refused_total",
                "Filters that programs may not subscribe, by code.",
                |listener| &listener.filters_refused,
            ),
            (
                "edgeseal_gateway_failures_total",
                "Times that this device was in no state to judge, by code.",
                |listener| &listener.failed,
            ),
        ];
        for (name, help, codes) in by_code {
            self.family(name, "counter", help);
            for (listener, counts) in counts.listeners() {
                for (code, count) in codes(counts) {
                    self.sample(name, &[("listener", listener), ("code", code)], count);
                }
            }
        }
    }

    fn sent(&mut self, counts: &GatewayCounts) {
        self.messages(
            "edgeseal_gateway_sent_total",
            "Messages of programs, by rule and by what was done: signed, passed (as the rule says), unsigned (sent though it would be refused), refused, failed.",
            counts,
            |rule| {
                let plain = [("signed", rule.signed), ("passed", rule.passed)];
                let by_code = [("unsigned", &rule.unsigned), ("refused", &rule.refused), ("failed", &rule.failed)];
                (plain.into(), by_code.into())
            },
        );
    }

    fn received(&mut self, counts: &GatewayCounts) {
        self.messages(
            "edgeseal_gateway_received_total",
            "Messages of the broker, by rule and by what was done: delivered, observed (delivered though it would be rejected), rejected.",
            counts,
            |rule| {
                let plain = vec![("delivered", rule.delivered)];
                (plain, vec![("observed", &rule.observed), ("rejected", &rule.rejected)])
            },
        );
    }

    fn messages<'a>(
        &mut self,
        name: &str,
        help: &str,
        counts: &'a GatewayCounts,
        outcomes: impl Fn(&'a RuleCounts) -> Outcomes<'a>,
    ) {
        self.family(name, "counter", help);
        for (listener, counts) in counts.listeners() {
            for (rule, counts) in counts.rules() {
                let (plain, by_code) = outcomes(counts);
                let mut sample = |outcome, code, count| {
                    let labels = [
                        ("listener", listener),
                        ("rule", rule),
                        ("outcome", outcome),
                        ("code", code),
                    ];
                    self.sample(name, &labels, count);
                };
                for (outcome, count) in plain {
                    sample(outcome, "", count);
                }
                for (outcome, codes) in by_code {
                    for (code, count) in codes {
                        sample(outcome, code, *count);
                    }
                }
            }
        }
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for (limit, count) in histogram.cumulative() {
            let limit = limit.as_secs_f64().to_string();
            self.sample(&bucket, &[("le", &*limit)], count);
        }
        self.sample(&bucket, &[("le", "+Inf")], histogram.count());
        let total = histogram.total().as_secs_f64();
        self.sample(&format!("{name}_sum"), &[], total);
        self.sample(&format!("{name}_count"), &[], histogram.count());
    }
}

/// Counts by outcome, and by outcome and code.
type Outcomes<'a> = (
    Vec<(&'static str, u64)>,
    Vec<(&'static str, &'a BTreeMap<&'static str, u64>)>,
);
