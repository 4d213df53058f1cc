//! Memory, processor, card.

use super::{Facts, Finding};

pub(super) fn memory(facts: &Facts) -> Vec<Finding> {
    let Some(available) = facts.machine.available_octets else {
        return Finding::unknown("the kernel does not say how much is free", "free -m");
    };
    let mut what = format!("{} MiB available", available >> 20);
    let resident = facts.process.and_then(|process| process.resident_octets);
    if let Some(resident) = resident {
        what.push_str(&format!(", the agent has {} MiB", resident >> 20));
    }
    let limit = facts
        .service
        .as_ref()
        .and_then(|service| service.get("MemoryMax"));
    let limit = limit.and_then(|text| text.parse::<u64>().ok());
    if let (Some(limit), Some(resident)) = (limit, resident)
        && resident > limit.saturating_sub(limit / 8)
    {
        return Finding::warning(
            format!("{what} of the {} MiB that it may have", limit >> 20),
            "lower max_windows of [replay] or cached_keys of [peers], then sudo systemctl restart edgeseal-agent",
        );
    }
    if available < LITTLE_MEMORY_OCTETS {
        return Finding::warning(what, "ps -eo rss,comm --sort -rss | head");
    }
    Finding::ok(what)
}

pub(super) fn architecture(facts: &Facts) -> Vec<Finding> {
    facts.machine.architecture("edgeseal-agent")
}

pub(super) fn flash_writes(facts: &Facts) -> Vec<Finding> {
    let written = facts.process.and_then(|process| process.written_octets);
    let (Some(written), Some(status)) = (written, facts.agent.status()) else {
        return Finding::unknown(
            "only root can see what a running agent writes",
            "sudo edgeseal-agent doctor",
        );
    };
    let hours = status.uptime_seconds.div_ceil(3_600).max(1);
    let each_hour = written.checked_div(hours).unwrap_or_default();
    let what = format!(
        "{} KiB written to disk in {} s",
        written >> 10,
        status.uptime_seconds
    );
    if each_hour > MUCH_WRITTEN_OCTETS {
        return Finding::warning(
            format!("{what}: more than trust updates explain"),
            "is runtime_directory of [agent] below /run? edgeseal-agent config show",
        );
    }
    Finding::ok(what)
}

const LITTLE_MEMORY_OCTETS: u64 = 32 << 20;
/// In an hour: a bundle of a large fleet, applied a few times, stays below.
const MUCH_WRITTEN_OCTETS: u64 = 64 << 20;
