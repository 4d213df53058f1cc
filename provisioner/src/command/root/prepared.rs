//! A root on its way from key to key: the file that is carried to each machine, and who still has to
//! sign.
//!
//! It holds the root before it too, so that a machine without the registry can show what changes.

use crate::error::{CommandError, Exit, Result};
use crate::input;
use crate::registry::{Registry, replace_file};
use edgeseal_trust::document::{
    Authority, Document, DocumentRejection, DocumentType, Root, Unverified, add_signatures, sign,
    verify,
};
use edgeseal_trust::key::{KeyId, SigningKey, VerifyingKey};
use edgeseal_trust::limits;
use edgeseal_trust::update::{Current, Offer, evaluate};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A root that waits for signatures, with the one before it.
pub(crate) struct PreparedRoot {
    before: Document<Root>,
    octets: Vec<u8>,
    content: Root,
}

/// Who has signed, and how many are missing.
pub(crate) struct Progress {
    /// Keys whose signature is there and right.
    pub(crate) signed: Vec<KeyId>,
    /// How many more keys of the root before must sign.
    pub(crate) missing_before: u32,
    /// How many more of its own root keys must sign.
    pub(crate) missing_after: u32,
}

/// What became of a root that was signed with the keys at hand.
pub(crate) enum Completed {
    /// It is in the registry.
    Accepted(Document<Root>),
    /// It waits in this file.
    Waits(PathBuf, Progress),
}

impl PreparedRoot {
    /// Signs `content` with `keys`.
    ///
    /// # Errors
    /// The content breaks a rule that every reader applies.
    pub(crate) fn new(before: Document<Root>, content: Root, keys: &[SigningKey]) -> Result<Self> {
        let payload = content.to_payload().map_err(|why| refused(&why))?;
        let octets = sign(DocumentType::Root, &payload, &[]);
        let prepared = Self {
            before,
            octets,
            content,
        };
        prepared.signed_by(keys)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It is no such file, or holds roots that do not follow each other.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let octets =
            input::read(path, MOST_OCTETS).map_err(|why| CommandError::io("read", path, &why))?;
        let not_one = |why: &dyn std::fmt::Display| {
            CommandError::no("not-a-prepared-root", format!("{}: {why}", path.display()))
                .hint("name the file that edgeseal root rotate wrote, or the last who signed it")
        };
        let text: Text = serde_json::from_slice(&octets).map_err(|why| not_one(&why))?;
        if text.edgeseal_prepared_root != FORMAT {
            return Err(not_one(&"its format is not known here"));
        }
        let before = Document::<Root>::load(text.before.as_bytes())
            .and_then(|root| root.verify(&root.content().root).map(|()| root))
            .map_err(|why| not_one(&why))?;
        let root = Document::<Root>::load(text.root.as_bytes()).map_err(|why| not_one(&why))?;
        let (old, new) = (before.content(), root.content());
        if new.domain != old.domain || new.version != old.version.saturating_add(1) {
            return Err(not_one(&"the root does not follow the one before it"));
        }
        Ok(Self {
            octets: text.root.into_bytes(),
            content: new.clone(),
            before,
        })
    }

