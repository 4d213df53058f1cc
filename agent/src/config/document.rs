//! From one file's text to values, and from all values to a checked [`Config`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::callers::DraftCaller;
use super::error::{ConfigError, MAX_PROBLEMS, Place, Problem, ProblemCode};
use super::files::{SourceFile, Sources};
use super::names::{NameDatabase, Names, resolve};
use super::schema::{self, Key, Rule};
use super::suggest::closest;
use super::{Config, Loaded, Origin, gateway};
use crate::log::Escaped;

/// A configuration in the making, with everything that is wrong with it so far.
pub(super) struct Draft {
    pub(super) config: Config,
    pub(super) origins: BTreeMap<String, Origin>,
    pub(super) callers: Vec<DraftCaller>,
    pub(super) gateway: gateway::Drafts,
    problems: Vec<Problem>,
}

/// A value before its key has judged it.
pub(super) enum Raw<'a> {
    Flag(bool),
    /// `None`: more than 64 bits.
    Integer(Option<i64>),
    /// The name of a type that no key of this kind takes.
    Other(&'static str),
    Text(&'a str),
}

/// Turns offsets of one file into places.
pub(super) struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

/// Reads an array of tables.
type ReadEntries = fn(&mut Draft, &Reader<'_>, &Spanned<DeValue<'_>>);

/// Reads one file into the draft. With a syntax error in it, its values are not looked at: they may
/// not be what was meant.
pub(super) fn read(draft: &mut Draft, file: &SourceFile) {
    let before = draft.problems.len();
    read_file(draft, file);
    // A table's keys come sorted by name; people read by line.
    if let Some(added) = draft.problems.get_mut(before..) {
        added.sort_by_key(|problem| match problem.place {
            Place::Text { line, column, .. } => (line, column),
            _ => (0, 0),
        });
    }
}

fn read_file(draft: &mut Draft, file: &SourceFile) {
    let reader = Reader {
        path: &file.path,
        text: &file.text,
    };
    let (table, errors) = DeTable::parse_recoverable(&file.text);
    for error in errors.iter().take(MAX_PROBLEMS) {
        let place = reader.place(error.span().unwrap_or(0..0));
        draft.refuse(
            ProblemCode::Syntax,
            place,
            format!("not valid TOML: {}", Escaped::new(error.message())),
            None,
        );
    }
    if !errors.is_empty() {
        return;
    }
    for (key, value) in table.get_ref() {
        if draft.is_full() {
            return;
        }
        let name = key.get_ref().as_ref();
        if name == schema::RULES {
            gateway::read_rules(draft, &reader, value);
            continue;
        }
        if !schema::SECTIONS.contains(&name) {
            draft.refuse(
                ProblemCode::UnknownKey,
                reader.place(key.span()),
                format!("unknown section `{}`", Escaped::new(name)),
                unknown_section_hint(name),
            );
            continue;
        }
        match value.get_ref() {
            DeValue::Table(section) => read_section(draft, &reader, name, section),
            other => draft.refuse(
                ProblemCode::WrongType,
                reader.place(value.span()),
                format!("`{name}` is a section, not {}", article(type_name(other))),
                Some(format!("write it as a line of its own: [{name}]")),
            ),
        }
    }
}

fn read_section(draft: &mut Draft, reader: &Reader<'_>, section: &str, table: &DeTable<'_>) {
    for (key, value) in table {
        if draft.is_full() {
            return;
        }
        let name = key.get_ref().as_ref();
        let entries: Option<ReadEntries> = match (section, name) {
            ("api", "caller") => Some(super::callers::read),
            ("gateway", "listener") => Some(gateway::read_listeners),
            ("gateway", "upstream") => Some(gateway::read_upstreams),
            _ => None,
        };
        if let Some(read) = entries {
            read(draft, reader, value);
            continue;
        }
        match schema::find(section, name) {
            Some(known) => {
                let origin = reader.origin(key.span());
                draft.apply(
                    known,
                    &raw(value.get_ref()),
                    reader.place(value.span()),
                    origin,
                );
            }
            None => {
                let message = format!("unknown key `{}` in [{section}]", Escaped::new(name));
                draft.refuse(
                    ProblemCode::UnknownKey,
                    reader.place(key.span()),
                    message,
                    unknown_key_hint(section, name),
                );
            }
        }
    }
}

impl Draft {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self {
            config: Config::default(),
            origins: BTreeMap::new(),
            callers: Vec::new(),
            gateway: gateway::Drafts::default(),
            problems,
        }
    }

    /// Notes a problem, up to the number that a person can use.
    pub(super) fn refuse(
        &mut self,
        code: ProblemCode,
        place: Place,
        message: String,
        hint: Option<String>,
    ) {
        if !self.is_full() {
            self.problems.push(Problem {
                code,
                place,
                message,
                hint,
            });
        }
    }

    /// Whether further problems would not be noted. Every reader stops then: finding the place of
    /// a hundred thousand of them takes minutes.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    /// Sets one key, or notes why not.
    pub(super) fn apply(&mut self, key: &Key, raw: &Raw<'_>, place: Place, origin: Origin) {
        match set(&mut self.config, key, raw) {
            Ok(()) => {
                self.origins.insert(key.dotted(), origin);
            }
            Err((code, message)) => self.refuse(
                code,
                place,
                format!("`{}` {message}", key.name),
                hint_for(key),
            ),
        }
    }

    /// Looks names up, judges the values together, and gives the configuration out if nothing at
    /// all was wrong.
    pub(super) fn finish(
        mut self,
        database: &NameDatabase,
        sources: &Sources,
    ) -> Result<Loaded, ConfigError> {
        let mut names = Names::default();
        names.groups.extend(
            self.config
                .api
                .socket_group
                .iter()
                .map(|group| group.name.clone()),
        );
        for caller in &self.callers {
            caller.collect_names(&mut names);
        }
        self.gateway.collect_names(&mut names);
        let resolved = resolve(&names, &database.passwd, &database.group);
        if let Some(mut group) = self.config.api.socket_group.take() {
            group.gid = resolved.groups.get(&group.name).copied();
            if group.gid.is_none() {
                let place = self.place_of("api.socket_group");
                let message = format!("group `{}` is not in /etc/group", Escaped::new(&group.name));
                self.refuse(
                    ProblemCode::UnknownName,
                    place,
                    message,
                    Some("create it, or correct the name".to_owned()),
                );
            }
            self.config.api.socket_group = Some(group);
        }
        for draft in std::mem::take(&mut self.callers) {
            if let Some(caller) = draft.finish(&mut self, &resolved) {
                self.config.api.callers.push(caller);
            }
        }
        std::mem::take(&mut self.gateway).finish(&mut self, &resolved);
        self.check_socket_path();
        self.check_trust_upstream();
        if self.problems.is_empty() {
            let files = sources.files.iter().map(|file| file.path.clone()).collect();
            Ok(Loaded {
                config: self.config,
                files,
                origins: self.origins,
            })
        } else {
            Err(ConfigError {
                problems: self.problems,
            })
        }
    }

    /// A Unix socket's path has 108 octets with its end (unix(7)).
    fn check_socket_path(&mut self) {
        let socket = self.config.api_socket();
        if socket.as_os_str().as_bytes().len() > MAX_SOCKET_PATH_BYTES {
            let set = if self.config.api.socket.is_some() {
                "api.socket"
            } else {
                "agent.runtime_directory"
            };
            let place = self.place_of(set);
            let message =
                format!("the path of the API socket is longer than {MAX_SOCKET_PATH_BYTES} bytes");
            self.refuse(
                ProblemCode::OutOfRange,
                place,
                message,
                Some("set a shorter `socket` in [api]".to_owned()),
            );
        }
    }

    /// An upstream that was refused may be the one that is meant.
    fn check_trust_upstream(&mut self) {
        let Some(name) = &self.config.trust.upstream else {
            return;
        };
        if !self.problems.is_empty() || self.config.trust_upstream().is_some() {
            return;
        }
        let message = format!("there is no upstream \"{}\"", Escaped::new(name));
        let hint = "take the `name` of a [[gateway.upstream]], or leave `upstream` out";
        let place = self.place_of("trust.upstream");
        self.refuse(ProblemCode::Conflict, place, message, Some(hint.to_owned()));
    }

    /// Where a key is stated.
    pub(super) fn place_of(&self, dotted: &str) -> Place {
        match self.origins.get(dotted) {
            Some(Origin::File { path, line }) => Place::Text {
                path: path.clone(),
                line: *line,
                column: 1,
            },
            Some(Origin::Environment(name)) => Place::Environment(name.clone()),
            Some(Origin::Default) | None => Place::Whole,
        }
    }
}

