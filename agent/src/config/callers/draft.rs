//! From `[[api.caller]]` as written to a [`Caller`].

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::Origin;
use super::super::document::{Draft, Raw, Reader, article, check_name, raw, type_name};
use super::super::error::{Place, ProblemCode};
use super::super::names::{Names, Resolved};
use super::super::suggest::closest;
use super::{Caller, Rate, Verb, check_login_audience, check_publish_filter};
use crate::log::Escaped;

/// One entry as written; names are not looked up yet.
pub(in crate::config) struct DraftCaller {
    place: Place,
    origin: Origin,
    user: Option<(String, Place)>,
    uid: Option<u32>,
    group: Option<(String, Place)>,
    gid: Option<u32>,
    verbs: BTreeSet<Verb>,
    publish: Vec<String>,
    login: Vec<String>,
    rate: Rate,
    /// A key was refused: what is missing may just have been that one.
    incomplete: bool,
}

/// Reads `api.caller` of one file.
pub(in crate::config) fn read(
    draft: &mut Draft,
    reader: &Reader<'_>,
    value: &Spanned<DeValue<'_>>,
) {
    let DeValue::Array(entries) = value.get_ref() else {
        let message = format!(
            "`caller` must be a list of tables, not {}",
            article(type_name(value.get_ref()))
        );
        return draft.refuse(
            ProblemCode::WrongType,
            reader.place(value.span()),
            message,
            Some("write [[api.caller]], with two brackets".to_owned()),
        );
    };
    for entry in entries.iter() {
        let place = reader.place(entry.span());
        if draft.callers.len() >= MAX_CALLERS {
            return draft.refuse(
                ProblemCode::OutOfRange,
                place,
                format!("more than {MAX_CALLERS} callers"),
                Some("use groups".to_owned()),
            );
        }
        match entry.get_ref() {
            DeValue::Table(table) => {
                let mut caller = DraftCaller::new(place, reader.origin(entry.span()));
                caller.read(draft, reader, table);
                draft.callers.push(caller);
            }
            other => {
                let message = format!(
                    "a caller must be a table, not {}",
                    article(type_name(other))
                );
                draft.refuse(
                    ProblemCode::WrongType,
                    place,
                    message,
                    Some("write [[api.caller]], with two brackets".to_owned()),
                );
            }
        }
    }
}

/// Why one key of a caller is refused.
type KeyRefusal = (ProblemCode, Place, String, Option<String>);

impl DraftCaller {
    fn new(place: Place, origin: Origin) -> Self {
        Self {
            place,
            origin,
            user: None,
            uid: None,
            group: None,
            gid: None,
            verbs: BTreeSet::new(),
            publish: Vec::new(),
            login: Vec::new(),
            rate: DEFAULT_RATE,
            incomplete: false,
        }
    }

    fn read(&mut self, draft: &mut Draft, reader: &Reader<'_>, table: &DeTable<'_>) {
        for (key, value) in table {
            if draft.is_full() {
                return;
            }
            let name = key.get_ref().as_ref();
            if let Err((code, place, message, hint)) =
                self.read_key(reader, name, reader.place(key.span()), value)
            {
                self.incomplete = true;
                draft.refuse(code, place, message, hint);
            }
        }
    }

