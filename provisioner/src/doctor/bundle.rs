//! A report for whoever helps: everything that was found, without anything that is secret.

use super::facts::{BrokerFacts, Facts};
use super::gather::UNITS;
use edgeseal_doctor::{Redactor, Report, look};
use serde_json::json;

/// What `doctor --bundle` writes: everything that is known, redacted.
pub(crate) fn bundle(report: &Report, facts: &Facts) -> String {
    let registry = facts.registry.as_ref().ok();
    let root = registry.and_then(|registry| registry.root.as_ref().ok());
    let last = registry.and_then(|registry| registry.last.as_ref().ok()?.as_ref());
    let broker = match &facts.broker {
        BrokerFacts::Asked { url, .. } => Some(url),
        _ => None,
    };
    // The names of the root's keys are public, and whoever helps needs them.
    let authorities = root.iter().flat_map(|root| [&root.root, &root.registrar]);
    let kids: Vec<String> = authorities
        .flat_map(|authority| authority.keys())
        .map(|key| key.id().to_string())
        .collect();
    let journals = UNITS.iter().filter(|unit| unit.ends_with(".service"));
    let journals = journals.map(|unit| ((*unit).to_owned(), json!(look::journal(unit))));
    let whole = json!({
        "edgeseal_doctor_bundle": 1,
        "report": report,
        "domain": registry.map(|registry| &registry.domain),
        "devices": registry.map(|registry| registry.devices),
        "root": root.map(|root| json!({
            "version": root.version,
            "exp": root.expires_at,
            "threshold": root.root.threshold(),
            "registrar_threshold": root.registrar.threshold(),
        })),
        "published": last.map(|last| json!({
            "root_version": last.root_version,
            "sequence": last.sequence,
            "iat": last.issued_at,
            "exp": last.expires_at,
            "shards": last.shards.len(),
        })),
        "kids": kids,
        "broker": broker,
        "files": look::listing(&facts.place.dir),
        "journal": journals.collect::<serde_json::Map<_, _>>(),
    });
    Redactor::keeping(kids).bundle(whole)
}
