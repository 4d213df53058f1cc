//! One document: root, manifest, shard or enrollment request.

use super::Finding;
use super::trust::Trust;
use crate::error::{CommandError, Result};
use edgeseal_trust::document::{
    Document, DocumentRejection, DocumentType, Manifest, Root, Shard, Unverified,
};
use edgeseal_trust::enrollment::{Approval, EnrollmentRequest};
use edgeseal_trust::words::Words;
use serde_json::Value;

/// Shows a document; nothing where the octets are none.
pub(crate) fn inspect(octets: &[u8], trust: &Trust) -> Result<Option<Finding>> {
    let line = octets.strip_suffix(b"\n").unwrap_or(octets);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let signed = [
        DocumentType::Approval,
        DocumentType::Root,
        DocumentType::Manifest,
        DocumentType::Request,
        DocumentType::Rotation,
    ];
    for kind in signed {
        if let Ok(document) = Unverified::parse(line, kind) {
            let content = serde_json::from_slice(document.claimed_payload());
            let content: Value = content.unwrap_or(Value::Null);
            let mut finding = match kind {
                DocumentType::Approval => approval(line)?,
                DocumentType::Manifest => manifest(line, trust)?,
                DocumentType::Request => request(line)?,
                DocumentType::Root => root(line, trust)?,
                DocumentType::Rotation => rotation(line),
            };
            let kids: Vec<String> = document.kids().map(|kid| kid.to_string()).collect();
            let signed = format!("signatures said to be by: {}", kids.join(" "));
            finding.summary = [finding.summary, signed].join("\n").trim_start().to_owned();
            finding.content = content;
            return Ok(Some(finding));
        }
    }
    if Shard::reload(line).is_ok() {
        return Ok(Some(Finding {
            kind: "shard",
            verified_by: None,
            summary: "A shard is not signed: a manifest names it by its SHA-256.".to_owned(),
            content: serde_json::from_slice(line).unwrap_or(Value::Null),
        }));
    }
    Ok(None)
}

fn root(octets: &[u8], trust: &Trust) -> Result<Finding> {
    let document = Document::<Root>::load(octets).map_err(|why| refused(&why))?;
    let words = Words::of_root(octets);
    let verified_by = match &trust.words {
        None => None,
        Some(known) if *known == words => {
            let verified = document.verify(&document.content().root);
            verified.map_err(|why| refused(&why))?;
            Some("by its words".to_owned())
        }
        Some(_) => {
            let reason = format!("this is another root; its words are: {words}");
            return Err(CommandError::no("first-root-words", reason));
        }
    };
    Ok(Finding {
        kind: "root",
        verified_by,
        summary: format!("words: {words}"),
        content: Value::Null,
    })
}

fn manifest(octets: &[u8], trust: &Trust) -> Result<Finding> {
    let verified_by = match &trust.bundle {
        None => None,
        Some(bundle) => {
            Document::<Manifest>::verified(octets, &bundle.root.registrar)
                .map_err(|why| refused(&why))?;
            Some(bundle.vouched_by.clone())
        }
    };
    Ok(Finding {
        kind: "manifest",
        verified_by,
        summary: String::new(),
        content: Value::Null,
    })
}

fn request(octets: &[u8]) -> Result<Finding> {
    let request = EnrollmentRequest::verify(octets).map_err(|why| refused(&why))?;
    Ok(Finding {
        kind: "enrollment request",
        verified_by: None,
        summary: format!(
            "The sender has the private key; the rest is its own word.\nwords: {}",
            request.words
        ),
        content: Value::Null,
    })
}

/// Whose keys count, only the registry can say.
fn approval(octets: &[u8]) -> Result<Finding> {
    Document::<Approval>::load(octets).map_err(|why| refused(&why))?;
    Ok(Finding {
        kind: "approval",
        verified_by: None,
        summary: String::new(),
        content: Value::Null,
    })
}

/// Whether the old key signed it, only the registry can say.
fn rotation(octets: &[u8]) -> Finding {
    Finding {
        kind: "rotation request",
        verified_by: None,
        summary: format!("words: {}", Words::of_request(octets)),
        content: Value::Null,
    }
}

fn refused(why: &DocumentRejection) -> CommandError {
    CommandError::no(why.code(), format!("the document does not verify: {why}"))
}
