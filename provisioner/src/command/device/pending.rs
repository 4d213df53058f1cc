//! `edgeseal device pending`.

use crate::command::{Context, approval};
use crate::error::Result;
use crate::registry::{Access, Matter, Registry};
use crate::render::{Report, escaped};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::registry::DeviceState;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What it is given.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  edgeseal device pending")]
pub(crate) struct Args {
    /// Show so many requests at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    most: usize,
}

/// Shows who waits for the operator, and what was refused.
///
/// # Errors
/// The registry cannot be read.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let registry = context.open(Access::Read)?;
    let pending = registry.pending()?;
    let mut text = String::new();
    let mut waiting: Vec<_> = pending.iter().collect();
    waiting.sort_by_key(|request| (request.since, request.kid));
    for request in waiting.iter().take(args.most) {
        let who = request.device.as_ref().map_or("(no id)", |id| id.as_str());
        let _ = write!(
            text,
            "{who}: since {} [{}]",
            request.since.date(),
            request.why
        );
        if let Some(serial) = &request.serial {
            let _ = write!(text, " board {}", escaped(serial));
        }
        let _ = writeln!(text, "\n  key {}\n  {}", request.kid, request.words);
    }
    let unshown = waiting.len().saturating_sub(args.most);
    if unshown > 0 {
        let _ = writeln!(text, "... and {unshown} more: --most {}", waiting.len());
    }
    let in_registry = registry.devices().values();
    let by_hand: Vec<_> = in_registry
        .filter(|device| device.state == DeviceState::Pending && !device.keys.is_empty())
        .collect();
    for device in &by_hand {
        let words = device.request_words.as_deref().unwrap_or_default();
        let _ = writeln!(text, "{}: added from its request\n  {words}", device.id);
    }
    let (approvals, held) = waiting_for_approvals(&registry, args.most)?;
    text.push_str(&approvals);
    let expected = registry.devices().values();
    let expected = expected.filter(|device| device.is_expected()).count();
    let count = waiting.len().saturating_add(by_hand.len());
    let _ = write!(
        text,
        "{count} requests wait, {expected} devices are expected"
    );
    if !held.is_empty() {
        let _ = write!(text, ", {} devices wait for approvals", held.len());
    }
    for (code, refused) in pending.refused() {
        let _ = write!(
            text,
            "\nrefused {} times, last {}: {} [{code}]",
            refused.count,
            refused.last_at.date(),
            escaped(&refused.last)
        );
    }
    if count > 0 {
        text.push_str("\nNext: edgeseal device approve ID --role ROLE, or edgeseal device reject ID --reason TEXT");
    }
    let rejected: Vec<_> = pending.rejected().collect();
    let json = json!({
        "pending": waiting,
        "added_from_request": by_hand,
        "waiting_for_approvals": held,
        "expected": expected,
        "rejected": rejected,
        "refused": pending.refused(),
    });
    Ok(Report::new(text, json))
}

/// The devices that wait for approvals of a role, in words and for programs.
fn waiting_for_approvals(registry: &Registry, most: usize) -> Result<(String, Vec<Value>)> {
    let waiting = registry.approvals_waiting().into_iter();
    let devices: Vec<DeviceId> = waiting
        .filter_map(|matter| match matter {
            Matter::Device(id) => Some(id),
            Matter::Role(_) => None,
        })
        .collect();
    let root = registry.root()?;
    let (mut text, mut rows) = (String::new(), Vec::new());
    for (number, id) in devices.iter().enumerate() {
        if let Some(told) = approval::told(registry, root.content(), id)? {
            if number < most {
                let _ = writeln!(text, "{id}: {}", told.text);
            }
            rows.push(told.json);
        }
    }
    Ok((text, rows))
}
