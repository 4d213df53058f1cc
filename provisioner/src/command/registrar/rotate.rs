//! `edgeseal registrar rotate`.

use crate::command::publish::{Fleet, Outcome, Wish, changed_devices, older, sign_next};
use crate::command::root::{
    Change, Completed, PreparedRoot, RootSigning, accepted, changes, complete, default_path,
    next_root, no_root_key, parse_kid, report, source, waiting,
};
use crate::command::{Context, Signing};
use crate::error::{CommandError, Result};
use crate::keys::{NewKeys, Purpose};
use crate::registry::{Access, Registry};
use crate::render::Report;
use crate::{clock, confirm};
use edgeseal_trust::document::{Document, Manifest, Root};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "The root keys must be at hand, or some of them: then the root waits in a file for the others\n\
    (edgeseal root sign, edgeseal root accept).\n\n\
    Examples:\n  edgeseal registrar rotate --keys ~/farm-keys --keys /media/usb/root\n  \
    edgeseal registrar rotate --keys ~/farm-keys --keys /media/usb/root --compromised\n  \
    edgeseal registrar rotate --keys ~/farm-keys --keys /media/usb/root --compromised --from 41"
)]
pub(crate) struct Args {
    /// The new key goes into the first directory
    #[command(flatten)]
    signing: RootSigning,
    /// Directory for the new key; by default the first of --keys
    #[arg(long, value_name = "DIR")]
    new_keys: Option<PathBuf>,
    /// The key that goes, where there are several
    #[arg(long, value_name = "KID", value_parser = parse_kid)]
    replace: Option<KeyId>,
    /// Add the new key and let the old ones be
    #[arg(long, conflicts_with_all = ["replace", "compromised"])]
    keep_old: bool,
    /// Somebody else has the old key: say what to check, and sign the content of the last publish of
    /// this registry under the new root at once
    #[arg(long)]
    compromised: bool,
    /// With --compromised: sign the content of this sequence instead, the last honest publish before those of a thief in this registry
    #[arg(long, value_name = "N", requires = "compromised")]
    from: Option<u64>,
    /// Its first line is the passphrase of the new key; by default that of --passphrase-file
    #[arg(long, value_name = "FILE", conflicts_with = "no_passphrase")]
    new_passphrase_file: Option<PathBuf>,
    /// Leave the new key without a passphrase
    #[arg(long)]
    no_passphrase: bool,
    /// How many days the root is valid
    #[arg(long, value_name = "DAYS", default_value_t = 3650, value_parser = clap::value_parser!(u64).range(1..=36_500))]
    days: u64,
    /// File for a root that waits for signatures
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Sign although the kernel does not call this clock synchronized
    #[arg(long)]
    unsynchronized_clock: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Makes a registrar key and the root that names it. What the old key signed under the root before
/// stays valid for devices until they have the new root; the next publish brings it to them.
///
/// # Errors
/// The key to replace is not clear, no root key is at hand, or the answer is no.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let before = registry.root()?;
    let old = before.content();
    // It is judged under the roots as they are, before anything is made.
    let older = args.from.map(|from| older(&registry, from)).transpose()?;
    let dir = match &args.new_keys {
        Some(dir) => dir.clone(),
        None => args.signing.first_directory()?,
    };
    let new = NewKeys::make(&dir, &context.registry, Purpose::Registrar, 1)?;
    let registrar = Change {
        add: new.public().collect(),
        remove: args.replaced(old)?,
        threshold: None,
    };
    let after = next_root(old, &Change::default(), &registrar, clock::now(), args.days)?;
    let path = args.to.clone().unwrap_or(default_path(after.version));
    let what = changes(old, &after);
    if !args.yes {
        confirm::ask(&format!("{}\nMake this root?", what.join("\n")))?;
    }
    let at_hand = args.signing.open(|kid| old.root.key(kid).is_some())?;
    if at_hand.is_empty() {
        return Err(no_root_key(&args.signing.keys));
    }
    let secret = args.new_passphrase_file.as_ref();
    let secret = source(secret.or(args.signing.passphrase_file.as_ref()));
    let made = new.write(|| match args.no_passphrase {
        true => Ok(None),
        false => secret.choose("the new registrar key").map(Some),
    })?;
    let outcome = made.keep_if(|_| {
        let prepared = PreparedRoot::new(before.clone(), after, &at_hand)?;
        complete(&mut registry, &prepared, &path)
    })?;
    match outcome {
        Completed::Waits(path, progress) if args.compromised => {
            let mut said = waiting(&path, &progress, &what);
            let from = args.from.map(|from| format!(" --from {from}"));
            let afterwards = AFTERWARDS.replace(" --from", &from.unwrap_or_default());
            let _ = write!(said.text, "\n\n{}", afterwards.trim_end());
            Ok(said)
        }
        Completed::Waits(path, progress) => Ok(waiting(&path, &progress, &what)),
        Completed::Accepted(root) if args.compromised => {
            args.recover(&mut registry, context, (&root, &what, dir), older)
        }
        Completed::Accepted(root) => Ok(report(context, &root, &what)),
    }
}

