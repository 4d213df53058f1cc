//! `edgeseal role grant`.

use crate::command::{Context, duration};
use crate::error::{CommandError, Result};
use crate::registry::Access;
use crate::render::Report;
use edgeseal_trust::grant::{AudiencePattern, Grant};
use edgeseal_trust::id::RoleName;
use edgeseal_trust::limits;
use edgeseal_trust::token::Kind;
use edgeseal_trust::topic::TopicFilter;
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "{device} stands for the id of the device that publishes.\n\n\
    Examples:\n  edgeseal role grant sensor --publish 'farm/{device}/temp' --audience domain --retained 1d\n  \
    edgeseal role grant panel --publish 'farm/+/cmd' --audience device:* --response 'farm/{device}/reply'"
)]
pub(crate) struct Args {
    /// Name of the role
    #[arg(value_parser = RoleName::parse)]
    name: RoleName,
    /// Topics that it may publish to (MQTT topic filters)
    #[arg(long, value_name = "FILTER", required = true, num_args = 1.., value_parser = TopicFilter::parse)]
    publish: Vec<TopicFilter>,
    /// Whom it may address: domain, device:ID, device:*, group:NAME or group:*
    #[arg(long, value_name = "AUDIENCE", required = true, num_args = 1.., value_parser = parse_audience)]
    audience: Vec<AudiencePattern>,
    /// Response topics that it may ask for
    #[arg(long, value_name = "FILTER", num_args = 1.., value_parser = TopicFilter::parse)]
    response: Vec<TopicFilter>,
    /// Longest lifetime of a message, where more than 300s; at most 30d
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    lifetime: Option<u64>,
    /// Allow retained statements, valid so long; at most 365d
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "1d", value_parser = duration::parse)]
    retained: Option<u64>,
    /// Allow wills, valid so long; at most 30d
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "7d", value_parser = duration::parse)]
    will: Option<u64>,
    /// Allow to relay for others that cannot sign
    #[arg(long)]
    vouch: bool,
}

/// Adds a grant to a role. The same grant twice is one grant.
///
/// # Errors
/// No such role, a group that is not defined, or a lifetime above its ceiling.
pub(crate) fn run(args: Args, context: &Context) -> Result<Report> {
    judge_ceiling("--lifetime", args.lifetime, Kind::Message)?;
    judge_ceiling("--retained", args.retained, Kind::Retained)?;
    judge_ceiling("--will", args.will, Kind::Will)?;
    let grant = Grant {
        publish: args.publish,
        audiences: args.audience,
        responses: args.response,
        lifetime_seconds: args.lifetime,
        retained_seconds: args.retained,
        will_seconds: args.will,
        vouch: args.vouch,
    };
    let mut registry = context.open(Access::Edit)?;
    for audience in &grant.audiences {
        if let AudiencePattern::Group(group) = audience {
            registry.judge_group(group)?;
        }
    }
    let mut role = registry.role(&args.name)?.clone();
    let is_new = !role.grants.contains(&grant);
    if is_new {
        role.grants.push(grant.clone());
    }
    if role.grants.len() > limits::GRANTS {
        let reason = format!("a role has at most {} grants", limits::GRANTS);
        return Err(CommandError::no("too-many", reason)
            .hint("use wildcards or {device} in the topic filters"));
    }
    registry.put_role(role)?;
    registry.save()?;
    let waits = registry
        .rule(&args.name)
        .is_some_and(|rule| !rule.role.grants.contains(&grant));
    let next = match waits {
        true => format!(
            "It waits for approvals, as devices of this role do. Next: edgeseal approval give --change {} --keys DIR",
            args.name
        ),
        false => "Devices learn of it with the next publish.".to_owned(),
    };
    let text = if is_new {
        format!(
            "granted to {}: {}\n{next}",
            args.name,
            super::list::describe(&grant)
        )
    } else {
        format!("{} has this grant already", args.name)
    };
    Ok(Report::new(
        text,
        json!({ "role": args.name, "grant": grant, "added": is_new, "waits": waits }),
    ))
}

fn judge_ceiling(option: &str, seconds: Option<u64>, kind: Kind) -> Result<()> {
    let ceiling = kind.lifetime_ceiling_seconds();
    if seconds.is_none_or(|seconds| seconds <= ceiling) {
        return Ok(());
    }
    let reason = format!("{option} is at most {}", duration::show(ceiling));
    Err(CommandError::usage("lifetime-ceiling", reason))
}

fn parse_audience(text: &str) -> std::result::Result<AudiencePattern, String> {
    AudiencePattern::parse(text)
        .map_err(|_| "an audience is domain, device:ID, device:*, group:NAME or group:*".to_owned())
}
