//! Entries of arrays of tables, such as `[[api.caller]]`: reading their keys one by one, each with
//! its place.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Origin;
use super::document::{
    Draft, Raw, Reader, absolute_path, article, check_name, mode, quoted_list, raw, type_name,
};
use super::error::{Place, ProblemCode};
use super::suggest::closest;
use crate::log::Escaped;

/// What an array of tables is called.
pub(super) struct EntryKind {
    /// With its brackets, as in `[[api.caller]]`.
    pub(super) title: &'static str,
    /// Its last name.
    pub(super) word: &'static str,
    /// Every key that an entry may have.
    pub(super) keys: &'static [&'static str],
    /// Most entries over all files.
    pub(super) max: usize,
    /// What to do where there are more.
    pub(super) too_many: &'static str,
}

/// Where an entry and its keys are.
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) origin: Origin,
    /// A key was refused: what is missing may just have been that one.
    pub(super) incomplete: bool,
    keys: BTreeMap<String, Place>,
}

/// Why one key or entry is refused.
pub(super) struct Refusal {
    pub(super) code: ProblemCode,
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// One key of an entry, with its value.
pub(super) struct Field<'a> {
    reader: &'a Reader<'a>,
    kind: &'a EntryKind,
    name: &'a str,
    key_place: Place,
    value: &'a Spanned<DeValue<'a>>,
}

/// An entry that is being read.
pub(super) trait Stated {
    /// Where it is.
    fn entry(&mut self) -> &mut Entry;

    /// Takes one of its keys.
    fn take(&mut self, field: &Field<'_>, draft: &mut Draft) -> Result<(), Refusal>;
}

/// Reads an array of tables, each begun by `begin`. `before` entries were read already.
pub(super) fn read_all<T: Stated>(
    draft: &mut Draft,
    reader: &Reader<'_>,
    kind: &EntryKind,
    value: &Spanned<DeValue<'_>>,
    before: usize,
    begin: impl Fn(Entry) -> T,
) -> Vec<T> {
    let brackets = || Some(format!("write {}, with two brackets", kind.title));
    let DeValue::Array(entries) = value.get_ref() else {
        let message = format!(
            "`{}` must be a list of tables, not {}",
            kind.word,
            article(type_name(value.get_ref()))
        );
        let place = reader.place(value.span());
        draft.refuse(ProblemCode::WrongType, place, message, brackets());
        return Vec::new();
    };
    let mut read = Vec::new();
    for entry in entries.iter() {
        let place = reader.place(entry.span());
        if before.saturating_add(read.len()) >= kind.max {
            let message = format!("more than {} {}s", kind.max, kind.word);
            let hint = Some(kind.too_many.to_owned());
            draft.refuse(ProblemCode::OutOfRange, place, message, hint);
            return read;
        }
        match entry.get_ref() {
            DeValue::Table(table) => {
                let mut stated = begin(Entry {
                    place,
                    origin: reader.origin(entry.span()),
                    incomplete: false,
                    keys: BTreeMap::new(),
                });
                read_one(draft, reader, kind, &mut stated, table);
                read.push(stated);
            }
            other => {
                let message = format!(
                    "a {} must be a table, not {}",
                    kind.word,
                    article(type_name(other))
                );
                draft.refuse(ProblemCode::WrongType, place, message, brackets());
            }
        }
    }
    read
}

/// Reads every key of an entry, and notes those that are refused.
fn read_one(
    draft: &mut Draft,
    reader: &Reader<'_>,
    kind: &EntryKind,
    stated: &mut impl Stated,
    table: &DeTable<'_>,
) {
    for (key, value) in table {
        if draft.is_full() {
            return;
        }
        let field = Field {
            reader,
            kind,
            name: key.get_ref().as_ref(),
            key_place: reader.place(key.span()),
            value,
        };
        let keys = &mut stated.entry().keys;
        keys.insert(field.name.to_owned(), field.key_place.clone());
        if let Err(refusal) = stated.take(&field, draft) {
            stated.entry().incomplete = true;
            draft.refuse_entry(refusal);
        }
    }
}

impl Entry {
    /// Whether the entry states this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Where the entry states this key, or where it begins.
    pub(super) fn place_of(&self, key: &str) -> Place {
        self.keys.get(key).unwrap_or(&self.place).clone()
    }

