//! `edgeseal join create`.

use super::press::{Card, Press, Terms};
use crate::command::registrar::judged_clock;
use crate::command::{Context, Signing, approval, duration};
use crate::error::Result;
use crate::keys;
use crate::registry::{Access, Batch, Registry, replace_file};
use crate::render::{Report, progress};
use edgeseal_trust::enrollment::JoinId;
use edgeseal_trust::id::{DeviceId, GroupName, RoleName};
use edgeseal_trust::time::UnixTime;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "One file a card: copy it to the boot partition, as edgeseal/join.json. Whoever has a file can enroll one \
    device\nwith it, so hand files out like keys.\n\n\
    Examples:\n  edgeseal join create --role sensor --count 5 --out cards\n  \
    edgeseal join create --role pump --device pump-1 --serial 10000000abcdef01 --out cards\n  \
    edgeseal join create --expected --expires 90d --out cards"
)]
pub(crate) struct Args {
    /// Role of the device
    #[arg(long = "role", value_name = "ROLE", value_parser = RoleName::parse, required_unless_present = "expected")]
    roles: Vec<RoleName>,
    /// Group that the device is in
    #[arg(long = "group", value_name = "GROUP", value_parser = GroupName::parse)]
    groups: Vec<GroupName>,
    /// The only device that may use the file; without it the device chooses its id
    #[arg(long, value_name = "ID", value_parser = DeviceId::parse)]
    device: Option<DeviceId>,
    /// The only board that may use the file
    #[arg(long)]
    serial: Option<String>,
    /// How many files
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with_all = ["device", "serial"],
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// One file for each device that `device add --csv` has preauthorized and that has none yet
    #[arg(long, conflicts_with_all = ["device", "serial", "count"])]
    expected: bool,
    /// How long the files can be used, by the registrar's clock
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "7d")]
    expires: u64,
    /// Directory to write them into
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Name that the devices log in to the broker with
    #[arg(long, value_name = "NAME")]
    device_username: Option<String>,
    /// Its first line is the password that the devices log in with
    #[arg(long, value_name = "FILE", requires = "device_username")]
    device_password_file: Option<PathBuf>,
    #[command(flatten)]
    signing: Signing,
}

/// Makes join files. A token is in the registry, on disk, before its file is written: a file that exists counts.
///
/// # Errors
/// The clock, the keys, a role or group that is not defined, no broker, or the directory.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let registry = context.open(Access::Edit)?;
    keys::judge_place(&args.out, &context.registry)?;
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
    let cards = args.cards(&registry, now)?;
    keys::make_directory(&args.out)?;
    let made = all(args, &press, &cards, context)?;
    replace_file(&args.out.join("README.txt"), instructions(&made).as_bytes())?;
    Ok(report(args, &made))
}

impl Args {
    fn cards(&self, registry: &Registry, now: UnixTime) -> Result<Vec<Card>> {
        if !self.expected {
            let card = |_| Card {
                device: self.device.clone(),
                serial: self.serial.clone(),
            };
            return Ok((0..self.count).map(card).collect());
        }
        let tokens = registry.tokens()?;
        let has_one: std::collections::HashSet<&DeviceId> = tokens
            .iter()
            .filter(|token| token.revoked_at.is_none() && token.expires_at > now)
            .filter_map(|token| token.device.as_ref())
            .collect();
        let expected = registry.devices().values();
        let expected =
            expected.filter(|device| device.is_expected() && !has_one.contains(&device.id));
        Ok(expected
            .map(|device| Card {
                device: Some(device.id.clone()),
                serial: device.serial.clone(),
            })
            .collect())
    }
}

/// Makes them in portions: thousands are not lost because of one.
fn all(
    args: &Args,
    press: &Press<'_>,
    cards: &[Card],
    context: &Context,
) -> Result<Vec<(JoinId, Option<DeviceId>)>> {
    let bar = progress(context.style, cards.len(), "join files");
    let mut tokens = press.registry().tokens()?;
    let mut made = Vec::with_capacity(cards.len());
    for portion in cards.chunks(PORTION) {
        let mut files = BTreeMap::new();
        for card in portion {
            let (token, file) = press.one(card)?;
            made.push((token.id, token.device.clone()));
            files.insert(token.id, file);
            tokens.put(token);
        }
        press.registry().save_tokens(&mut tokens)?;
        let mut batch = Batch::new(&args.out)?.private();
        for (id, file) in &files {
            batch.add(&file_name(id), file)?;
            bar.inc(1);
        }
        batch.commit()?;
    }
    bar.finish_and_clear();
    Ok(made)
}

fn file_name(id: &JoinId) -> String {
    format!("join-{id}.json")
}

fn instructions(made: &[(JoinId, Option<DeviceId>)]) -> String {
    let mut text = format!(
        "{} join files, one for each card.\n\n\
         1. Write the operating system with edgeseal-agent to the card.\n\
         2. Copy ONE of these files to the boot partition of the card, as edgeseal/join.json\n   \
            (on the running device: /boot/firmware/edgeseal/join.json).\n\
         3. Put the card in and switch on. The device makes its key, enrolls, and deletes the file.\n\n\
         A file enrolls one device, once. Whoever has it can do that: keep the files as you keep keys, never in git, and\n\
         delete them here once the cards are written. Lost one: edgeseal join revoke ID.\n\
         What was used, and what was refused: edgeseal join list.\n",
        made.len()
    );
    for (id, device) in made {
        if let Some(device) = device {
            text.push_str(&format!("\n{}  {device}", file_name(id)));
        }
    }
    text
}

fn report(args: &Args, made: &[(JoinId, Option<DeviceId>)]) -> Report {
    let (count, out) = (made.len(), args.out.display().to_string());
    let text = format!(
        "{count} join files in {out}, usable for {}. Read {out}/README.txt.\n\
         They enroll while this runs: edgeseal registrar serve --keys DIR",
        duration::show(args.expires)
    );
    let files: Vec<Value> = made
        .iter()
        .map(|(id, device)| json!({ "id": id, "file": file_name(id), "device": device }))
        .collect();
    Report::new(text, json!({ "out": out, "files": files }))
}

/// Tokens that are made durable at once.
const PORTION: usize = 500;
