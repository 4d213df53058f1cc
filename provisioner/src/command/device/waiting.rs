//! Which of the requests that wait a person means.

use crate::enrollment::Desk;
use crate::error::{CommandError, Result};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::words::Words;

/// How the request is chosen among those that ask for an id.
pub(super) enum Choice {
    /// It is the only one.
    Only,
    /// It has these words.
    Words(Words),
}

impl Choice {
    /// By the words, where some are given.
    ///
    /// # Errors
    /// They are no eight words.
    pub(super) fn of(words: Option<&str>) -> Result<Self> {
        let Some(shown) = words else {
            return Ok(Self::Only);
        };
        let words = Words::parse(shown)
            .map_err(|why| CommandError::usage(why.code(), format!("--words: {why}")))?;
        Ok(Self::Words(words))
    }
}

/// The key of the request that is meant.
///
/// # Errors
/// None waits for the id, none has the words, or several are possible.
pub(super) fn find(desk: &Desk, id: &DeviceId, choice: &Choice) -> Result<KeyId> {
    let waiting = desk.waiting_for(id);
    let named = waiting
        .iter()
        .filter(|request| request.device.as_ref() == Some(id));
    match choice {
        Choice::Words(words) => {
            let words = words.to_string();
            let mut matching = waiting.iter().filter(|request| request.words == words);
            let found = matching.next().ok_or_else(|| {
                let reason = format!("no request that may become {id} has these words");
                CommandError::no("words-differ", reason).hint(
                    "edgeseal device pending shows them; the device's own are shown by `edgeseal-agent status`",
                )
            })?;
            Ok(found.kid)
        }
        Choice::Only => {
            let named: Vec<_> = named.collect();
            match named.as_slice() {
                [only] => Ok(only.kid),
                [] => Err(CommandError::no(
                    "request-unknown",
                    format!("no request for {id} waits"),
                )
                .hint("edgeseal device pending; for a request without an id give its --words")),
                several => Err(CommandError::no(
                    "request-ambiguous",
                    format!("{} requests ask to be {id}", several.len()),
                )
                .hint("compare the words at the device, and give them: --words")),
            }
        }
    }
}