    fn read_key(
        &mut self,
        reader: &Reader<'_>,
        name: &str,
        key_place: Place,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), KeyRefusal> {
        match name {
            "user" => self.user = Some(name_value(reader, name, value)?),
            "group" => self.group = Some(name_value(reader, name, value)?),
            "uid" => self.uid = Some(number_value(reader, name, value, &IDENTIFIERS)?),
            "gid" => self.gid = Some(number_value(reader, name, value, &IDENTIFIERS)?),
            "requests_per_second" => {
                self.rate.requests_per_second = number_value(reader, name, value, &(1..=100_000))?
            }
            "burst" => self.rate.burst = number_value(reader, name, value, &(1..=1_000_000))?,
            "verbs" => self.verbs = list_value(reader, name, value, verb)?.into_iter().collect(),
            "publish" => {
                self.publish = list_value(reader, name, value, |filter| {
                    check_publish_filter(filter).map(|()| filter.to_owned())
                })?
            }
            "login" => {
                self.login = list_value(reader, name, value, |audience| {
                    check_login_audience(audience).map(|()| audience.to_owned())
                })?
            }
            unknown => {
                let meant = closest(unknown, CALLER_KEYS.iter().copied())
                    .map(|meant| format!("did you mean `{meant}`?"));
                let hint = meant.or_else(|| {
                    Some(format!(
                        "keys of [[api.caller]]: {}",
                        CALLER_KEYS.join(", ")
                    ))
                });
                return Err((
                    ProblemCode::UnknownKey,
                    key_place,
                    format!("unknown key `{}` in [[api.caller]]", Escaped::new(unknown)),
                    hint,
                ));
            }
        }
        Ok(())
    }

    pub(in crate::config) fn collect_names(&self, names: &mut Names) {
        names
            .users
            .extend(self.user.iter().map(|(name, _)| name.clone()));
        names
            .groups
            .extend(self.group.iter().map(|(name, _)| name.clone()));
    }

    /// The entry, if it says who and what, without contradiction.
    pub(in crate::config) fn finish(
        mut self,
        draft: &mut Draft,
        resolved: &Resolved,
    ) -> Option<Caller> {
        if self.incomplete {
            return None;
        }
        if let Some((message, hint)) = self.contradiction() {
            draft.refuse(
                ProblemCode::Conflict,
                self.place,
                message.to_owned(),
                Some(hint.to_owned()),
            );
            return None;
        }
        if let Some((name, place)) = self.user.take() {
            self.uid = resolved.users.get(&name).copied();
            if self.uid.is_none() {
                draft.refuse(
                    ProblemCode::UnknownName,
                    place,
                    format!("user `{}` is not in /etc/passwd", Escaped::new(&name)),
                    Some("create it, correct the name, or state `uid`".to_owned()),
                );
                return None;
            }
        }
        if let Some((name, place)) = self.group.take() {
            self.gid = resolved.groups.get(&name).copied();
            if self.gid.is_none() {
                draft.refuse(
                    ProblemCode::UnknownName,
                    place,
                    format!("group `{}` is not in /etc/group", Escaped::new(&name)),
                    Some("create it, correct the name, or state `gid`".to_owned()),
                );
                return None;
            }
        }
        let Self {
            uid,
            gid,
            verbs,
            publish,
            login,
            rate,
            origin,
            ..
        } = self;
        Some(Caller {
            uid,
            gid,
            verbs,
            publish,
            login,
            rate,
            origin,
        })
    }

    fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        if self.user.is_some() && self.uid.is_some() {
            return Some(("this caller states `user` and `uid`", "state one of them"));
        }
        if self.group.is_some() && self.gid.is_some() {
            return Some(("this caller states `group` and `gid`", "state one of them"));
        }
        if self.user.is_none() && self.uid.is_none() && self.group.is_none() && self.gid.is_none() {
            return Some((
                "this caller says not who it is",
                "state `user`, `uid`, `group` or `gid`",
            ));
        }
        if self.verbs.is_empty() {
            return Some((
                "this caller may do nothing",
                "list what it may do: verbs = [\"sign\", \"verify\"]",
            ));
        }
        if self.verbs.contains(&Verb::Sign) == self.publish.is_empty() {
            return Some((
                "verb `sign` and list `publish` need each other",
                "list the topics: publish = [\"site/pump/#\"], or leave both out",
            ));
        }
        if self.verbs.contains(&Verb::Login) == self.login.is_empty() {
            return Some((
                "verb `login` and list `login` need each other",
                "list the audiences: login = [\"login:broker\"], or leave both out",
            ));
        }
        None
    }
}

