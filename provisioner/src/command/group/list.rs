//! `edgeseal group list`.

use crate::command::Context;
use crate::error::Result;
use crate::registry::Access;
use crate::render::Report;
use serde_json::json;

/// Shows the groups and how many devices are in each.
///
/// # Errors
/// The registry cannot be read.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let registry = context.open(Access::Read)?;
    let mut lines = Vec::new();
    let mut groups = Vec::new();
    for group in registry.groups() {
        let devices = registry.devices().values();
        let count = devices
            .filter(|device| device.groups.contains(group))
            .count();
        lines.push(format!("{group} ({count} devices)"));
        groups.push(json!({ "group": group, "devices": count }));
    }
    if lines.is_empty() {
        lines.push("no groups yet: edgeseal group add NAME".to_owned());
    }
    Ok(Report::new(lines.join("\n"), json!({ "groups": groups })))
}
