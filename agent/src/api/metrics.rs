//! What is counted, and its form for Prometheus (text exposition format 0.0.4).
//!
//! Labels take their values from this program's own words (codes, paths, statuses) and from the
//! configuration's names alone, never from a caller or a peer, so their number is bounded.

use super::Shared;
use super::body::Reply;
use super::dispatch::ok;
use crate::engine::Counts;
use crate::gateway::link::GatewayStatus;
use crate::gateway::metrics::GatewayCounts;
use crate::trust_link::LinkStatus;
use edgeseal_trust::clock::ClockState;
use hyper::Response;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::{Mutex, PoisonError};

/// What the API itself counts.
#[derive(Debug, Default)]
pub(super) struct Metrics(Mutex<Requests>);

#[derive(Clone, Debug, Default)]
struct Requests {
    /// By path (`other` for those that are not served) and status.
    answered: BTreeMap<(&'static str, u16), u64>,
    throttled: u64,
    connections: u64,
    connections_refused: u64,
}

/// What is so at the moment of asking.
#[derive(Clone, Debug)]
pub struct Gauges {
    /// Replay windows in use.
    pub replay_windows: u64,
    /// Consumers that replay is judged for.
    pub replay_consumers: u64,
    /// Parsed keys in memory.
    pub cached_keys: u64,
    /// The trust data in force.
    pub trust: Option<TrustGauges>,
    /// State of the clock.
    pub clock: Cow<'static, str>,
    /// Boot epoch; 0 while nothing can be signed.
    pub epoch: u64,
    /// Whether this device is enrolled.
    pub enrolled: bool,
    /// Seconds since the start.
    pub uptime_seconds: u64,
}

/// The trust data in force.
#[derive(Clone, Copy, Debug)]
pub struct TrustGauges {
    /// Sequence of the manifest.
    pub sequence: u64,
    /// Version of the newest root.
    pub root_version: u64,
    /// Seconds since the manifest was issued.
    pub age_seconds: u64,
    /// When the manifest or the newest root expires, the earlier, in seconds since 1970.
    pub expires_at: u64,
    /// Keys in the index.
    pub keys: u64,
}

/// `GET /metrics`
pub(super) fn answer(shared: &Shared) -> Response<Reply> {
    let (counts, gauges) = shared.agent.measure();
    let mut requests = shared.metrics.requests();
    requests.connections = shared.connections.count();
    let gateway = shared.gateway.get();
    let gateway = gateway.map(|gateway| (gateway.counts(), gateway.status()));
    let link = shared.agent.link_status();
    let page = render(&counts, &requests, &gauges, &link, gateway.as_ref());
    ok(PROMETHEUS, Reply::whole(page))
}

impl Metrics {
    pub(super) fn answered(&self, path: &'static str, status: u16) {
        self.with(|requests| add(requests.answered.entry((path, status)).or_default()));
    }

    pub(super) fn throttled(&self) {
        self.with(|requests| add(&mut requests.throttled));
    }

    pub(super) fn connection_refused(&self) {
        self.with(|requests| add(&mut requests.connections_refused));
    }

