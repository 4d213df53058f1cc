//! What may be handed on: a text without anything that is secret.

use serde_json::Value;
use std::collections::BTreeSet;

/// Takes out whatever looks like a key, a token, a password or a digest, but for names of keys that
/// are public.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    public: BTreeSet<String>,
}

impl Redactor {
    /// These names of keys stay: who helps needs them.
    #[must_use]
    pub fn keeping(public: impl IntoIterator<Item = String>) -> Self {
        Self {
            public: public.into_iter().collect(),
        }
    }

    /// What is handed on, redacted, as indented text: its reader shall see what is in it.
    #[must_use]
    pub fn bundle(&self, whole: Value) -> String {
        let mut text = serde_json::to_string_pretty(&self.value(whole)).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The value of a setting, unless its name says that it is a secret.
    #[must_use]
    pub fn setting(name: &str, value: String) -> Value {
        match is_secret(name) {
            true => Value::from(REDACTED),
            false => Value::from(value),
        }
    }

    /// Redacts all texts of a value. Names of members stay.
    #[must_use]
    pub fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(members) => {
                let each = members.into_iter().map(|(name, value)| {
                    let texts = matches!(value, Value::String(_));
                    match is_secret(&name) && texts {
                        true => (name, Value::from(REDACTED)),
                        false => (name, self.value(value)),
                    }
                });
                Value::Object(each.collect())
            }
            other => other,
        }
    }

    /// Redacts a text: runs of key characters that are as long as a key (a very long path may look like
    /// one), and what follows a word like `password=`.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut run = String::new();
        for character in text.chars().map(Some).chain([None]) {
            if let Some(part) = character.filter(|part| is_key_character(*part)) {
                run.push(part);
                continue;
            }
            self.flush(&mut out, &mut run);
            out.extend(character);
        }
        without_values(&out)
    }

    fn flush(&self, out: &mut String, run: &mut String) {
        if run.len() < KEY_CHARACTERS || self.public.contains(run.as_str()) {
            out.push_str(run);
        } else {
            out.push_str(REDACTED);
        }
        run.clear();
    }
}

/// What follows a secret's name and `=` or `:`, with blanks between or without. A password and a passphrase may have blanks
/// themselves: after their names the rest of the line goes.
fn without_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut expected = Expected::Anything;
    for word in text.split_inclusive(char::is_whitespace) {
        let body = word.trim_end();
        let blank = word.get(body.len()..).unwrap_or_default();
        if !body.is_empty() {
            let (shown, next) = expected.read(body);
            out.push_str(&shown);
            expected = next;
        }
        if matches!(expected, Expected::Line) {
            if blank != "\n" {
                continue;
            }
            expected = Expected::Anything;
        }
        out.push_str(blank);
    }
    out
}

/// What the next word of a text may be.
#[derive(Clone, Copy)]
enum Expected {
    Anything,
    /// The sign between a secret's name and its value.
    Sign(Extent),
    /// A secret.
    Value(Extent),
    /// More of a secret, up to the end of the line.
    Line,
}

/// How far a secret goes.
#[derive(Clone, Copy)]
enum Extent {
    Word,
    Line,
}

impl Expected {
    /// The word as it may be shown, and what comes then.
    fn read(self, word: &str) -> (String, Self) {
        match self {
            Self::Line => return (String::new(), self),
            Self::Value(extent) => return (REDACTED.to_owned(), extent.rest()),
            Self::Sign(extent) if matches!(word, "=" | ":") => {
                return (word.to_owned(), Self::Value(extent));
            }
            Self::Sign(extent) if word.starts_with(['=', ':']) => {
                return (format!("={REDACTED}"), extent.rest());
            }
            _ => {}
        }
        let lower = word.to_ascii_lowercase();
        let named = SECRET_WORDS.iter().filter_map(|name| {
            let end = lower.rfind(name)?.checked_add(name.len())?;
            let rest = word.get(end..)?.trim_start_matches(['"', '\'']);
            Some((end, rest, Extent::of(name)))
        });
        match named.max_by_key(|(end, ..)| *end) {
            Some((_, "", extent)) => (word.to_owned(), Self::Sign(extent)),
            Some((_, "=" | ":", extent)) => (word.to_owned(), Self::Value(extent)),
            Some((end, rest, extent)) if rest.starts_with(['=', ':']) => {
                let name = word.get(..end).unwrap_or_default();
                (format!("{name}={REDACTED}"), extent.rest())
            }
            _ => (word.to_owned(), Self::Anything),
        }
    }
}

impl Extent {
    fn of(name: &str) -> Self {
        match name {
            "password" | "passphrase" => Self::Line,
            _ => Self::Word,
        }
    }

    const fn rest(self) -> Expected {
        match self {
            Self::Word => Expected::Anything,
            Self::Line => Expected::Line,
        }
    }
}

/// Alphabets of base64, base64url, hexadecimal and of compact tokens.
const fn is_key_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '+' | '/' | '.' | '=')
}

fn is_secret(name: &str) -> bool {
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

const REDACTED: &str = "(redacted)";
/// 32 octets in base64url, the shortest form that a key has here.
const KEY_CHARACTERS: usize = 43;
const SECRET_WORDS: &[&str] = &["password", "passphrase", "secret", "seed", "token", "hash"];
