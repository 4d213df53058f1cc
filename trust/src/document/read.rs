//! Reading a document's JSON: strict in form, typed in content.

use super::{DocumentRejection, FORMAT};
use crate::json::{self, ObjectError, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Whether an object states its format.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Versioned {
    /// It has a member `format`, judged before any other.
    Yes,
    /// It is a part of something, or of RFC 7515's own form.
    No,
}

/// Reads `octets` as exactly one `T`: no member twice at any depth, none unknown, no array or null
/// in an object's place, nothing behind it.
pub(crate) fn read<T>(octets: &[u8], versioned: Versioned) -> Result<T, DocumentRejection>
where
    T: DeserializeOwned + Serialize,
{
    let mut format = None;
    let walked = json::read_object(octets, |name, value| {
        if let ("format", Value::Whole(number)) = (&*name, value) {
            format = Some(number);
        }
        Ok::<(), DocumentRejection>(())
    });
    walked.map_err(|why| match why {
        ObjectError::Duplicate => DocumentRejection::DuplicateMember,
        ObjectError::Member(rejection) => rejection,
        ObjectError::Syntax => malformed("not one bounded JSON object in UTF-8"),
    })?;
    if versioned == Versioned::Yes && format != Some(FORMAT) {
        return Err(DocumentRejection::Format { found: format });
    }
    let content: T = serde_json::from_slice(octets).map_err(malformed)?;
    // serde also takes an array for an object and null for a member left out; the form does not.
    let tree: serde_json::Value = serde_json::from_slice(octets).map_err(malformed)?;
    if serde_json::to_value(&content).map_err(malformed)? != tree {
        return Err(malformed("an object or member is not in its one form"));
    }
    Ok(content)
}

/// Compact JSON of content that always serializes.
pub(crate) fn write(content: &impl Serialize) -> Vec<u8> {
    // Strings, whole numbers, vectors and structs: serde_json has no way to fail on them.
    serde_json::to_vec(content).unwrap_or_default()
}

/// Judges a text for people: not empty, bounded, on one line.
pub(crate) fn short_text(
    text: Option<&str>,
    what: &'static str,
    limit: usize,
) -> Result<(), DocumentRejection> {
    match text {
        Some(text) if text.is_empty() || text.len() > limit => {
            Err(DocumentRejection::Text { what, limit })
        }
        Some(text) if text.chars().any(char::is_control) => {
            Err(DocumentRejection::Text { what, limit })
        }
        _ => Ok(()),
    }
}

/// Refuses more than `limit` of something.
pub(crate) fn at_most(
    limit: usize,
    what: &'static str,
    found: usize,
) -> Result<(), DocumentRejection> {
    if found > limit {
        return Err(DocumentRejection::TooMany { what, found, limit });
    }
    Ok(())
}

/// Refuses more octets than `limit`.
pub(crate) fn at_most_octets(octets: &[u8], limit: usize) -> Result<(), DocumentRejection> {
    let found = octets.len();
    if found > limit {
        return Err(DocumentRejection::Size { found, limit });
    }
    Ok(())
}

/// Refuses a form.
pub(crate) fn malformed(why: impl ToString) -> DocumentRejection {
    DocumentRejection::Malformed(why.to_string())
}
