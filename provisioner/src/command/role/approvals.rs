//! `edgeseal role approvals`.

use crate::command::Context;
use crate::error::{CommandError, Result};
use crate::registry::{Access, RuleChange};
use crate::render::Report;
use edgeseal_trust::id::{DeviceId, RoleName};
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "From then on a device that comes to the role, by whatever way, is a member only once so many registrar keys\n\
    have approved it: edgeseal approval. Devices that have the role remain. What weakens the rule, or lets the role\n\
    do more, waits for as many approvals. 0 ends the rule.\n\n\
    Example:\n  edgeseal role approvals door 2"
)]
pub(crate) struct Args {
    /// Name of the role
    #[arg(value_parser = RoleName::parse)]
    name: RoleName,
    /// How many registrar keys must approve
    #[arg(value_parser = clap::value_parser!(u32).range(0..=16))]
    count: u32,
}

/// Sets how many persons give a role to a device.
///
/// # Errors
/// No such role, or more approvals than there are registrar keys.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    registry.role(&args.name)?;
    let keys = registry.root()?.content().registrar.keys().len();
    // A change of the rule waits for as many as the rule asks for: that must be possible too.
    let rule = registry.rule(&args.name).map_or(0, |rule| rule.approvals);
    let asked = rule.max(args.count);
    if usize::try_from(asked).is_ok_and(|asked| asked > keys) {
        let reason = format!("{asked} approvals, and the root names {keys} registrar keys");
        return Err(CommandError::no("approvals-impossible", reason).hint(
            "give each person a registrar key of their own first: edgeseal registrar rotate --keep-old",
        ));
    }
    let change = registry.set_rule(&args.name, args.count);
    registry.save()?;
    let (name, count) = (&args.name, args.count);
    let (word, exempt, text) = match &change {
        RuleChange::Set(exempt) => ("set", exempt.as_slice(), set(name, count, exempt)),
        RuleChange::Stricter => (
            "stricter",
            [].as_slice(),
            format!(
                "the role {name} needs {count} approvals for each device from now on; devices that have it remain"
            ),
        ),
        RuleChange::Waits => (
            "waits",
            [].as_slice(),
            format!(
                "the rule of {name} stands until as many have approved the change as it asks for.\n\
                 Next: edgeseal approval give --change {name} --keys DIR"
            ),
        ),
        RuleChange::Unchanged => (
            "unchanged",
            [].as_slice(),
            format!("nothing was changed: the rule of {name} is so already"),
        ),
    };
    let json = json!({ "role": name, "approvals": count, "change": word, "exempt": exempt });
    Ok(Report::new(text, json))
}

fn set(name: &RoleName, count: u32, exempt: &[DeviceId]) -> String {
    let mut text = format!("the role {name} needs {count} approvals for each device from now on");
    if exempt.is_empty() {
        text.push_str("; no device has it yet");
        return text;
    }
    let ids = exempt.iter().take(SHOWN).map(ToString::to_string);
    let ids: Vec<String> = ids.collect();
    let more = if exempt.len() > SHOWN { " ..." } else { "" };
    text.push_str(&format!(
        "\n{} devices have it already and remain, without approvals: {}{more}",
        exempt.len(),
        ids.join(" ")
    ));
    text
}

const SHOWN: usize = 10;
