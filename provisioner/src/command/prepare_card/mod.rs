//! `edgeseal prepare-card`: all that a device needs, on a mounted boot partition.

mod card;
mod texts;

use self::card::Partition;
use super::join::{Card, Press, Terms};
use super::registrar::judged_clock;
use super::{Context, Signing, approval, duration};
use crate::error::{CommandError, Result};
use crate::keys;
use crate::registry::{Access, Registry};
use crate::render::Report;
use edgeseal_trust::id::{DeviceId, GroupName, RoleName};
use serde_json::json;
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "DIR is where the boot partition of the freshly written card is mounted; it has config.txt and cmdline.txt.\n\
    Start the device with the card: it enrolls by itself, and edgeseal-result.txt beside the join file says how that went.\n\n\
    Examples:\n  edgeseal prepare-card /media/$USER/bootfs --device pump-1 --role pump\n  \
    edgeseal prepare-card /media/$USER/bootfs --device pump-1 --role pump --gateway --cloud-init \\\n    \
    --package edgeseal-agent_0.1.0_arm64.deb"
)]
pub(crate) struct Args {
    /// Where the boot partition of the card is mounted
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Id of the device
    #[arg(long, value_name = "ID", value_parser = DeviceId::parse)]
    device: DeviceId,
    /// Role of the device
    #[arg(long = "role", value_name = "ROLE", value_parser = RoleName::parse, required = true)]
    roles: Vec<RoleName>,
    /// Group that the device is in
    #[arg(long = "group", value_name = "GROUP", value_parser = GroupName::parse)]
    groups: Vec<GroupName>,
    /// The only board that may use the card
    #[arg(long)]
    serial: Option<String>,
    /// How long the card can be used, by the registrar's clock
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "7d")]
    expires: u64,
    /// Name that the device logs in to the broker with
    #[arg(long, value_name = "NAME")]
    device_username: Option<String>,
    /// Its first line is the password that the device logs in with
    #[arg(long, value_name = "FILE", requires = "device_username")]
    device_password_file: Option<PathBuf>,
    /// Package of the agent to put onto the card
    #[arg(long, value_name = "DEB")]
    package: Option<PathBuf>,
    /// Write a configuration with a gateway to the broker, for the topics of the role
    #[arg(long)]
    gateway: bool,
    /// Write user-data for cloud-init, which installs all of it at first boot (Raspberry Pi OS Trixie)
    #[arg(long)]
    cloud_init: bool,
    /// Overwrite what another run or the image has put there, and take a directory that looks like no boot partition
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    signing: Signing,
}

/// Writes the card. Nothing is written, and no token made, before everything was judged.
///
/// # Errors
/// The directory, the clock, the keys, a role or group that is not defined, or no broker.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let partition = Partition::judge(&args.dir, args.force)?;
    let package = args.package.as_deref().map(card::read_package);
    let package = package.transpose()?;
    keys::judge_place(&args.dir, &context.registry)?;
    let registry = context.open(Access::Edit)?;
    let now = judged_clock(args.signing.unsynchronized_clock)?;
    let terms = Terms {
        roles: &args.roles,
        groups: &args.groups,
        expires: args.expires,
        username: args.device_username.as_deref(),
        password_file: args.device_password_file.as_deref(),
    };
    let press = Press::new(&terms, &args.signing, &registry, now)?;
    approval::note(&registry, &args.roles, context.style);
    let for_device = Card {
        device: Some(args.device.clone()),
        serial: args.serial.clone(),
    };
    let (token, join_file) = press.one(&for_device)?;
    let id = token.id;

    let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
    files.push(("README.txt", texts::readme(args, &id)));
    files.push(("install.sh", texts::INSTALL.into()));
    if args.gateway {
        let topics = topics(args, &registry)?;
        let broker = press.broker();
        files.push(("agent.toml", texts::agent_config(broker, &topics)));
        if let Some(ca) = &broker.ca {
            files.push(("broker-ca.pem", ca.clone().into_bytes()));
        }
    }
    if let Some((name, octets)) = &package {
        files.push((name, octets.clone()));
    }
    let mut tokens = registry.tokens()?;
    tokens.put(token);
    registry.save_tokens(&mut tokens)?;
    partition.write(&files, &join_file)?;
    let user_data = match args.cloud_init {
        true => Some(partition.write_user_data(texts::USER_DATA, args.force)?),
        false => None,
    };
    Ok(report(args, &id.to_string(), package.is_some(), user_data))
}

/// What the roles let the device publish, for its programs.
fn topics(args: &Args, registry: &Registry) -> Result<Vec<String>> {
    let mut topics = std::collections::BTreeSet::new();
    for role in &args.roles {
        let grants = registry.role(role)?.grants.iter();
        topics.extend(grants.flat_map(|grant| grant.publish.iter().map(ToString::to_string)));
    }
    if topics.is_empty() {
        let reason = "the roles grant nothing to publish: a gateway would refuse everything";
        return Err(CommandError::no("grants-nothing", reason).hint(
            "edgeseal role grant ROLE --publish FILTER --audience A, or leave --gateway out",
        ));
    }
    Ok(topics.into_iter().collect())
}

fn report(args: &Args, id: &str, has_package: bool, user_data: Option<bool>) -> Report {
    let dir = args.dir.display();
    let mut text = format!(
        "the card in {dir} is for {}, usable for {}\n",
        args.device,
        duration::show(args.expires)
    );
    match (has_package, user_data) {
        (true, Some(true)) => {
            text.push_str("at first boot cloud-init installs the agent, and the device enrolls\n");
        }
        (_, Some(false)) => {
            text.push_str("user-data is there already and was left alone. Add these lines to it:\n\n");
            text.push_str(texts::USER_DATA_LINES);
            text.push_str("\n(where it has runcmd: already, the last line belongs below that)\n");
        }
        (false, Some(true)) => text.push_str(
            "put the agent's package into its folder edgeseal, too: it is installed from there at first boot\n",
        ),
        (_, None) => text.push_str(
            "the agent is taken for installed on the card; to have it installed: --package FILE --cloud-init\n",
        ),
    }
    text.push_str(
        "eject it, start the device with it, and read edgeseal/edgeseal-result.txt on it if the device does not come.\n\
         It enrolls while this runs: edgeseal registrar serve --keys DIR",
    );
    let user_data = user_data.map(|written| if written { "written" } else { "left" });
    let json = json!({ "device": args.device, "dir": args.dir, "id": id, "user_data": user_data,
        "lines": texts::USER_DATA_LINES });
    Report::new(text, json)
}
