//! `edgeseal device add`.

use super::{csv, request};
use crate::command::Context;
use crate::error::{CommandError, Result};
use crate::input;
use crate::registry::{Access, DeviceRecord, Registry, state_word};
use crate::render::Report;
use edgeseal_trust::id::{DeviceId, GroupName, RoleName};
use edgeseal_trust::key::parse_jwk;
use edgeseal_trust::limits;
use edgeseal_trust::registry::DeviceState;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "A CSV file has a header line with the columns id, x or jwk, and optionally roles, groups \
    and\nserial; several roles or groups are separated by spaces. A second run skips what is done.\n\n\
    Examples:\n  edgeseal device add shed-1 --request shed-1.request --role sensor\n  \
    edgeseal device add shed-1 --jwk shed-1.jwk --role sensor\n  \
    edgeseal device add --csv fleet.csv --role sensor --dry-run"
)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["request", "jwk", "csv"])))]
pub(crate) struct Args {
    /// Id of the device
    #[arg(value_parser = DeviceId::parse, required_unless_present = "csv", conflicts_with = "csv")]
    id: Option<DeviceId>,
    /// Enrollment request, from `edgeseal-agent identity request`; the device is pending until
    /// it is approved
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// The eight words that the device shows: if they are those of the request, it is approved
    #[arg(long, requires = "request")]
    words: Option<String>,
    /// Replace the request of a device that is still pending
    #[arg(long, requires = "request")]
    replace: bool,
    /// The device's public key as a JWK; the device is active at once
    #[arg(long, value_name = "FILE")]
    jwk: Option<PathBuf>,
    /// Devices of thousands, with their public keys; they are active at once
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Role that the device has (or every device of the CSV file has)
    #[arg(long = "role", value_name = "ROLE", value_parser = RoleName::parse)]
    roles: Vec<RoleName>,
    /// Group that the device is in (or every device of the CSV file is in)
    #[arg(long = "group", value_name = "GROUP", value_parser = GroupName::parse)]
    groups: Vec<GroupName>,
    /// Serial number of the board
    #[arg(long, conflicts_with = "csv")]
    serial: Option<String>,
    /// Say what would be added, and change nothing
    #[arg(long, requires = "csv")]
    dry_run: bool,
    /// Add the good lines although there are bad ones
    #[arg(long, requires = "csv")]
    keep_going: bool,
}

/// Adds one device, or the devices of a CSV file.
///
/// # Errors
/// The file cannot be read, its content is refused, or the device is there with another key.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let access = if args.dry_run {
        Access::Read
    } else {
        Access::Edit
    };
    let mut registry = context.open(access)?;
    for role in &args.roles {
        registry.role(role)?;
    }
    for group in &args.groups {
        registry.judge_group(group)?;
    }
    match (&args.id, &args.request, &args.jwk, &args.csv) {
        (_, _, _, Some(path)) => {
            let import = csv::Import {
                roles: &args.roles,
                groups: &args.groups,
                dry_run: args.dry_run,
                keep_going: args.keep_going,
            };
            csv::run(&import, path, &mut registry, context)
        }
        (Some(id), Some(path), _, _) => {
            let given = request::Given {
                words: args.words.as_deref(),
                replace: args.replace,
                dress: &|device| args.dress(device),
            };
            request::run(&given, id, path, &mut registry)
        }
        (Some(id), _, Some(path), _) => args.add_jwk(id, path, &mut registry),
        _ => Err(CommandError::usage(
            "usage",
            "give an id with --request or --jwk, or give --csv",
        )),
    }
}

impl Args {
    /// Gives the device what the options say.
    fn dress(&self, device: &mut DeviceRecord) {
        device.roles.clone_from(&self.roles);
        device.groups.clone_from(&self.groups);
        if self.serial.is_some() {
            device.serial.clone_from(&self.serial);
        }
        device.tidy();
    }

    fn add_jwk(&self, id: &DeviceId, path: &Path, registry: &mut Registry) -> Result<Report> {
        let text = input::read(path, limits::REQUEST_OCTETS)
            .map_err(|why| CommandError::io("read", path, &why))?;
        let key = parse_jwk(&text).map_err(|why| {
            let reason = format!("{} is no key to believe: {why}", path.display());
            CommandError::no(why.code(), reason)
                .hint("`edgeseal-agent identity show --json` on the device prints its JWK")
        })?;
        let kid = key.id();
        if let Some(present) = registry.devices().get(id) {
            judge_same_key(present, kid)?;
            if registry.missing_approvals(present).is_some() {
                let json = json!({ "kid": kid, "added": false });
                return super::settled(registry, id, "nothing was changed", json);
            }
            let state = state_word(present.state);
            let text = format!("{id} is there already, {state}; nothing was changed");
            return Ok(Report::new(
                text,
                json!({ "device": id, "kid": kid, "state": present.state, "added": false }),
            ));
        }
        let mut device = DeviceRecord::new(id.clone(), key, DeviceState::Active);
        self.dress(&mut device);
        registry.put_device(device)?;
        registry.save()?;
        let done = match registry.missing_approvals(registry.device(id)?) {
            None => format!("{id} added and active"),
            Some(_) => format!("{id} added"),
        };
        super::settled(registry, id, &done, json!({ "kid": kid, "added": true }))
    }
}

/// Refuses another key for a device that is in the registry.
pub(super) fn judge_same_key(
    present: &DeviceRecord,
    kid: edgeseal_trust::key::KeyId,
) -> Result<()> {
    if present.keys.iter().any(|key| key.key.id() == kid) {
        return Ok(());
    }
    let id = &present.id;
    let state = state_word(present.state);
    let reason = format!("{id} is in the registry, {state}, with another key");
    Err(CommandError::no("device-exists", reason).hint(format!(
        "look at it with `edgeseal device show {id}`; a new board gets a new id"
    )))
}
