//! What time it is, and who says so.

use super::{Facts, Finding};
use crate::clock::Synchronization;
use edgeseal_trust::time::UnixTime;

pub(super) fn synchronized(facts: &Facts) -> Vec<Finding> {
    let now = facts.time.now;
    match &facts.time.synchronization {
        Ok(Synchronization::Synchronized {
            max_error_microseconds,
        }) => Finding::ok(format!(
            "{now:#}, right within {} ms by the kernel's word",
            max_error_microseconds.div_ceil(1_000)
        )),
        Ok(Synchronization::Unsynchronized) if facts.unsynchronized_allowed => Finding::warning(
            format!(
                "{now:#}, not synchronized; the configuration lets this device work all the same"
            ),
            REPAIR,
        ),
        Ok(Synchronization::Unsynchronized) => Finding::broken(
            format!("{now:#}, not synchronized: nothing is signed or accepted before it is"),
            REPAIR,
        ),
        Err(why) => Finding::unknown(
            format!("the kernel does not say whether it is synchronized: {why}"),
            "sudo edgeseal-agent doctor",
        ),
    }
}

pub(super) fn floor(facts: &Facts) -> Vec<Finding> {
    let (now, floor) = (facts.time.now, floor_of(facts));
    if now < floor {
        return Finding::broken(
            format!("the clock shows {now:#}, and it is later than {floor:#} for certain"),
            format!("{REPAIR}; without a network: sudo timedatectl set-time \"YYYY-MM-DD HH:MM\""),
        );
    }
    Finding::ok(format!("above {floor:#}"))
}

pub(super) fn service(facts: &Facts) -> Vec<Finding> {
    match (facts.time.service, &facts.time.synchronization) {
        (Some(name), _) => Finding::ok(format!("{name} runs")),
        (None, Ok(Synchronization::Synchronized { .. })) => {
            Finding::ok("none that is known here runs, but the kernel's clock is kept right")
        }
        (None, _) => Finding::warning(
            "none that is known here runs (systemd-timesyncd, chrony, ntpd)",
            "sudo apt install systemd-timesyncd && sudo timedatectl set-ntp true",
        ),
    }
}

/// The running agent's word, else what can be told without it.
fn floor_of(facts: &Facts) -> UnixTime {
    if let Some(status) = facts.agent.status() {
        return status.floor;
    }
    let look = facts.store.as_ref().ok();
    let manifest = look.and_then(|look| look.trust.as_ref().ok()?.as_ref());
    let issued = manifest.map_or(UnixTime::default(), |view| view.issued_at);
    issued.max(facts.time.released)
}

const REPAIR: &str = "sudo timedatectl set-ntp true, then look: timedatectl timesync-status";