    /// A contradiction at one of its keys.
    pub(super) fn conflict(
        &self,
        key: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Refusal {
        Refusal {
            code: ProblemCode::Conflict,
            place: self.place_of(key),
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl<'a> Field<'a> {
    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    pub(super) fn value(&self) -> &'a Spanned<DeValue<'a>> {
        self.value
    }

    pub(super) fn reader(&self) -> &'a Reader<'a> {
        self.reader
    }

    /// Where the value is.
    pub(super) fn place(&self) -> Place {
        self.reader.place(self.value.span())
    }

    /// The refusal of a key that entries of this kind do not have.
    pub(super) fn unknown(&self) -> Refusal {
        let EntryKind { title, keys, .. } = self.kind;
        let hint = match closest(self.name, keys.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("keys of {title}: {}", keys.join(", ")),
        };
        Refusal {
            code: ProblemCode::UnknownKey,
            place: self.key_place.clone(),
            message: format!("unknown key `{}` in {title}", Escaped::new(self.name)),
            hint: Some(hint),
        }
    }

    /// The refusal of the value; `what` follows the key's name.
    pub(super) fn refusal(&self, code: ProblemCode, what: &str, hint: Option<&str>) -> Refusal {
        Refusal {
            code,
            place: self.place(),
            message: format!("`{}` {what}", self.name),
            hint: hint.map(str::to_owned),
        }
    }

    fn wrong_type(&self, wanted: &str) -> Refusal {
        let given = article(type_name(self.value.get_ref()));
        let what = format!("must be {wanted}, not {given}");
        self.refusal(ProblemCode::WrongType, &what, None)
    }

    /// Text.
    pub(super) fn text(&self) -> Result<&'a str, Refusal> {
        match raw(self.value.get_ref()) {
            Raw::Text(text) => Ok(text),
            _ => Err(self.wrong_type("text in quotes")),
        }
    }

    /// Text that `judge` makes something of; its error follows the key's name.
    pub(super) fn parsed<T, E: std::fmt::Display>(
        &self,
        judge: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Result<T, Refusal> {
        judge(self.text()?).map_err(|why| self.refusal(ProblemCode::Value, &why.to_string(), None))
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Refusal> {
        let word = self.text()?;
        if let Some((_, value)) = words.iter().find(|(known, _)| *known == word) {
            return Ok(*value);
        }
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let meant = closest(word, names.iter().copied())
            .map_or_else(String::new, |meant| format!("; did you mean \"{meant}\"?"));
        let what = format!("cannot be \"{}\"{meant}", Escaped::new(word));
        let hint = format!("allowed: {}", quoted_list(&names));
        Err(self.refusal(ProblemCode::Value, &what, Some(&hint)))
    }

    /// `true` or `false`.
    pub(super) fn flag(&self) -> Result<bool, Refusal> {
        match raw(self.value.get_ref()) {
            Raw::Flag(flag) => Ok(flag),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    /// A whole number within limits.
    pub(super) fn number<T>(&self, range: &RangeInclusive<T>) -> Result<T, Refusal>
    where
        T: Copy + PartialOrd + TryFrom<i64> + std::fmt::Display,
    {
        let Raw::Integer(number) = raw(self.value.get_ref()) else {
            return Err(self.wrong_type("an integer"));
        };
        let within = number
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number));
        within.ok_or_else(|| {
            let what = format!("must be from {} to {}", range.start(), range.end());
            self.refusal(ProblemCode::OutOfRange, &what, None)
        })
    }

    /// An absolute path.
    pub(super) fn path(&self) -> Result<PathBuf, Refusal> {
        absolute_path(self.text()?).map_err(|(code, what)| self.refusal(code, &what, None))
    }

    /// Permission bits.
    pub(super) fn mode(&self) -> Result<u32, Refusal> {
        mode(self.text()?).map_err(|(code, what)| {
            let hint = format!("{} = \"0660\"  # for example", self.name);
            self.refusal(code, &what, Some(&hint))
        })
    }

    /// The name of a user or group of the system, and its place.
    pub(super) fn system_name(&self, number_key: &str) -> Result<(String, Place), Refusal> {
        match raw(self.value.get_ref()) {
            Raw::Text(text) => check_name(text)
                .map(|()| (text.to_owned(), self.place()))
                .map_err(|what| self.refusal(ProblemCode::Value, &what, None)),
            _ => {
                let hint = format!("a number is stated as `{number_key}`");
                let what = "must be text in quotes";
                Err(self.refusal(ProblemCode::WrongType, what, Some(&hint)))
            }
        }
    }

    /// A list of texts, each judged by `item`, whose error follows the text.
    pub(super) fn list<T, E: std::fmt::Display>(
        &self,
        item: impl Fn(&'a str) -> Result<T, E>,
    ) -> Result<Vec<T>, Refusal> {
        let DeValue::Array(entries) = self.value.get_ref() else {
            let mut refusal = self.wrong_type("a list");
            refusal.hint = Some(format!("{} = [\"...\"]", self.name));
            return Err(refusal);
        };
        if entries.len() > MAX_LIST_ENTRIES {
            let what = format!("has more than {MAX_LIST_ENTRIES} entries");
            return Err(self.refusal(ProblemCode::OutOfRange, &what, None));
        }
        let one = |entry: &'a Spanned<DeValue<'a>>| {
            let (code, message) = match raw(entry.get_ref()) {
                Raw::Text(text) => match item(text) {
                    Ok(item) => return Ok(item),
                    Err(why) => (
                        ProblemCode::Value,
                        format!("`{}`: \"{}\" {why}", self.name, Escaped::new(text)),
                    ),
                },
                _ => (
                    ProblemCode::WrongType,
                    format!(
                        "an entry of `{}` must be text in quotes, not {}",
                        self.name,
                        article(type_name(entry.get_ref()))
                    ),
                ),
            };
            Err(Refusal {
                code,
                place: self.reader.place(entry.span()),
                message,
                hint: None,
            })
        };
        entries.iter().map(one).collect()
    }

    /// A table within the entry: each of its keys is text, judged by `take`.
    pub(super) fn table(
        &self,
        kind: &EntryKind,
        mut take: impl FnMut(&Field<'_>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let DeValue::Table(table) = self.value.get_ref() else {
            let mut refusal = self.wrong_type("a table");
            refusal.hint = Some(format!("write it as {}", kind.title));
            return Err(refusal);
        };
        for (key, value) in table {
            take(&Field {
                reader: self.reader,
                kind,
                name: key.get_ref().as_ref(),
                key_place: self.reader.place(key.span()),
                value,
            })?;
        }
        Ok(())
    }
}

impl Draft {
    /// Notes the refusal of a key or an entry.
    pub(super) fn refuse_entry(&mut self, refusal: Refusal) {
        let Refusal {
            code,
            place,
            message,
            hint,
        } = refusal;
        self.refuse(code, place, message, hint);
    }
}

const MAX_LIST_ENTRIES: usize = 64;