impl Reader<'_> {
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let (line, column) = position(self.text.as_bytes(), span.start);
        Place::Text {
            path: self.path.to_owned(),
            line,
            column,
        }
    }

    pub(super) fn origin(&self, span: Range<usize>) -> Origin {
        let (line, _) = position(self.text.as_bytes(), span.start);
        Origin::File {
            path: self.path.to_owned(),
            line,
        }
    }
}

/// Line and column (in characters), from 1, of an offset. The bytes before the offset are UTF-8.
pub(super) fn position(bytes: &[u8], offset: usize) -> (usize, usize) {
    let before = bytes.get(..offset).unwrap_or(bytes);
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    let column = before
        .iter()
        .rev()
        .take_while(|byte| **byte != b'\n')
        .filter(|byte| **byte & 0xC0 != 0x80)
        .count();
    (line.saturating_add(1), column.saturating_add(1))
}

/// A value as its key sees it.
pub(super) fn raw<'a>(value: &'a DeValue<'_>) -> Raw<'a> {
    match value {
        DeValue::String(text) => Raw::Text(text.as_ref()),
        DeValue::Integer(integer) => {
            Raw::Integer(i64::from_str_radix(integer.as_str(), integer.radix()).ok())
        }
        DeValue::Boolean(flag) => Raw::Flag(*flag),
        other => Raw::Other(type_name(other)),
    }
}

