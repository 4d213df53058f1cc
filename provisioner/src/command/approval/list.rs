//! `edgeseal approval list`.

use super::words::{describe, row};
use crate::command::Context;
use crate::error::Result;
use crate::registry::{Access, Matter};
use crate::render::Report;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  edgeseal approval list\n  edgeseal approval list --most 1000 --json"
)]
pub(crate) struct Args {
    /// Show so many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    most: usize,
}

/// Shows the rules, what waits, and whose approvals are there.
///
/// # Errors
/// The registry cannot be read.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let registry = context.open(Access::Read)?;
    let root = registry.root()?;
    let mut text = String::new();
    let mut rules: Vec<Value> = Vec::new();
    for (name, rule) in registry
        .roles()
        .keys()
        .filter_map(|n| registry.rule(n).map(|r| (n, r)))
    {
        let _ = writeln!(
            text,
            "role {name}: {} approvals for each device",
            rule.approvals
        );
        rules.push(json!({ "role": name, "approvals": rule.approvals }));
    }
    let waiting = registry.approvals_waiting();
    let mut rows: Vec<Value> = Vec::new();
    for matter in waiting.iter().take(args.most) {
        match registry.approval(matter, root.content()) {
            Ok(progress) => {
                let _ = writeln!(
                    text,
                    "{}\n  {}",
                    describe(&progress.approval),
                    progress.count()
                );
                rows.push(row(&progress));
            }
            // It came into the registry by hand: its first approval gives it a number.
            Err(_) => {
                let _ = writeln!(text, "{matter}: no approvals");
                rows.push(json!({ "device": matter.to_string() }));
            }
        }
    }
    let unshown = waiting.len().saturating_sub(args.most);
    if unshown > 0 {
        let _ = writeln!(text, "... and {unshown} more: --most {}", waiting.len());
    }
    let _ = write!(text, "{} wait for approvals", waiting.len());
    if waiting
        .iter()
        .any(|matter| matches!(matter, Matter::Device(_)))
    {
        text.push_str("\nNext: edgeseal approval give DEVICE --keys DIR");
    }
    if waiting
        .iter()
        .any(|matter| matches!(matter, Matter::Role(_)))
    {
        text.push_str("\nNext: edgeseal approval give --change ROLE --keys DIR");
    }
    Ok(Report::new(
        text,
        json!({ "rules": rules, "waiting": rows }),
    ))
}
