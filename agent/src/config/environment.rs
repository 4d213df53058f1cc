//! Variables `EDGESEAL_SECTION__KEY`.

use std::ffi::{OsStr, OsString};

use super::Origin;
use super::document::{Draft, Raw};
use super::error::{Place, ProblemCode};
use super::schema::{self, KEYS, Key, Rule};
use super::suggest::closest;

/// Reads the variables into the draft. A variable without the double underscore is somebody else's,
/// unless it is a key's with one underscore missing: that is refused, for it would go unnoticed.
pub(super) fn read(draft: &mut Draft, variables: &[(OsString, OsString)]) {
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let Some((section, key)) = rest.split_once("__") else {
            refuse_missing_underscore(draft, name, rest);
            continue;
        };
        match schema::find(&section.to_ascii_lowercase(), &key.to_ascii_lowercase()) {
            Some(known) if name == variable(known) => read_value(draft, known, name, value),
            _ => draft.refuse(
                ProblemCode::UnknownKey,
                Place::Environment(name.to_owned()),
                "no key has this name".to_owned(),
                hint(name),
            ),
        }
    }
}

fn read_value(draft: &mut Draft, key: &Key, name: &str, value: &OsStr) {
    let place = Place::Environment(name.to_owned());
    let Some(text) = value.to_str() else {
        return draft.refuse(
            ProblemCode::NotUtf8,
            place,
            "the value is not UTF-8".to_owned(),
            None,
        );
    };
    let raw = match (&key.rule, text) {
        (Rule::Flag { .. }, "true") => Raw::Flag(true),
        (Rule::Flag { .. }, "false") => Raw::Flag(false),
        (Rule::Count { .. }, digits) if is_number(digits) => Raw::Integer(digits.parse().ok()),
        (_, text) => Raw::Text(text),
    };
    draft.apply(key, &raw, place, Origin::Environment(name.to_owned()));
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn refuse_missing_underscore(draft: &mut Draft, name: &str, rest: &str) {
    let flat = |key: &&Key| format!("{}_{}", key.section, key.name).eq_ignore_ascii_case(rest);
    if let Some(key) = KEYS.iter().find(flat) {
        let hint = format!(
            "two underscores lie between section and key: {}",
            variable(key)
        );
        draft.refuse(
            ProblemCode::UnknownKey,
            Place::Environment(name.to_owned()),
            "no key has this name".to_owned(),
            Some(hint),
        );
    }
}

fn hint(name: &str) -> Option<String> {
    for (beginning, title) in ENTRIES {
        if name.starts_with(beginning) {
            return Some(format!("entries can be stated in files only, as {title}"));
        }
    }
    let known: Vec<String> = KEYS.iter().map(variable).collect();
    closest(name, known.iter().map(String::as_str)).map(|meant| format!("did you mean {meant}?"))
}

fn variable(key: &Key) -> String {
    format!("{PREFIX}{}__{}", key.section, key.name).to_ascii_uppercase()
}

const PREFIX: &str = "EDGESEAL_";
const ENTRIES: [(&str, &str); 4] = [
    ("EDGESEAL_API__CALLER", "[[api.caller]]"),
    ("EDGESEAL_GATEWAY__LISTENER", "[[gateway.listener]]"),
    ("EDGESEAL_GATEWAY__UPSTREAM", "[[gateway.upstream]]"),
    ("EDGESEAL_RULE__", "[[rule]]"),
];