    fn requests(&self) -> Requests {
        self.with(|requests| requests.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Requests) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn add(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

/// The text that Prometheus reads.
fn render(
    counts: &Counts,
    requests: &Requests,
    gauges: &Gauges,
    link: &LinkStatus,
    gateway: Option<&(GatewayCounts, GatewayStatus)>,
) -> String {
    let mut page = Page(String::with_capacity(PAGE_CAPACITY));
    page.work(counts);
    page.requests(requests);
    page.gauges(gauges);
    page.trust_link(link);
    if let Some((counts, status)) = gateway {
        page.gateway(counts, status);
    }
    page.0
}

/// The text, while it is written.
pub(super) struct Page(String);

impl Page {
    fn work(&mut self, counts: &Counts) {
        self.family(
            "edgeseal_verifications_total",
            "counter",
            "Judged messages, by verdict and code of the rejection.",
        );
        self.sample(
            "edgeseal_verifications_total",
            &[("verdict", "verified"), ("code", "")],
            counts.verified,
        );
        for (code, count) in &counts.rejected {
            let labels = [("verdict", "rejected"), ("code", *code)];
            self.sample("edgeseal_verifications_total", &labels, count);
        }
        self.single(
            "edgeseal_signatures_total",
            "counter",
            "Signed tokens, logins included.",
            counts.signed,
        );
        self.family(
            "edgeseal_signatures_refused_total",
            "counter",
            "Requests to sign that were refused, by code.",
        );
        for (code, count) in &counts.refused {
            self.sample(
                "edgeseal_signatures_refused_total",
                &[("code", *code)],
                count,
            );
        }
        self.family(
            "edgeseal_failures_total",
            "counter",
            "Times that this device was in no state to sign or to judge, by code.",
        );
        for (code, count) in &counts.failed {
            self.sample("edgeseal_failures_total", &[("code", *code)], count);
        }
    }

    fn requests(&mut self, requests: &Requests) {
        self.family(
            "edgeseal_api_requests_total",
            "counter",
            "Requests to the local API, by path and status.",
        );
        for ((path, status), count) in &requests.answered {
            let status = status.to_string();
            let labels = [("path", *path), ("status", &*status)];
            self.sample("edgeseal_api_requests_total", &labels, count);
        }
        self.single(
            "edgeseal_api_connections",
            "gauge",
            "Connections to the local API.",
            requests.connections,
        );
        self.single(
            "edgeseal_api_throttled_total",
            "counter",
            "Requests refused because their caller asked too often.",
            requests.throttled,
        );
        self.single(
            "edgeseal_api_connections_refused_total",
            "counter",
            "Connections refused because there were too many.",
            requests.connections_refused,
        );
    }

    fn gauges(&mut self, gauges: &Gauges) {
        for (name, help, value) in [
            (
                "edgeseal_replay_windows",
                "Replay windows in use.",
                gauges.replay_windows,
            ),
            (
                "edgeseal_replay_consumers",
                "Consumers with a replay memory.",
                gauges.replay_consumers,
            ),
            (
                "edgeseal_cached_keys",
                "Parsed keys in memory.",
                gauges.cached_keys,
            ),
            (
                "edgeseal_boot_epoch",
                "Boot epoch; 0 while nothing can be signed.",
                gauges.epoch,
            ),
            (
                "edgeseal_enrolled",
                "1 if this device is enrolled.",
                u64::from(gauges.enrolled),
            ),
            (
                "edgeseal_uptime_seconds",
                "Seconds since the start.",
                gauges.uptime_seconds,
            ),
        ] {
            self.single(name, "gauge", help, value);
        }
        if let Some(trust) = &gauges.trust {
            self.trust(trust);
        }
        self.family(
            "edgeseal_clock_state",
            "gauge",
            "1 for the state of the clock, 0 for the others.",
        );
        for state in [
            ClockState::Synchronized,
            ClockState::Unsynchronized,
            ClockState::BehindFloor,
        ] {
            let labels = [("state", state.as_str())];
            self.sample(
                "edgeseal_clock_state",
                &labels,
                u8::from(state.as_str() == gauges.clock),
            );
        }
        self.family(
            "edgeseal_build_info",
            "gauge",
            "1, with the version as label.",
        );
        self.sample(
            "edgeseal_build_info",
            &[("version", env!("CARGO_PKG_VERSION"))],
            1,
        );
    }

    fn trust(&mut self, trust: &TrustGauges) {
        for (name, help, value) in [
            (
                "edgeseal_trust_sequence",
                "Sequence of the manifest in force.",
                trust.sequence,
            ),
            (
                "edgeseal_trust_root_version",
                "Version of the newest root.",
                trust.root_version,
            ),
            (
                "edgeseal_trust_age_seconds",
                "Seconds since the manifest was issued.",
                trust.age_seconds,
            ),
            (
                "edgeseal_trust_expiry_timestamp_seconds",
                "When the trust data expires, in seconds since 1970.",
                trust.expires_at,
            ),
            ("edgeseal_trust_keys", "Keys in the registry.", trust.keys),
        ] {
            self.single(name, "gauge", help, value);
        }
    }

    pub(super) fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

/// Names of the configuration may have any character in them.
fn escaped(text: &str) -> Cow<'_, str> {
    if text.contains(['\\', '"', '\n']) {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        Cow::Owned(text.replace('\n', "\\n"))
    } else {
        Cow::Borrowed(text)
    }
}

const PAGE_CAPACITY: usize = 8192;

/// Media type of the page.
const PROMETHEUS: &str = "text/plain; version=0.0.4";

#[cfg(test)]
mod tests {
    use super::{Gauges, Metrics, TrustGauges, render};
    use crate::engine::Counts;
    use crate::gateway::link::{GatewayStatus, UpstreamStatus};
    use crate::gateway::metrics::{GatewayCounts, add_code};
    use crate::trust_link::LinkStatus;
    use edgeseal_trust::clock::ClockState;
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    fn gateway() -> (GatewayCounts, GatewayStatus) {
        let mut counts = GatewayCounts::default();
        counts.verification.record(Duration::from_micros(80));
        let listener = counts.listener("apps");
        listener.connected = 1;
        add_code(&mut listener.closed, "keep-alive");
        let rule = listener.rule("rule 1 (\"x\"/\\)");
        rule.signed = 2;
        add_code(&mut rule.unsigned, "topic-not-granted");
        add_code(&mut rule.rejected, "replay");
        let status = GatewayStatus {
            upstreams: vec![UpstreamStatus {
                name: "main".to_owned(),
                url: "mqtt://broker:1883".to_owned(),
                state: "up".to_owned(),
                why: None,
                down_seconds: None,
                failures: 0,
                next_attempt_seconds: None,
                only_v311: false,
            }],
            ..GatewayStatus::default()
        };
        (counts, status)
    }

    /// A page with a sample of each kind.
    fn page() -> String {
        let metrics = Metrics::default();
        let counts = Counts {
            signed: 3,
            verified: 1,
            rejected: BTreeMap::from([("replay", 2), ("expired", 1)]),
            refused: BTreeMap::from([("topic-not-granted", 1)]),
            failed: BTreeMap::from([("no-manifest", 1)]),
        };
        metrics.answered("/v1/sign", 200);
        metrics.throttled();
        metrics.connection_refused();
        let gauges = Gauges {
            replay_windows: 3,
            replay_consumers: 2,
            cached_keys: 1,
            trust: Some(TrustGauges {
                sequence: 7,
                root_version: 1,
                age_seconds: 5,
                expires_at: 9,
                keys: 4,
            }),
            clock: ClockState::Unsynchronized.as_str().into(),
            epoch: 12,
            enrolled: true,
            uptime_seconds: 1,
        };
        let link = LinkStatus {
            connected: true,
            refused: BTreeMap::from([("rollback".to_owned(), 2)]),
            ..LinkStatus::default()
        };
        let (gateway, status) = gateway();
        render(
            &counts,
            &metrics.requests(),
            &gauges,
            &link,
            Some(&(gateway, status)),
        )
    }

    #[test]
    fn every_sample_has_help_and_type_before_it_and_none_occurs_twice() {
        let page = page();
        let (mut helped, mut typed, mut seen) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for line in page.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["#", "HELP", name, _, ..] => assert!(helped.insert(*name), "{line}"),
                ["#", "TYPE", name, "counter" | "gauge" | "histogram"] => {
                    assert!(typed.insert(*name), "{line}")
                }
                [.., value] => {
                    let name = line.split(['{', ' ']).next().unwrap();
                    let family = ["_bucket", "_sum", "_count"].iter();
                    let family = family.fold(name, |name, end| name.trim_end_matches(end));
                    assert!(helped.contains(family) && typed.contains(family), "{line}");
                    assert!(value.parse::<f64>().is_ok(), "{line}");
                    assert!(seen.insert(line.trim_end_matches(*value)), "{line}");
                }
                [] => panic!("an empty line"),
            }
        }
        for expected in [
            r#"edgeseal_verifications_total{verdict="rejected",code="replay"} 2"#,
            r#"edgeseal_api_requests_total{path="/v1/sign",status="200"} 1"#,
            r#"edgeseal_clock_state{state="unsynchronized"} 1"#,
            r#"edgeseal_clock_state{state="synchronized"} 0"#,
            "edgeseal_trust_sequence 7",
            "edgeseal_trust_link_connected 1",
            r#"edgeseal_trust_link_refused_total{code="rollback"} 2"#,
            r#"edgeseal_gateway_sent_total{listener="apps",rule="rule 1 (\"x\"/\\)",outcome="signed",code=""} 2"#,
            r#"edgeseal_gateway_sent_total{listener="apps",rule="rule 1 (\"x\"/\\)",outcome="unsigned",code="topic-not-granted"} 1"#,
            r#"edgeseal_gateway_received_total{listener="apps",rule="rule 1 (\"x\"/\\)",outcome="rejected",code="replay"} 1"#,
            r#"edgeseal_gateway_verification_seconds_bucket{le="0.0001"} 1"#,
            r#"edgeseal_gateway_verification_seconds_bucket{le="+Inf"} 1"#,
            "edgeseal_gateway_verification_seconds_sum 0.00008",
            r#"edgeseal_gateway_upstream_up{upstream="main"} 1"#,
        ] {
            assert!(
                page.lines().any(|line| line == expected),
                "{expected}\n{page}"
            );
        }
    }
}