/// The type of a value, in words.
pub(super) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "date",
        DeValue::Array(_) => "list",
        DeValue::Table(_) => "table",
    }
}

/// The name of a type as the object of a sentence.
pub(super) fn article(type_name: &str) -> String {
    match type_name {
        "text" | "true or false" => type_name.to_owned(),
        "integer" => "an integer".to_owned(),
        other => format!("a {other}"),
    }
}

/// Judges a value by its key's rule and sets it.
fn set(config: &mut Config, key: &Key, raw: &Raw<'_>) -> Result<(), (ProblemCode, String)> {
    match (&key.rule, raw) {
        (Rule::Count { range, set }, Raw::Integer(count)) => {
            let within = count
                .and_then(|count| u64::try_from(count).ok())
                .filter(|count| range.contains(count));
            let count = within.ok_or_else(|| {
                (
                    ProblemCode::OutOfRange,
                    format!("must be from {} to {}", range.start(), range.end()),
                )
            })?;
            set(config, count);
        }
        (Rule::Flag { set }, Raw::Flag(flag)) => set(config, *flag),
        (Rule::Choice { allowed, set }, Raw::Text(word)) => {
            if !allowed.contains(word) {
                let meant = closest(word, allowed.iter().copied())
                    .map_or_else(String::new, |word| format!("; did you mean \"{word}\"?"));
                return Err((
                    ProblemCode::Value,
                    format!("cannot be \"{}\"{meant}", Escaped::new(word)),
                ));
            }
            set(config, word);
        }
        (Rule::Path { set }, Raw::Text(text)) => set(config, absolute_path(text)?),
        (Rule::Mode { set }, Raw::Text(text)) => set(config, mode(text)?),
        (Rule::Name { set }, Raw::Text(text)) => {
            check_name(text).map_err(|message| (ProblemCode::Value, message))?;
            set(config, text);
        }
        (rule, raw) => {
            return Err((
                ProblemCode::WrongType,
                format!("must be {}, not {}", wanted(rule), given(raw)),
            ));
        }
    }
    Ok(())
}

