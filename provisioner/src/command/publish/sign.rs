//! `edgeseal publish sign`.

use super::{changes, signers};
use crate::command::{Context, Signing};
use crate::confirm;
use crate::error::{CommandError, Result};
use crate::input;
use crate::registry::{Access, Registry, replace_file};
use crate::render::{Report, notice};
use edgeseal_trust::document::{
    Document, DocumentType, Manifest, Root, Unverified, add_signatures,
};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::limits;
use serde_json::json;
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "A copy of the registry beside it (--registry) shows what the manifest changes.\n\n\
    Example:\n  edgeseal publish sign /media/usb/manifest.json --keys /media/usb/second-key"
)]
pub(super) struct Args {
    /// The prepared manifest; the signature is added to it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    signing: Signing,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Adds the signatures of the registrar keys at hand, once somebody has looked at what is signed. Needs no registry; one that is
/// there shows more.
///
/// # Errors
/// No manifest, no key that counts, or nobody confirms it.
pub(super) fn run(args: &Args, context: &Context) -> Result<Report> {
    let octets = input::read(&args.file, limits::MANIFEST_OCTETS)
        .map_err(|why| CommandError::io("read", &args.file, &why))?;
    let manifest = Document::<Manifest>::load(&octets);
    let manifest = manifest.map_err(|why| CommandError::no(why.code(), why.to_string()))?;
    let content = manifest.content();
    let registry = open(context, content)?;
    let root = registry.as_ref().map(Registry::root).transpose()?;
    let root = root.as_ref().map(Document::content);
    let names =
        |key: &SigningKey| root.is_none_or(|root| root.registrar.key(key.public().id()).is_some());
    let keys = signers::open_some(&args.signing, limits::SIGNATURES, names)?;
    if keys.is_empty() {
        let reason = "none of these keys is a registrar key of the newest root";
        return Err(CommandError::no("threshold", reason)
            .hint("--keys names the directory of the domain's registrar keys"));
    }
    let shown = describe(content, registry.as_ref())?;
    if args.yes {
        notice(context.style, &shown);
    } else {
        confirm::ask(&format!("{shown}\nSign it?"))?;
    }
    let keys: Vec<&SigningKey> = keys.iter().collect();
    let signed = add_signatures(&octets, DocumentType::Manifest, &keys);
    let signed = signed.map_err(|why| CommandError::no(why.code(), why.to_string()))?;
    replace_file(&args.file, &signed)?;
    report(args, content, &signed, root)
}

/// A registry of the manifest's domain, where there is one.
fn open(context: &Context, manifest: &Manifest) -> Result<Option<Registry>> {
    match context.open(Access::Read) {
        Ok(registry) if *registry.domain() == manifest.domain => Ok(Some(registry)),
        Ok(registry) => {
            let reason = format!(
                "the manifest is of the domain {}, and this registry of {}",
                manifest.domain,
                registry.domain()
            );
            Err(CommandError::no("domain", reason).hint("name its registry with --registry"))
        }
        Err(why) if why.code == "no-registry" => Ok(None),
        Err(why) => Err(why),
    }
}

fn describe(manifest: &Manifest, registry: Option<&Registry>) -> Result<String> {
    let mut text = format!(
        "{} sequence {} under root version {}: {} roles, {} shards, made on {}, valid until {}",
        manifest.domain,
        manifest.sequence,
        manifest.root_version,
        manifest.roles.len(),
        manifest.shards.len(),
        manifest.issued_at.date(),
        manifest.expires_at.date(),
    );
    let lines = match registry {
        None => vec!["no registry here: what it changes cannot be shown".to_owned()],
        Some(registry) => match changes::between(registry, manifest) {
            Ok(lines) if lines.is_empty() => vec!["it changes no device and no role".to_owned()],
            Ok(lines) => lines,
            Err(why) => vec![format!("what it changes cannot be shown: {why}")],
        },
    };
    let more = lines.len().saturating_sub(SHOWN);
    for line in lines.iter().take(SHOWN) {
        text.push_str("\n  ");
        text.push_str(line);
    }
    if more > 0 {
        text.push_str(&format!("\n  and {more} more"));
    }
    Ok(text)
}

fn report(args: &Args, manifest: &Manifest, signed: &[u8], root: Option<&Root>) -> Result<Report> {
    let document = Unverified::parse(signed, DocumentType::Manifest);
    let document = document.map_err(|why| CommandError::no(why.code(), why.to_string()))?;
    let kids: Vec<String> = document.kids().map(|kid| kid.to_string()).collect();
    let file = args.file.display();
    let needed = root.map(|root| root.registrar.threshold());
    let of = needed.map_or_else(String::new, |needed| format!(" of {needed}"));
    let text = format!(
        "{file}: {}{of} signatures\nOnce it has all of them: edgeseal publish --signed {file}",
        kids.len()
    );
    let json = json!({
        "file": file.to_string(),
        "domain": manifest.domain,
        "sequence": manifest.sequence,
        "signed_by": kids,
        "needed": needed,
    });
    Ok(Report::new(text, json))
}

const SHOWN: usize = 40;