fn verb(text: &str) -> Result<Verb, String> {
    let known = Verb::ALL
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, verb)| *verb);
    known.ok_or_else(
        || match closest(text, Verb::ALL.iter().map(|(name, _)| *name)) {
            Some(meant) => format!("is no verb; did you mean \"{meant}\"?"),
            None => format!(
                "is no verb; there are {}",
                Verb::ALL.map(|(name, _)| name).join(", ")
            ),
        },
    )
}

fn name_value(
    reader: &Reader<'_>,
    name: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<(String, Place), KeyRefusal> {
    let place = reader.place(value.span());
    match raw(value.get_ref()) {
        Raw::Text(text) => match check_name(text) {
            Ok(()) => Ok((text.to_owned(), place)),
            Err(message) => Err((
                ProblemCode::Value,
                place,
                format!("`{name}` {message}"),
                None,
            )),
        },
        _ => {
            let hint = format!(
                "a number is stated as `{}`",
                if name == "user" { "uid" } else { "gid" }
            );
            Err((
                ProblemCode::WrongType,
                place,
                format!("`{name}` must be text in quotes"),
                Some(hint),
            ))
        }
    }
}

fn number_value(
    reader: &Reader<'_>,
    name: &str,
    value: &Spanned<DeValue<'_>>,
    range: &RangeInclusive<u32>,
) -> Result<u32, KeyRefusal> {
    let place = reader.place(value.span());
    let Raw::Integer(number) = raw(value.get_ref()) else {
        let message = format!(
            "`{name}` must be an integer, not {}",
            article(type_name(value.get_ref()))
        );
        return Err((ProblemCode::WrongType, place, message, None));
    };
    let within = number
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| range.contains(number));
    within.ok_or_else(|| {
        (
            ProblemCode::OutOfRange,
            place,
            format!("`{name}` must be from {} to {}", range.start(), range.end()),
            None,
        )
    })
}

fn list_value<T>(
    reader: &Reader<'_>,
    name: &str,
    value: &Spanned<DeValue<'_>>,
    item: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, KeyRefusal> {
    let DeValue::Array(entries) = value.get_ref() else {
        let message = format!(
            "`{name}` must be a list, not {}",
            article(type_name(value.get_ref()))
        );
        return Err((
            ProblemCode::WrongType,
            reader.place(value.span()),
            message,
            Some(format!("{name} = [\"...\"]")),
        ));
    };
    if entries.len() > MAX_LIST_ENTRIES {
        return Err((
            ProblemCode::OutOfRange,
            reader.place(value.span()),
            format!("`{name}` has more than {MAX_LIST_ENTRIES} entries"),
            None,
        ));
    }
    let one = |entry: &Spanned<DeValue<'_>>| match raw(entry.get_ref()) {
        Raw::Text(text) => item(text).map_err(|message| {
            (
                ProblemCode::Value,
                reader.place(entry.span()),
                format!("`{name}`: \"{}\" {message}", Escaped::new(text)),
                None,
            )
        }),
        _ => Err((
            ProblemCode::WrongType,
            reader.place(entry.span()),
            format!(
                "an entry of `{name}` must be text in quotes, not {}",
                article(type_name(entry.get_ref()))
            ),
            None,
        )),
    };
    entries.iter().map(one).collect()
}

const CALLER_KEYS: &[&str] = &[
    "user",
    "uid",
    "group",
    "gid",
    "verbs",
    "publish",
    "login",
    "requests_per_second",
    "burst",
];
const DEFAULT_RATE: Rate = Rate {
    requests_per_second: 100,
    burst: 200,
};
/// 2^32 - 1 means "no change" in chown(2) and is nobody.
const IDENTIFIERS: RangeInclusive<u32> = 0..=4_294_967_294;
const MAX_CALLERS: usize = 64;
const MAX_LIST_ENTRIES: usize = 64;
