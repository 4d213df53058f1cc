//! `edgeseal restore`.

use super::behind::Behind;
use super::pack::{self, Entry, KEYS, REGISTRY};
use super::sealed;
use super::seen::Seen;
use crate::command::root::source;
use crate::command::{Context, Reach};
use crate::error::{CommandError, Result};
use crate::keys;
use crate::registry::{Access, Registry, sync_directory};
use crate::render::Report;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "The broker of the registry is asked how far the domain has come; give --bundle with a file from any\n\
    device (edgeseal-agent trust export) as well. A backup that is behind is refused: what was revoked since would\n\
    come back with the next publish. Is there no newer one, --catch-up restores it so that no sequence is signed twice.\n\n\
    Examples:\n  edgeseal restore farm.backup --registry farm\n  \
    edgeseal restore farm.backup --registry farm --keys ~/farm-keys --bundle from-pump-1.edgeseal --catch-up"
)]
pub(crate) struct Args {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Directory for the private keys, where the backup has some
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Its first line is the passphrase of the backup; without it you are asked
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// A bundle that devices have, to see how far the domain has come
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
    /// Do not ask the broker
    #[arg(long)]
    offline: bool,
    /// Restore although it is behind: with the newer roots, and a next sequence above everything found
    #[arg(long)]
    catch_up: bool,
}

/// Restores a registry: into a directory beside its place, judged as a whole, then put there by one
/// rename.
///
/// # Errors
/// The backup, its passphrase, what is there already, or that it is behind.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let target = &context.registry;
    let secret = source(args.passphrase_file.as_ref());
    let plain = sealed::open(&args.file, || secret.ask("the backup"))?;
    let (about, entries) = pack::unpack(&plain)?;
    let (files, key_files): (Vec<Entry>, Vec<Entry>) = entries
        .into_iter()
        .partition(|entry| entry.name.starts_with(REGISTRY));
    if let Some(dir) = &args.keys {
        judge_keys(dir, target, &key_files)?;
    }
    let beside = parent(target);
    let place = tempfile::Builder::new()
        .prefix(".edgeseal-restore-")
        .tempdir_in(&beside)
        .map_err(|why| CommandError::io("restore beside", target, &why))?;
    let restored = place.path().join(REGISTRY);
    for file in &files {
        write(&place.path().join(&file.name), &file.octets)?;
    }
    let mut registry = Registry::open(&restored, Access::Edit)?;
    let seen = args.seen(target, &registry)?;
    let behind = Behind::of(&registry, &seen)?;
    args.judge(&behind)?;
    if target.join("domain.json").exists() {
        Registry::judge_absent(target).map_err(|why| {
            why.hint("move it away first, or restore into another directory with --registry")
        })?;
    }
    for root in &behind.roots {
        registry.keep_root(root)?;
    }
    if behind.is_behind() {
        registry.reserve(behind.free.saturating_sub(1))?;
        registry.skip_numbers();
        registry.save()?;
    }
    drop(registry);
    std::fs::rename(&restored, target)
        .map_err(|why| CommandError::io("put the registry into", target, &why))?;
    sync_directory(&beside)?;
    let keys = restore_keys(args.keys.as_deref(), &key_files)?;
    let mut text = format!(
        "{}: the registry of {}, as it was on {} at sequence {}",
        target.display(),
        about.domain,
        about.made_at.date(),
        about.sequence
    );
    text.push_str(&match (key_files.len(), &args.keys) {
        (0, _) => "\nno private key was in the backup".to_owned(),
        (count, None) => {
            format!("\n{count} private keys are in the backup: give --keys DIR to get them")
        }
        (_, Some(dir)) => format!("\n{keys} private keys are in {}", dir.display()),
    });
    let free = behind.free;
    text.push_str(&if behind.is_behind() {
        format!(
            "\nIt is BEHIND what devices have. Do again what was decided since (edgeseal device list; edgeseal history), then:\n  \
             edgeseal publish --sequence {free} --keys DIR"
        )
    } else if seen.is_empty() {
        "\nWhether it is behind is not known: compare it with a device (edgeseal-agent status), or restore with --bundle."
            .to_owned()
    } else {
        "\nNothing newer was found. Next: edgeseal status".to_owned()
    });
    let json = json!({
        "registry": target,
        "domain": about.domain,
        "made_at": about.made_at,
        "sequence": about.sequence,
        "behind": behind.is_behind(),
        "compared": seen.len(),
        "next_sequence": free,
        "keys": keys,
    });
    Ok(Report::new(text, json))
}

impl Args {
    fn seen(&self, target: &Path, registry: &Registry) -> Result<Vec<Seen>> {
        let mut seen = Vec::new();
        if target.join("domain.json").exists() {
            let existing = Registry::open(target, Access::Read)?;
            if existing.domain() != registry.domain() {
                let (old, new) = (existing.domain(), registry.domain());
                let reason = format!(
                    "{} is the registry of {old}, this backup of {new}",
                    target.display()
                );
                return Err(CommandError::no("registry-exists", reason)
                    .hint("restore into another directory with --registry"));
            }
            seen.push(Seen::registry(&existing, target)?);
        }
        if let Some(bundle) = &self.bundle {
            seen.push(Seen::bundle(bundle)?);
        }
        if self.offline {
            return Ok(seen);
        }
        if let Some(endpoint) = self.reach.endpoint(registry)? {
            seen.push(Seen::broker(&endpoint, registry).map_err(|why| {
                why.hint("give --offline, and --bundle with a file of a device, to go on without the broker")
            })?);
        }
        Ok(seen)
    }

    fn judge(&self, behind: &Behind) -> Result<()> {
        if self.catch_up || !behind.is_behind() {
            return Ok(());
        }
        let what = match (&behind.ahead, behind.roots.last()) {
            (Some((root, sequence, place)), _) => {
                format!("{place} has root version {root} sequence {sequence}")
            }
            (None, Some(root)) => format!("there is a root version {}", root.content().version),
            (None, None) => return Ok(()),
        };
        let free = behind.free;
        let reason = format!("{what}: this backup is older. Nothing was restored");
        Err(CommandError::no("restore-behind", reason).hint(format!(
            "take a newer backup or copy of the registry. If there is none: restore with --catch-up, do again what was \
             decided since, then edgeseal publish --sequence {free}"
        )))
    }
}

fn judge_keys(dir: &Path, registry: &Path, files: &[Entry]) -> Result<()> {
    keys::judge_place(dir, registry)?;
    for file in files {
        let path = key_path(dir, file);
        if path.symlink_metadata().is_ok() {
            let reason = format!("{} exists", path.display());
            return Err(CommandError::no("keys-exist", reason)
                .hint("a key that is overwritten is lost: choose another directory with --keys"));
        }
    }
    Ok(())
}

fn restore_keys(dir: Option<&Path>, files: &[Entry]) -> Result<usize> {
    let (Some(dir), false) = (dir, files.is_empty()) else {
        return Ok(0);
    };
    keys::make_directory(dir)?;
    for file in files {
        write(&key_path(dir, file), &file.octets)?;
    }
    sync_directory(dir)?;
    Ok(files.len())
}

fn key_path(dir: &Path, file: &Entry) -> PathBuf {
    dir.join(file.name.strip_prefix(KEYS).unwrap_or(&file.name))
}

fn write(path: &Path, octets: &[u8]) -> Result<()> {
    let failed = |why| CommandError::io("write", path, &why);
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    let mode = if path.extension().is_some_and(|extension| extension == "pem") {
        0o600
    } else {
        0o644
    };
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(failed)?;
    file.write_all(octets)
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}
