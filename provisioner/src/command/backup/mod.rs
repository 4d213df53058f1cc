//! `edgeseal backup` and `edgeseal restore`: the registry in one encrypted file.

mod behind;
mod pack;
pub(crate) mod restore;
mod sealed;
mod seen;

use super::Context;
use crate::clock;
use crate::command::root::source;
use crate::error::Result;
use crate::keys::{self, Purpose};
use crate::registry::{Access, BackedUp, replace_file};
use crate::render::Report;
use pack::{About, Entry};
use serde_json::json;
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "The registry holds no private key; --with-keys puts those of DIR into the file as well, as they are (each\n\
    still under its own passphrase). Keep such a file as you keep the keys.\n\n\
    Examples:\n  edgeseal backup farm.backup\n  edgeseal backup farm.backup --with-keys ~/farm-keys --passphrase-file pass.txt"
)]
pub(crate) struct Args {
    /// File to write; an older backup there is replaced
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Include the key files of this directory
    #[arg(long, value_name = "DIR")]
    with_keys: Option<PathBuf>,
    /// Its first line is the passphrase of the backup; without it you are asked
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Writes a backup: at once or not at all.
///
/// # Errors
/// The registry, the keys, the passphrase, or the file.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    sealed::judge_target(&args.file)?;
    let registry = context.open(Access::Read)?;
    let passphrase = source(args.passphrase_file.as_ref()).choose("the backup")?;
    let mut entries: Vec<Entry> = pack::collect(&context.registry)?;
    let mut keys = 0_usize;
    if let Some(dir) = &args.with_keys {
        for purpose in [Purpose::Root, Purpose::Registrar] {
            let found = match keys::find(std::slice::from_ref(dir), purpose) {
                Err(why) if why.code == "no-keys" => Vec::new(),
                found => found?,
            };
            keys = keys.saturating_add(found.len());
            for path in found {
                entries.push(pack::key(&path)?);
            }
        }
    }
    let last = registry.manifest()?;
    let last = last.as_ref().map(|last| last.content());
    let about = About {
        edgeseal_backup: pack::FORMAT,
        domain: registry.domain().clone(),
        made_at: clock::now(),
        root_version: registry.root()?.content().version,
        sequence: last.map_or(0, |last| last.sequence),
    };
    let files = entries.len();
    let octets = sealed::seal(&pack::pack(&about, entries)?, &passphrase)?;
    replace_file(&args.file, &octets)?;
    let last = BackedUp {
        at: about.made_at,
        root_version: about.root_version,
        sequence: about.sequence,
    };
    // A registry on a medium that nobody can write is backed up all the same; only `doctor` does not know.
    let _ = registry.keep_backed_up(&last);
    let file = args.file.display();
    let with = match keys {
        0 => "no private key is in it".to_owned(),
        count => format!("{count} private keys are in it"),
    };
    let text = format!(
        "{file}: the registry of {} at sequence {}, {files} files, {} octets, encrypted; {with}\n\
         Without its passphrase it is worth nothing. Try it: edgeseal restore {file} --registry DIR",
        about.domain,
        about.sequence,
        octets.len()
    );
    let json = json!({
        "file": args.file,
        "domain": about.domain,
        "root_version": about.root_version,
        "sequence": about.sequence,
        "files": files,
        "keys": keys,
        "octets": octets.len(),
    });
    Ok(Report::new(text, json))
}
