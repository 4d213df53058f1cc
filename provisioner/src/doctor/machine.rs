//! The clock, the units, the processor.

use super::facts::Facts;
use edgeseal_doctor::{Finding, State};

pub(super) fn clock(facts: &Facts) -> Vec<Finding> {
    let now = facts.clock.time;
    match (facts.clock.synchronized, facts.unsynchronized_clock) {
        (true, _) => Finding::ok(format!("{}, synchronized by the kernel's word", now.date())),
        (false, true) => Finding::warning(
            format!("{}, not synchronized; it is used all the same", now.date()),
            SYNCHRONIZE,
        ),
        (false, false) => Finding::broken(
            format!(
                "{}, not synchronized: nothing is signed before it is",
                now.date()
            ),
            SYNCHRONIZE,
        ),
    }
}

pub(super) fn floor(facts: &Facts) -> Vec<Finding> {
    let now = facts.clock.time;
    let registry = facts.registry.as_ref().ok();
    let last = registry.and_then(|registry| registry.last.as_ref().ok()?.as_ref());
    match last {
        None => Finding::ok("nothing was published that it could be compared with"),
        Some(last) if now < last.issued_at => Finding::broken(
            format!(
                "the clock shows {}, and the last manifest was signed on {}",
                now.date(),
                last.issued_at.date()
            ),
            format!(
                "{SYNCHRONIZE}; if the manifest's time was wrong: edgeseal publish --yes --keys DIR"
            ),
        ),
        Some(last) => Finding::ok(format!("after {}", last.issued_at.date())),
    }
}

pub(super) fn units(facts: &Facts) -> Vec<Finding> {
    let Some(units) = &facts.units else {
        return Finding::ok("no systemd here");
    };
    let failed: Vec<Finding> = units
        .iter()
        .filter(|unit| unit.state == "failed")
        .map(|unit| {
            let name = unit.name;
            // It fails where something wants attention; what that is another check says.
            let state = match name {
                "edgeseal-status.service" => State::Warning,
                _ => State::Broken,
            };
            Finding::new(
                state,
                format!("{name} has failed"),
                format!("journalctl -u {name} -n 50; then sudo systemctl start {name}"),
            )
        })
        .collect();
    if !failed.is_empty() {
        return failed;
    }
    let active: Vec<&str> = units
        .iter()
        .filter(|unit| matches!(unit.state.as_str(), "active" | "activating"))
        .map(|unit| unit.name)
        .collect();
    Finding::ok(match active.is_empty() {
        true => "nothing of the operator's runs unattended here".to_owned(),
        false => format!("{} active", active.join(", ")),
    })
}

pub(super) fn architecture(facts: &Facts) -> Vec<Finding> {
    facts.machine.architecture("edgeseal")
}

const SYNCHRONIZE: &str = "sudo timedatectl set-ntp true, then look: timedatectl timesync-status";
