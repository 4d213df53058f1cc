//! What something is verified by: a bundle file, under the root whose words a person knows.

use crate::error::{CommandError, Result};
use edgeseal_trust::document::{BundleReader, Root};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::PeerKey;
use edgeseal_trust::update::{Current, Nothing, Update, UpdateError, read_bundle};
use edgeseal_trust::words::Words;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// What the command line gives to verify by.
pub(crate) struct Trust {
    /// Words of the first root, typed by a person.
    pub(crate) words: Option<Words>,
    /// The bundle file.
    pub(crate) bundle: Option<Bundle>,
}

/// A bundle file that verifies.
pub(crate) struct Bundle {
    /// Its newest root.
    pub(crate) root: Root,
    /// Its keys.
    pub(crate) keys: HashMap<KeyId, PeerKey>,
    /// Whose word that is.
    pub(crate) vouched_by: String,
}

impl Trust {
    /// Reads `--trust` and `--root`.
    ///
    /// # Errors
    /// The words are none, or the bundle does not verify.
    pub(crate) fn of(file: Option<&Path>, words: Option<&str>) -> Result<Self> {
        let words = match words {
            None => None,
            Some(text) => Some(Words::parse(text).map_err(|why| {
                CommandError::usage(why.code(), format!("--root: {why}"))
                    .hint("`edgeseal domain init` showed them")
            })?),
        };
        let bundle = match file {
            None => None,
            Some(path) => {
                let file = File::open(path).map_err(|why| CommandError::io("read", path, &why))?;
                Some(Bundle::read(BufReader::new(file), words.as_ref())?)
            }
        };
        Ok(Self { words, bundle })
    }
}

impl Bundle {
    /// Reads a bundle file under the root of these words; without words, under the first root in it.
    ///
    /// # Errors
    /// It does not verify.
    pub(crate) fn read(source: impl BufRead, words: Option<&Words>) -> Result<Self> {
        let mut reader = BundleReader::open(source).map_err(|why| refused(why.into()))?;
        let own = reader.roots().next().map(Words::of_root);
        let vouched_by = match (words, &own) {
            (Some(_), _) | (_, None) => "by the root with these words".to_owned(),
            (None, Some(own)) => {
                format!("only if these are the words of your root: {own} (say so with --root)")
            }
        };
        let mut keys = HashMap::new();
        let update = read_bundle(
            &mut reader,
            Current::default(),
            words.or(own.as_ref()),
            &Nothing,
            |shard, _| {
                let entries = shard.devices().iter();
                keys.extend(entries.flat_map(|e| e.peer_keys()).map(|k| (k.key.id(), k)));
                Ok(())
            },
        );
        let Update { root, .. } = update.map_err(refused)?;
        Ok(Self {
            root: root.content().clone(),
            keys,
            vouched_by,
        })
    }
}

fn refused(why: UpdateError<std::convert::Infallible>) -> CommandError {
    let code = match &why {
        UpdateError::Bundle(edgeseal_trust::document::BundleError::Rejected(why)) => why.code(),
        UpdateError::Rejected(why) => why.code(),
        UpdateError::Bundle(_) => "io",
        UpdateError::Store(never) => match *never {},
    };
    CommandError::no(code, format!("the bundle does not verify: {why}"))
}
