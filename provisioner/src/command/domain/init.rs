//! `edgeseal domain init`.

use crate::clock;
use crate::command::Context;
use crate::error::{CommandError, Result};
use crate::keys::{self, Passphrase, PassphraseSource, Purpose};
use crate::registry::Registry;
use crate::render::{Report, big_words, bold};
use edgeseal_trust::document::{Authority, DocumentRejection, DocumentType, Root, sign};
use edgeseal_trust::id::TrustDomain;
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::limits;
use edgeseal_trust::words::Words;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "The keys directory is made with mode 0700. It may lie neither in the registry nor in a git\n\
    work tree; best on a medium that is kept offline.\n\n\
    Examples:\n  edgeseal domain init farm --keys /media/usb/farm-keys\n  \
    edgeseal domain init farm --keys ~/farm-keys --root-keys 3 --root-threshold 2 --passphrase-file pass.txt"
)]
pub(crate) struct Args {
    /// Name of the trust domain
    #[arg(value_parser = TrustDomain::parse)]
    name: TrustDomain,
    /// Directory for the private keys
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// Number of root keys
    #[arg(long, value_name = "N", default_value_t = 1)]
    root_keys: u32,
    /// How many root keys must sign a root
    #[arg(long, value_name = "K", default_value_t = 1)]
    root_threshold: u32,
    /// Number of registrar keys
    #[arg(long, value_name = "N", default_value_t = 1)]
    registrar_keys: u32,
    /// How many registrar keys must sign a manifest
    #[arg(long, value_name = "K", default_value_t = 1)]
    registrar_threshold: u32,
    /// How many days the root is valid
    #[arg(long, value_name = "DAYS", default_value_t = 3650, value_parser = clap::value_parser!(u64).range(1..=36_500))]
    root_days: u64,
    /// How many days a manifest is valid unless `publish` says otherwise
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=3650))]
    manifest_days: u64,
    /// Its first line is the passphrase of the keys; without it you are asked
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Its first line is the passphrase of the registrar keys, where it is another one
    #[arg(long, value_name = "FILE", conflicts_with = "no_passphrase")]
    registrar_passphrase_file: Option<PathBuf>,
    /// Leave the registrar keys without a passphrase; root keys always have one
    #[arg(long)]
    no_passphrase: bool,
    /// Leave the root keys without one too: for the demonstration only
    #[arg(long, hide = true, requires = "no_passphrase")]
    demo: bool,
}

/// Makes a trust domain. Everything is judged before the first file is written, and a failure
/// takes back the key files that this run made.
///
/// # Errors
/// Keys or registry exist, the keys would lie in the registry or a git work tree, or a threshold
/// cannot be reached.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    args.judge()?;
    keys::judge_place(&args.keys, &context.registry)?;
    Registry::judge_absent(&context.registry)?;
    args.judge_absent_keys()?;
    let passphrases = args.passphrases()?;
    let root_keys = generate(args.root_keys)?;
    let registrar_keys = generate(args.registrar_keys)?;
    let document = args.signed_root(&root_keys, &registrar_keys)?;

    keys::make_directory(&args.keys)?;
    let mut made = Vec::new();
    let written = write_keys(
        args,
        Purpose::Root,
        &root_keys,
        &passphrases.root,
        &mut made,
    )
    .and_then(|()| {
        let passphrase = &passphrases.registrar;
        write_keys(
            args,
            Purpose::Registrar,
            &registrar_keys,
            passphrase,
            &mut made,
        )
    })
    .and_then(|()| crate::registry::sync_directory(&args.keys))
    .and_then(|()| {
        let days = args.manifest_days;
        Registry::create(&context.registry, &args.name, days, &document)
    });
    if let Err(why) = written {
        for path in made {
            // Keys of a domain that was not made are worth nothing; one that stays is refused
            // by the next run, by name.
            let _ = std::fs::remove_file(path);
        }
        return Err(why);
    }
    Ok(report(args, context, &Words::of_root(&document)))
}

struct Passphrases {
    root: Option<Passphrase>,
    registrar: Option<Passphrase>,
}

