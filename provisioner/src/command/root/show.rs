//! `edgeseal root show`.

use crate::clock;
use crate::command::Context;
use crate::error::{CommandError, Result};
use crate::registry::Access;
use crate::render::Report;
use edgeseal_trust::document::{Authority, Document, Root};
use edgeseal_trust::key::VerifyingKey;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::words::Words;
use serde_json::{Value, json};

/// What it is given.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  edgeseal root show\n  edgeseal root show --version 1 --json")]
pub(crate) struct Args {
    /// Only this version; without it every one, the newest last
    #[arg(long, value_name = "N")]
    version: Option<u64>,
}

/// Shows the roots of the registry.
///
/// # Errors
/// There is no such version, or the registry cannot be read.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let registry = context.open(Access::Read)?;
    let roots = registry.roots()?;
    let newest = roots.last().map_or(0, |root| root.content().version);
    let wanted = |root: &&Document<Root>| args.version.is_none_or(|n| n == root.content().version);
    let shown: Vec<&Document<Root>> = roots.iter().filter(wanted).collect();
    if shown.is_empty() {
        let reason = format!("there is no such root; the newest is version {newest}");
        return Err(CommandError::no("root-unknown", reason).hint("edgeseal root show"));
    }
    let now = clock::now();
    let texts: Vec<String> = shown.iter().map(|root| text(root, newest, now)).collect();
    let json: Vec<Value> = shown.iter().map(|root| json(root, newest, now)).collect();
    let json = json!({ "domain": registry.domain(), "newest": newest, "roots": json });
    Ok(Report::new(texts.join("\n\n"), json))
}

fn text(root: &Document<Root>, newest: u64, now: UnixTime) -> String {
    let content = root.content();
    let place = match content.version == newest {
        true => "newest",
        false => "replaced",
    };
    let expiry = match content.expires_at <= now {
        true => "EXPIRED on",
        false => "valid until",
    };
    let keys = |name: &str, authority: &Authority| {
        let (needed, count) = (authority.threshold(), authority.keys().len());
        let kids = authority.keys().iter();
        let kids: Vec<String> = kids.map(|key| format!("    {}", key.id())).collect();
        format!(
            "  {name} keys, {needed} of {count} must sign:\n{}",
            kids.join("\n")
        )
    };
    format!(
        "{} root version {}, {place}\n  words: {}\n  made on {}, {expiry} {}\n{}\n{}",
        content.domain,
        content.version,
        Words::of_root(root.octets()),
        content.issued_at.date(),
        content.expires_at.date(),
        keys("root", &content.root),
        keys("registrar", &content.registrar),
    )
}

fn json(root: &Document<Root>, newest: u64, now: UnixTime) -> Value {
    let content = root.content();
    let authority = |authority: &Authority| {
        let kids: Vec<_> = authority.keys().iter().map(VerifyingKey::id).collect();
        json!({ "threshold": authority.threshold(), "keys": kids })
    };
    json!({
        "version": content.version,
        "newest": content.version == newest,
        "words": Words::of_root(root.octets()).to_string(),
        "iat": content.issued_at,
        "exp": content.expires_at,
        "expired": content.expires_at <= now,
        "root": authority(&content.root),
        "registrar": authority(&content.registrar),
    })
}