pub(super) fn absolute_path(text: &str) -> Result<PathBuf, (ProblemCode, String)> {
    if !text.starts_with('/') {
        return Err((
            ProblemCode::Value,
            format!(
                "must be an absolute path, \"{}\" is not",
                Escaped::new(text)
            ),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err((
            ProblemCode::Value,
            "must not contain control characters".to_owned(),
        ));
    }
    if text.len() > MAX_PATH_BYTES {
        return Err((
            ProblemCode::OutOfRange,
            format!("must not be longer than {MAX_PATH_BYTES} bytes"),
        ));
    }
    Ok(PathBuf::from(text))
}

pub(super) fn mode(text: &str) -> Result<u32, (ProblemCode, String)> {
    let octal =
        (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
    let mode = mode.ok_or_else(|| {
        (
            ProblemCode::Value,
            format!("must be octal digits, \"{}\" is not", Escaped::new(text)),
        )
    })?;
    if mode > 0o777 {
        Err((
            ProblemCode::OutOfRange,
            "must be from \"000\" to \"0777\"".to_owned(),
        ))
    } else {
        Ok(mode)
    }
}

/// Judges the form of a user or group name; whether it exists is seen later.
pub(super) fn check_name(text: &str) -> Result<(), String> {
    let plain = |char: char| !char.is_control() && !char.is_whitespace() && char != ':';
    if text.is_empty() || text.len() > MAX_NAME_BYTES || !text.chars().all(plain) {
        return Err(format!(
            "must be a name of 1 to {MAX_NAME_BYTES} bytes without blanks and colons"
        ));
    }
    Ok(())
}

fn wanted(rule: &Rule) -> String {
    match rule {
        Rule::Choice { allowed, .. } => format!("one of {}", quoted_list(allowed)),
        Rule::Count { .. } => "an integer".to_owned(),
        Rule::Flag { .. } => "true or false".to_owned(),
        Rule::Mode { .. } | Rule::Name { .. } | Rule::Path { .. } => "text in quotes".to_owned(),
    }
}

fn given(raw: &Raw<'_>) -> String {
    match raw {
        Raw::Flag(_) => "true or false".to_owned(),
        Raw::Integer(_) => "an integer".to_owned(),
        Raw::Other(name) => article(name),
        Raw::Text(_) => "text".to_owned(),
    }
}

fn hint_for(key: &Key) -> Option<String> {
    match &key.rule {
        Rule::Choice { allowed, .. } => Some(format!("allowed: {}", quoted_list(allowed))),
        Rule::Count { range, .. } => Some(format!(
            "{} = {}  # for example",
            key.name,
            (key.show)(&Config::default())
                .parse()
                .unwrap_or(*range.start())
        )),
        Rule::Mode { .. } => Some(format!("{} = \"0660\"  # for example", key.name)),
        Rule::Flag { .. } | Rule::Name { .. } | Rule::Path { .. } => None,
    }
}

fn unknown_key_hint(section: &str, name: &str) -> Option<String> {
    if let Some(meant) = closest(name, schema::names_in(section)) {
        return Some(format!("did you mean `{meant}`?"));
    }
    if let Some(other) = schema::section_of(name) {
        return Some(format!("`{name}` belongs to [{other}]"));
    }
    Some(format!(
        "keys of [{section}]: {}",
        schema::names_in(section).collect::<Vec<_>>().join(", ")
    ))
}

fn unknown_section_hint(name: &str) -> Option<String> {
    let sections = schema::SECTIONS.iter().copied();
    match closest(name, sections.chain([schema::RULES])) {
        Some(schema::RULES) => return Some("did you mean [[rule]]?".to_owned()),
        Some(meant) => return Some(format!("did you mean [{meant}]?")),
        None => {}
    }
    if let Some(section) = schema::section_of(name) {
        return Some(format!("`{name}` is a key of [{section}]"));
    }
    Some(format!("sections: {}", schema::SECTIONS.join(", ")))
}

pub(super) fn quoted_list(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("\"{word}\""))
        .collect::<Vec<_>>()
        .join(", ")
}

const MAX_NAME_BYTES: usize = 64;
const MAX_PATH_BYTES: usize = 1024;
pub(super) const MAX_SOCKET_PATH_BYTES: usize = 107;