impl Args {
    fn judge(&self) -> Result<()> {
        for (what, keys, threshold) in [
            ("root", self.root_keys, self.root_threshold),
            ("registrar", self.registrar_keys, self.registrar_threshold),
        ] {
            let most = u32::try_from(limits::AUTHORITY_KEYS).unwrap_or(u32::MAX);
            if keys == 0 || keys > most {
                let reason = format!("--{what}-keys is 1 to {most}");
                return Err(CommandError::usage("key-count", reason));
            }
            if threshold == 0 || threshold > keys {
                let reason =
                    format!("--{what}-threshold is 1 to the number of {what} keys, {keys}");
                return Err(CommandError::usage("threshold-impossible", reason));
            }
        }
        Ok(())
    }

    fn judge_absent_keys(&self) -> Result<()> {
        for (purpose, count) in [
            (Purpose::Root, self.root_keys),
            (Purpose::Registrar, self.registrar_keys),
        ] {
            for number in numbers(count) {
                let path = keys::path_of(&self.keys, purpose, number);
                if path.symlink_metadata().is_ok() {
                    let reason = format!("{} exists", path.display());
                    return Err(CommandError::no("keys-exist", reason).hint(
                        "a key that is overwritten is lost: choose another directory with --keys",
                    ));
                }
            }
        }
        Ok(())
    }

    fn passphrases(&self) -> Result<Passphrases> {
        let source = |file: &Option<PathBuf>| {
            file.clone()
                .map_or(PassphraseSource::Terminal, PassphraseSource::File)
        };
        let root = if self.demo {
            None
        } else {
            Some(source(&self.passphrase_file).choose("the root keys")?)
        };
        let registrar = match (&self.registrar_passphrase_file, &self.passphrase_file) {
            _ if self.no_passphrase => None,
            (None, Some(_)) => root.clone(),
            (file, _) => Some(source(file).choose("the registrar keys")?),
        };
        Ok(Passphrases { root, registrar })
    }

    fn signed_root(&self, root: &[SigningKey], registrar: &[SigningKey]) -> Result<Vec<u8>> {
        let refused = |why: DocumentRejection| CommandError::no(why.code(), why.to_string());
        let authority = |threshold, keys: &[SigningKey]| {
            let keys = keys.iter().map(|key| key.public().clone()).collect();
            Authority::new(threshold, keys).map_err(refused)
        };
        let now = clock::now();
        let content = Root {
            domain: self.name.clone(),
            version: 1,
            issued_at: now,
            expires_at: now.plus(self.root_days.saturating_mul(DAY)),
            root: authority(self.root_threshold, root)?,
            registrar: authority(self.registrar_threshold, registrar)?,
        };
        let payload = content.to_payload().map_err(refused)?;
        let signers: Vec<&SigningKey> = root.iter().collect();
        Ok(sign(DocumentType::Root, &payload, &signers))
    }
}

fn generate(count: u32) -> Result<Vec<SigningKey>> {
    numbers(count).map(|_| keys::generate()).collect()
}

fn write_keys(
    args: &Args,
    purpose: Purpose,
    keys: &[SigningKey],
    passphrase: &Option<Passphrase>,
    made: &mut Vec<PathBuf>,
) -> Result<()> {
    for (number, key) in (1_usize..).zip(keys) {
        let path = keys::path_of(&args.keys, purpose, number);
        keys::write_new(&path, key, passphrase.as_ref())?;
        made.push(path);
    }
    Ok(())
}

fn report(args: &Args, context: &Context, words: &Words) -> Report {
    let words = words.to_string();
    let (name, keys) = (&args.name, args.keys.display());
    let shown = |path: &Path| path.display().to_string();
    let text = format!(
        "trust domain {name}: registry {}, keys in {keys}\n\n\
         The words of its root. Each device is told them once, by a person:\n\n{}\n\n  \
         edgeseal-agent trust apply bundle.edgeseal --root \"{words}\"\n\n\
         Keep a copy of {keys} offline: without the root keys the domain cannot be repaired.\n\
         Next: edgeseal role add, edgeseal device add, edgeseal publish --keys {keys}",
        shown(&context.registry),
        bold(context.style, &big_words(&words)),
    );
    let json = json!({
        "domain": name,
        "registry": shown(&context.registry),
        "keys": shown(&args.keys),
        "root_words": words,
        "root_version": 1,
    });
    Report::new(text, json)
}

fn numbers(count: u32) -> impl Iterator<Item = usize> {
    1..=usize::try_from(count).unwrap_or(0)
}

const DAY: u64 = 86_400;
