//! A report for whoever helps: everything that was found, without anything that is secret.

use super::{Facts, IdentityFacts, Redactor, Report};
use crate::config::{Loaded, describe};
use edgeseal_doctor::look;

/// What `doctor --bundle` writes: everything that is known, redacted.
#[must_use]
pub fn bundle(report: &Report, facts: &Facts, loaded: &Loaded) -> String {
    let settings = describe(loaded).into_iter().map(|setting| {
        let value = Redactor::setting(&setting.key, setting.value);
        (setting.key, value)
    });
    redactor(facts).bundle(serde_json::json!({
        "edgeseal_doctor_bundle": 1,
        "report": report,
        "settings": settings.collect::<serde_json::Map<_, _>>(),
        "status": facts.agent.status(),
        "service": facts.service,
        "files": look::listing(&facts.state.file.path),
        "journal": look::journal("edgeseal-agent"),
    }))
}

/// This device's own key name stays: who helps needs it.
pub(super) fn redactor(facts: &Facts) -> Redactor {
    let status = facts.agent.status();
    let known = status.and_then(|status| status.engine.kid.as_ref());
    let stored = match &facts.identity {
        IdentityFacts::Loaded { kid, .. } => Some(kid),
        _ => None,
    };
    Redactor::keeping(known.into_iter().chain(stored).map(ToString::to_string))
}