    /// Writes the file; one that is there already is replaced only where it holds the same root.
    ///
    /// # Errors
    /// Another file is there, or the system refuses.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if path.symlink_metadata().is_ok() {
            let same = Self::read(path).is_ok_and(|there| there.content == self.content);
            if !same {
                let reason = format!("{} is there, and is another file", path.display());
                return Err(CommandError::no("file-exists", reason)
                    .hint("choose another file with --to; nothing is overwritten"));
            }
        }
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let text = Text {
            edgeseal_prepared_root: FORMAT,
            before: text(self.before.octets()),
            root: text(&self.octets),
        };
        let octets = serde_json::to_vec(&text).map_err(|why| {
            CommandError::new(Exit::TemporaryFailure, "encoding", why.to_string())
        })?;
        replace_file(path, &octets)
    }

    /// The root before.
    pub(crate) const fn before(&self) -> &Document<Root> {
        &self.before
    }

    /// The root that waits.
    pub(crate) const fn content(&self) -> &Root {
        &self.content
    }

    /// With the signatures of those `keys` that still count; no more than are needed, since a document
    /// carries few.
    ///
    /// # Errors
    /// More signatures than a document may carry.
    pub(crate) fn signed_by(mut self, keys: &[SigningKey]) -> Result<Self> {
        let counts = |kid: KeyId| {
            let sides = [&self.before.content().root, &self.content.root];
            sides.iter().filter(|side| side.key(kid).is_some()).count()
        };
        let mut ordered: Vec<&SigningKey> = keys.iter().collect();
        ordered.sort_by_key(|key| std::cmp::Reverse(counts(key.public().id())));
        for key in ordered {
            let kid = key.public().id();
            let progress = self.progress()?;
            let helps = |missing: u32, side: &Authority| missing > 0 && side.key(kid).is_some();
            if progress.signed.contains(&kid)
                || !(helps(progress.missing_before, &self.before.content().root)
                    || helps(progress.missing_after, &self.content.root))
            {
                continue;
            }
            self.octets = add_signatures(&self.octets, DocumentType::Root, &[key])
                .map_err(|why| refused(&why))?;
        }
        Ok(self)
    }

    /// Who has signed. A signature that is wrong counts for nothing.
    ///
    /// # Errors
    /// The octets are no document.
    pub(crate) fn progress(&self) -> Result<Progress> {
        let document = Unverified::parse(&self.octets, DocumentType::Root);
        let document = document.map_err(|why| refused(&why))?;
        let has_signed = |key: &VerifyingKey| {
            document.kids().any(|kid| kid == key.id())
                && Authority::new(1, vec![key.clone()])
                    .is_ok_and(|alone| verify(&document, &alone).is_ok())
        };
        let missing = |side: &Authority| {
            let signed = side.keys().iter().filter(|key| has_signed(key)).count();
            let signed = u32::try_from(signed).unwrap_or(u32::MAX);
            side.threshold().saturating_sub(signed)
        };
        let (old, new) = (&self.before.content().root, &self.content.root);
        let both = old.keys().iter().chain(new.keys());
        let mut signed: Vec<KeyId> = both.filter(|key| has_signed(key)).map(|k| k.id()).collect();
        signed.sort();
        signed.dedup();
        Ok(Progress {
            signed,
            missing_before: missing(old),
            missing_after: missing(new),
        })
    }

    /// Judges it as a device would and puts it into the registry: the one way by which a root gets
    /// there.
    ///
    /// # Errors
    /// Signatures are missing, another root has this version, it does not follow the newest, or a rule that was set since could
    /// not be met under it.
    pub(crate) fn accept(&self, registry: &mut Registry) -> Result<Document<Root>> {
        let newest = registry.root()?;
        let octets: &[u8] = &self.octets;
        let current = Current {
            root: Some(&newest),
            ..Current::default()
        };
        let offer = Offer {
            roots: &[octets],
            manifest: None,
        };
        let judged = evaluate(current, offer, None).and_then(|evaluation| evaluation.finish());
        let update = judged.map_err(|why| {
            CommandError::no(why.code(), format!("the root is not accepted: {why}")).hint(
                "edgeseal root show shows the newest root; its successor is exactly one higher",
            )
        })?;
        if !update.new_roots.is_empty() {
            registry.judge_registrars(newest.content(), update.root.content())?;
            registry.keep_root(&update.root)?;
        }
        Ok(update.root)
    }
}

impl Progress {
    /// Whether nobody has to sign any more.
    pub(crate) const fn is_complete(&self) -> bool {
        self.missing_before == 0 && self.missing_after == 0
    }

    /// As an error of a verb that was to complete it.
    pub(crate) fn waits(&self, path: &Path) -> CommandError {
        let path = path.display();
        let reason = format!("the root waits in {path}: {}", self.missing());
        CommandError::new(Exit::TemporaryFailure, "signatures-missing", reason).hint(format!(
            "where another root key is: edgeseal root sign {path} --keys DIR; \
             then here: edgeseal root accept {path}"
        ))
    }

    /// How many are missing, in words.
    pub(crate) fn missing(&self) -> String {
        format!(
            "{} more of the old root keys and {} more of the new ones must sign",
            self.missing_before, self.missing_after
        )
    }
}

/// Takes the root into the registry where every signature is there; else keeps it in `path`.
///
/// # Errors
/// The registry refuses it, or the file cannot be written.
pub(crate) fn complete(
    registry: &mut Registry,
    prepared: &PreparedRoot,
    path: &Path,
) -> Result<Completed> {
    let progress = prepared.progress()?;
    if progress.is_complete() {
        return prepared.accept(registry).map(Completed::Accepted);
    }
    prepared.write(path)?;
    Ok(Completed::Waits(path.to_owned(), progress))
}

/// Where a prepared root goes unless somebody says otherwise.
pub(crate) fn default_path(version: u64) -> PathBuf {
    PathBuf::from(format!("root-{version}.prepared"))
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Text {
    edgeseal_prepared_root: u64,
    before: String,
    root: String,
}

fn refused(why: &DocumentRejection) -> CommandError {
    CommandError::no(why.code(), format!("the root: {why}")).hint(
        "edgeseal root show lists the keys; a root carries at most 16 of each and 16 signatures",
    )
}

const FORMAT: u64 = 1;
/// Two roots, written as JSON strings.
const MOST_OCTETS: usize = 4 * limits::ROOT_OCTETS;
