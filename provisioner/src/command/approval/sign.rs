//! `edgeseal approval sign`.

use super::file;
use super::give::no_key;
use super::words::{describe, question};
use crate::command::publish::open_some;
use crate::command::{Context, Signing};
use crate::confirm;
use crate::error::{CommandError, Result};
use crate::registry::{Access, Matter, Registry};
use crate::render::{Report, notice};
use edgeseal_trust::document::{Document, DocumentType, Root, Unverified, add_signatures, signers};
use edgeseal_trust::enrollment::Approval;
use edgeseal_trust::key::{KeyId, SigningKey};
use serde_json::json;
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "Needs no registry and no network: the file says what is approved. Compare the key of a device with what\n\
    `edgeseal-agent identity show` says there. One run approves with one registrar key.\n\n\
    Example:\n  edgeseal approval sign /media/usb/farm.approvals --keys ~/my-keys"
)]
pub(crate) struct Args {
    /// The file that edgeseal approval give, or the signer before, wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    signing: Signing,
    /// The registrar key to approve with
    #[arg(long, value_name = "KID", value_parser = crate::command::root::parse_kid)]
    key: Option<KeyId>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Shows what the approvals say, asks, and adds the signatures of one registrar key.
///
/// # Errors
/// No such file, the registry at hand does not wait for it, no registrar key, or nobody confirms it; the file is then as before.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let approvals = file::read(&args.file)?;
    let registry = open(context, approvals.iter().map(|(_, content)| content))?;
    let root = registry.as_ref().map(Registry::root).transpose()?;
    let root = root.as_ref().map(Document::content);
    let is_wanted = |key: &SigningKey| {
        let kid = key.public().id();
        root.is_none_or(|root| root.registrar.key(kid).is_some())
            && args.key.is_none_or(|wanted| wanted == kid)
    };
    if let Some((registry, root)) = registry.as_ref().zip(root) {
        judge_waiting(registry, root, &approvals)?;
    }
    let key = open_some(&args.signing, 1, is_wanted)?.pop();
    let key = key.ok_or_else(no_key)?;
    let question = question(approvals.iter().map(|(_, content)| content));
    if args.yes {
        notice(context.style, &question);
    } else {
        confirm::ask(&format!(
            "{question}\nApprove it with the key {}?",
            key.public().id()
        ))?;
    }
    let refused = |why: edgeseal_trust::document::DocumentRejection| {
        CommandError::no(why.code(), format!("{}: {why}", args.file.display()))
    };
    let mut signed = Vec::with_capacity(approvals.len());
    let (mut rows, mut complete) = (Vec::new(), 0_usize);
    for (octets, content) in &approvals {
        let document = add_signatures(octets, DocumentType::Approval, &[&key]).map_err(refused)?;
        let parsed = Unverified::parse(&document, DocumentType::Approval).map_err(refused)?;
        // Without a registry nobody knows here which keys the root names.
        let kids: Vec<KeyId> = match root {
            Some(root) => signers(&parsed, &root.registrar).map_err(refused)?,
            None => parsed.kids().collect(),
        };
        let is_complete = u32::try_from(kids.len()).is_ok_and(|count| count >= content.needed);
        complete = complete.saturating_add(usize::from(is_complete));
        rows.push(json!({ "number": content.number, "signed_by": kids, "needed": content.needed }));
        signed.push(document);
    }
    file::write(&args.file, signed.iter().map(Vec::as_slice))?;
    let (file, count) = (args.file.display(), signed.len());
    let text = format!(
        "{file}: {count} approvals signed, {complete} of them have all signatures\n\
         Next, where the registry is: edgeseal approval accept {file}"
    );
    Ok(Report::new(
        text,
        json!({ "file": file.to_string(), "key": key.public().id(), "approvals": rows }),
    ))
}

/// Refuses approvals that the registry at hand does not wait for: they are other decisions than those that somebody sees there.
fn judge_waiting(
    registry: &Registry,
    root: &Root,
    approvals: &[(Vec<u8>, Approval)],
) -> Result<()> {
    let mut strange = approvals.iter().filter(|(_, content)| {
        let waiting = registry.approval(&Matter::of(content), root);
        !waiting.is_ok_and(|waiting| waiting.approval == *content)
    });
    let Some((_, first)) = strange.next() else {
        return Ok(());
    };
    let reason = format!(
        "this registry does not wait for {} of the approvals, the first is: {}",
        strange.count().saturating_add(1),
        describe(first)
    );
    Err(CommandError::no("approval-superseded", reason).hint(
        "ask for a new file (edgeseal approval give --to FILE); to sign without this registry, name another with --registry",
    ))
}

/// A registry of the approvals' domain, where there is one.
fn open<'a>(
    context: &Context,
    approvals: impl Iterator<Item = &'a Approval>,
) -> Result<Option<Registry>> {
    let registry = match context.open(Access::Read) {
        Ok(registry) => registry,
        Err(why) if why.code == "no-registry" => return Ok(None),
        Err(why) => return Err(why),
    };
    for approval in approvals {
        if approval.domain != *registry.domain() {
            let reason = format!(
                "the approvals are of the domain {}, and this registry of {}",
                approval.domain,
                registry.domain()
            );
            return Err(
                CommandError::no("domain", reason).hint("name its registry with --registry")
            );
        }
    }
    Ok(Some(registry))
}
