//! From `[[api.caller]]` as written to a [`Caller`].

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::DeValue;

use super::super::document::{Draft, Reader};
use super::super::entry::{Entry, EntryKind, Field, Refusal, Stated, read_all};
use super::super::names::{Names, Resolved};
use super::super::suggest::closest;
use super::super::who::Who;
use super::{Caller, Rate, Verb, check_login_audience, check_publish_filter};

/// One entry as written; names are not looked up yet.
pub(in crate::config) struct DraftCaller {
    entry: Entry,
    who: Who,
    verbs: BTreeSet<Verb>,
    publish: Vec<String>,
    login: Vec<String>,
    rate: Rate,
}

/// Reads `api.caller` of one file.
pub(in crate::config) fn read(
    draft: &mut Draft,
    reader: &Reader<'_>,
    value: &Spanned<DeValue<'_>>,
) {
    let before = draft.callers.len();
    let read = read_all(draft, reader, &CALLER, value, before, DraftCaller::new);
    draft.callers.extend(read);
}

impl DraftCaller {
    fn new(entry: Entry) -> Self {
        Self {
            entry,
            who: Who::default(),
            verbs: BTreeSet::new(),
            publish: Vec::new(),
            login: Vec::new(),
            rate: DEFAULT_RATE,
        }
    }
}

impl Stated for DraftCaller {
    fn entry(&mut self) -> &mut Entry {
        &mut self.entry
    }

    fn take(&mut self, field: &Field<'_>, _: &mut Draft) -> Result<(), Refusal> {
        if self.who.take(field)? {
            return Ok(());
        }
        match field.name() {
            "requests_per_second" => {
                self.rate.requests_per_second = field.number(&(1..=100_000))?
            }
            "burst" => self.rate.burst = field.number(&(1..=1_000_000))?,
            "verbs" => self.verbs = field.list(verb)?.into_iter().collect(),
            "publish" => {
                self.publish =
                    field.list(|filter| check_publish_filter(filter).map(|()| filter.to_owned()))?
            }
            "login" => {
                self.login = field
                    .list(|audience| check_login_audience(audience).map(|()| audience.to_owned()))?
            }
            _ => return Err(field.unknown()),
        }
        Ok(())
    }
}

impl DraftCaller {
    pub(in crate::config) fn collect_names(&self, names: &mut Names) {
        self.who.collect_names(names);
    }

    /// The entry, if it says who and what, without contradiction.
    pub(in crate::config) fn finish(
        self,
        draft: &mut Draft,
        resolved: &Resolved,
    ) -> Option<Caller> {
        if self.entry.incomplete {
            return None;
        }
        self.judged(resolved)
            .map_err(|refusal| draft.refuse_entry(refusal))
            .ok()
    }

    fn judged(self, resolved: &Resolved) -> Result<Caller, Refusal> {
        let Self {
            entry,
            who,
            verbs,
            publish,
            login,
            rate,
        } = self;
        let (uid, gid) = who.finish(&entry, "caller", resolved)?;
        if verbs.is_empty() {
            return Err(entry.conflict(
                "",
                "this caller may do nothing",
                "list what it may do: verbs = [\"sign\", \"verify\"]",
            ));
        }
        if verbs.contains(&Verb::Sign) == publish.is_empty() {
            return Err(entry.conflict(
                "",
                "verb `sign` and list `publish` need each other",
                "list the topics: publish = [\"site/pump/#\"], or leave both out",
            ));
        }
        if verbs.contains(&Verb::Login) == login.is_empty() {
            return Err(entry.conflict(
                "",
                "verb `login` and list `login` need each other",
                "list the audiences: login = [\"login:broker\"], or leave both out",
            ));
        }
        Ok(Caller {
            uid,
            gid,
            verbs,
            publish,
            login,
            rate,
            origin: entry.origin,
        })
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

const CALLER: EntryKind = EntryKind {
    title: "[[api.caller]]",
    word: "caller",
    keys: &[
        "user",
        "uid",
        "group",
        "gid",
        "verbs",
        "publish",
        "login",
        "requests_per_second",
        "burst",
    ],
    max: 64,
    too_many: "use groups",
};
const DEFAULT_RATE: Rate = Rate {
    requests_per_second: 100,
    burst: 200,
};