impl Args {
    fn replaced(&self, old: &Root) -> Result<Vec<KeyId>> {
        if self.keep_old {
            return Ok(Vec::new());
        }
        match (self.replace, old.registrar.keys()) {
            (Some(kid), _) => Ok(vec![kid]),
            (None, [only]) => Ok(vec![only.id()]),
            (None, several) => {
                let reason = format!("{} registrar keys, and none is named", several.len());
                Err(CommandError::usage("key-not-named", reason).hint(
                    "--replace KID names the one that goes (edgeseal root show), or --keep-old",
                ))
            }
        }
    }

    /// Signs the content of the last publish of this registry under the new root, and says what a
    /// thief may have changed besides.
    fn recover(
        &self,
        registry: &mut Registry,
        context: &Context,
        (root, what, dir): (&Document<Root>, &[String], PathBuf),
        older: Option<Manifest>,
    ) -> Result<Report> {
        // What the registry has since then may be the thief's: publishing it is not what comes next.
        let mut said = accepted(context, root, what);
        let Some(last) = registry.manifest()? else {
            let _ = write!(said.text, "\n\nNothing was published yet.\n{CHECKS}");
            return Ok(said);
        };
        let content = older.as_ref().unwrap_or(last.content());
        let fleet = Fleet::of(registry, content.shard_count())?;
        let (differing, _) = changed_devices(registry, &fleet, Some(content))?;
        let mut keys = self.signing.keys.clone();
        keys.insert(0, dir);
        let secret = self.new_passphrase_file.clone();
        let signing = Signing {
            keys,
            passphrase_file: secret.or(self.signing.passphrase_file.clone()),
            unsynchronized_clock: self.unsynchronized_clock,
        };
        let wish = Wish {
            yes: self.yes,
            refresh: true,
            older: older.clone(),
            ..Wish::default()
        };
        let (done, state) = match sign_next(registry, &signing, &wish, context.style)? {
            Outcome::Signed(signed) => {
                let sequence = signed.manifest.content().sequence;
                let done = format!(
                    "The content of sequence {} is signed again, as sequence {sequence} under root version {}.\n\
                     Next: edgeseal publish --again, to a file or to the broker.",
                    content.sequence,
                    root.content().version
                );
                (
                    done,
                    json!({ "sequence": sequence, "honest_sequence": content.sequence }),
                )
            }
            Outcome::Prepared(prepared) => (prepared.waits("").to_string(), Value::Null),
        };
        let _ = write!(said.text, "\n\n{done}\n\n{CHECKS}{}", listed(&differing));
        if let Some(object) = said.json.as_object_mut() {
            object.insert("republished".into(), state);
            object.insert("unpublished_devices".into(), json!(differing));
        }
        Ok(said)
    }
}

fn listed(differing: &[DeviceId]) -> String {
    if differing.is_empty() {
        return "\n  No device of this registry differs from that publish.".to_owned();
    }
    let ids = differing.iter().take(SHOWN_DEVICES);
    let ids: Vec<String> = ids.map(ToString::to_string).collect();
    let count = differing.len();
    format!(
        "\n  {count} devices of this registry differ from that publish, and are NOT in it: {}{}",
        ids.join(" "),
        if count > SHOWN_DEVICES { " ..." } else { "" }
    )
}

const CHECKS: &str = "\
Check before you publish anything else:
  1. Is this registry the honest one? Compare it with git or a backup from before the theft: edgeseal history.
  2. Did the thief approve devices, change keys, roles or groups? edgeseal device list, edgeseal role list.
  3. Join files that the old key signed are void: edgeseal join list, then make new ones.
  4. Change the password with which the old machine logged in at the broker.
  5. Devices that applied a manifest of the thief follow the new root and take this one in its place.";
const AFTERWARDS: &str = "\
Once it is accepted: edgeseal publish --refresh --from signs the honest content again, under the new key.
Until then every device believes what the old key signs.";
const SHOWN_DEVICES: usize = 10;
