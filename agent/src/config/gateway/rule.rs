//! From `[[rule]]` as written to a [`Rule`].

use edgeseal_trust::token::{AsPublished, Kind};
use edgeseal_trust::topic::TopicFilter;

use super::super::document::Draft;
use super::super::entry::{Entry, EntryKind, Field, Refusal, Stated};
use super::super::error::ProblemCode;
use super::filter;
use crate::gateway::rules::{
    AcceptedKinds, AudienceTemplate, Form, IncomingRule, IncomingSettings, Mode, OutgoingRule,
    Rule, RuleName,
};

/// One rule as written.
pub(super) struct DraftRule {
    pub(super) entry: Entry,
    topic: Option<TopicFilter>,
    mode: Mode,
    audience: Option<String>,
    outgoing: OutgoingRule,
    accept: Option<AcceptedKinds>,
    incoming: IncomingSettings,
}

impl DraftRule {
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            entry,
            topic: None,
            mode: Mode::default(),
            audience: None,
            outgoing: OutgoingRule::default(),
            accept: None,
            incoming: IncomingSettings::default(),
        }
    }

    /// The rule, if nothing is wrong with it; `number` counts from 1.
    pub(super) fn finish(mut self, draft: &mut Draft, number: usize) -> Option<Rule> {
        if self.entry.incomplete {
            return None;
        }
        let mut problems = self.contradictions();
        let kind = self.outgoing.kind;
        problems.extend(self.lifetime_too_long(kind));
        let Some(filter) = self.topic.take() else {
            let message = "this rule says not which topics it is for";
            problems.push(
                self.entry
                    .conflict("", message, "state `topic`, as in \"site/+/cmd\""),
            );
            return refused(draft, problems);
        };
        match self.audience(&filter) {
            Ok(audience) => self.outgoing.audience = audience,
            Err(problem) => problems.push(problem),
        }
        self.incoming.accept = self
            .accept
            .unwrap_or_else(|| AcceptedKinds::by_default(kind));
        problems.extend(self.statement_and_command());
        if !problems.is_empty() {
            return refused(draft, problems);
        }
        Some(Rule {
            name: RuleName::numbered(number, &filter),
            filter,
            mode: self.mode,
            outgoing: self.outgoing,
            incoming: IncomingRule::new(&self.incoming),
        })
    }

    /// Keys that have no effect beside others: whoever wrote them expects one.
    fn contradictions(&self) -> Vec<Refusal> {
        let (keys, why, hint): (&[&str], _, _) = if self.mode == Mode::Pass {
            let why = "has no effect: mode \"pass\" neither signs nor judges";
            let others = RULE.keys.get(ALWAYS_IN_EFFECT..).unwrap_or_default();
            (others, why, "leave it out, or take another mode")
        } else if self.outgoing.relay {
            let why = "has no effect: what is relayed is passed as it was signed elsewhere";
            (OF_SIGNING, why, "leave it out, or relay")
        } else {
            return Vec::new();
        };
        keys.iter()
            .filter(|key| self.entry.has(key))
            .map(|key| self.entry.conflict(key, format!("`{key}` {why}"), hint))
            .collect()
    }

    fn lifetime_too_long(&self, kind: Kind) -> Option<Refusal> {
        let ceiling = kind.lifetime_ceiling_seconds();
        self.outgoing
            .lifetime_seconds
            .filter(|seconds| *seconds > ceiling)
            .map(|_| Refusal {
                code: ProblemCode::OutOfRange,
                place: self.entry.place_of("lifetime_seconds"),
                message: format!(
                    "`lifetime_seconds` of a {kind} must be from 1 to {ceiling} ({} days)",
                    ceiling / DAY
                ),
                hint: None,
            })
    }

    fn audience(&self, filter: &TopicFilter) -> Result<AudienceTemplate, Refusal> {
        let Some(text) = &self.audience else {
            return Ok(AudienceTemplate::default());
        };
        AudienceTemplate::parse(text, filter).map_err(|why| Refusal {
            code: ProblemCode::Value,
            place: self.entry.place_of("audience"),
            message: format!("`audience` {why}"),
            hint: Some(format!(
                "levels of `topic` count from 1: \"{filter}\" with audience = \"device:{{2}}\" takes the second"
            )),
        })
    }

    fn statement_and_command(&self) -> Vec<Refusal> {
        let mut problems = Vec::new();
        let retained = self.outgoing.kind == Kind::Retained;
        if retained && self.incoming.command {
            problems.push(self.entry.conflict(
                "command",
                "a command is no retained statement: it would be carried out again at every start",
                "leave out `command`, or set kind = \"message\"",
            ));
        } else if self.incoming.command && !self.incoming.accept.message {
            problems.push(self.entry.conflict(
                "accept",
                "commands are messages, and this rule accepts none",
                "leave `accept` out, or leave out `command`",
            ));
        }
        if retained && !self.outgoing.audience.is_domain() {
            problems.push(self.entry.conflict(
                "audience",
                "a retained statement is for the whole domain",
                "leave `audience` out, or set kind = \"message\"",
            ));
        }
        problems
    }
}

impl Stated for DraftRule {
    fn entry(&mut self) -> &mut Entry {
        &mut self.entry
    }

    fn take(&mut self, field: &Field<'_>, _: &mut Draft) -> Result<(), Refusal> {
        let (outgoing, incoming) = (&mut self.outgoing, &mut self.incoming);
        match field.name() {
            "topic" => self.topic = Some(field.parsed(rule_topic)?),
            "mode" => self.mode = field.choice(&MODES)?,
            "audience" => self.audience = Some(field.text()?.to_owned()),
            "lifetime_seconds" => {
                let longest = Kind::Retained.lifetime_ceiling_seconds();
                outgoing.lifetime_seconds = Some(field.number(&(1..=longest))?);
            }
            "form" => outgoing.form = field.choice(&FORMS)?,
            "kind" => outgoing.kind = kind(field)?,
            "vouch" => outgoing.vouch = field.flag()?,
            "relay" => outgoing.relay = field.flag()?,
            "accept" => self.accept = Some(accept(field)?),
            "command" => incoming.command = field.flag()?,
            "max_age_seconds" => {
                incoming.max_age_seconds = Some(field.number(&(1..=MAX_AGE_SECONDS))?);
            }
            "receive_audience" => {
                incoming.any_audience = field.choice(&[("own", false), ("any", true)])?;
            }
            "as_published" => incoming.as_published = as_published(field)?,
            "after_power_loss" => {
                incoming.after_power_loss = field.choice(&[("refuse", false), ("accept", true)])?;
            }
            "bind_user_properties" => incoming.bind_user_properties = field.flag()?,
            _ => return Err(field.unknown()),
        }
        Ok(())
    }
}

fn refused(draft: &mut Draft, problems: Vec<Refusal>) -> Option<Rule> {
    for problem in problems {
        draft.refuse_entry(problem);
    }
    None
}

/// A rule's filter. The device may not be known yet when the rules are made.
fn rule_topic(text: &str) -> Result<TopicFilter, String> {
    if text.contains("{device}") {
        return Err(
            "cannot have {device} in it: use `+`, the grants of a device say the rest".to_owned(),
        );
    }
    filter(text)
}

fn kind(field: &Field<'_>) -> Result<Kind, Refusal> {
    if field.text()? == Kind::Will.as_str() {
        let hint = "a will is always signed as a will; `accept` says whether one is received";
        return Err(field.refusal(ProblemCode::Value, "cannot be \"will\"", Some(hint)));
    }
    field.choice(&[
        (Kind::Message.as_str(), Kind::Message),
        (Kind::Retained.as_str(), Kind::Retained),
    ])
}

fn accept(field: &Field<'_>) -> Result<AcceptedKinds, Refusal> {
    let kinds = field.list(|word| {
        [Kind::Message, Kind::Retained, Kind::Will]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or("is no kind; there are message, retained, will")
    })?;
    if kinds.is_empty() {
        let what = "must name at least one of message, retained, will";
        let hint = "whoever may receive nothing is not on the list `subscribe` of a listener";
        return Err(field.refusal(ProblemCode::Value, what, Some(hint)));
    }
    Ok(kinds
        .into_iter()
        .fold(AcceptedKinds::NONE, AcceptedKinds::with))
}

fn as_published(field: &Field<'_>) -> Result<Option<AsPublished>, Refusal> {
    let mut mapping = AsPublished {
        remove: String::new(),
        add: String::new(),
    };
    field.table(&AS_PUBLISHED, |part| {
        match part.name() {
            "remove" => mapping.remove = part.parsed(prefix)?,
            "add" => mapping.add = part.parsed(prefix)?,
            _ => return Err(part.unknown()),
        }
        Ok(())
    })?;
    let maps = !mapping.remove.is_empty() || !mapping.add.is_empty();
    Ok(maps.then_some(mapping))
}

fn prefix(text: &str) -> Result<String, &'static str> {
    if text.contains(['+', '#']) || text.chars().any(char::is_control) || text.len() > 1024 {
        return Err("must be the beginning of a topic: at most 1024 bytes, no wildcards");
    }
    Ok(text.to_owned())
}

pub(super) const RULE: EntryKind = EntryKind {
    title: "[[rule]]",
    word: "rule",
    keys: &[
        "topic",
        "mode",
        "audience",
        "lifetime_seconds",
        "form",
        "kind",
        "vouch",
        "relay",
        "accept",
        "command",
        "max_age_seconds",
        "receive_audience",
        "as_published",
        "after_power_loss",
        "bind_user_properties",
    ],
    max: 256,
    too_many: "wildcards make one rule of many",
};
const AS_PUBLISHED: EntryKind = EntryKind {
    title: "as_published = { remove = \"\", add = \"\" }",
    word: "as_published",
    keys: &["remove", "add"],
    max: 1,
    too_many: "",
};
/// `topic` and `mode` come first among the keys of a rule; both have an effect whatever the others say.
const ALWAYS_IN_EFFECT: usize = 2;
const OF_SIGNING: &[&str] = &["audience", "lifetime_seconds", "form", "vouch"];
const MODES: [(&str, Mode); 3] = [
    ("enforce", Mode::Enforce),
    ("observe", Mode::Observe),
    ("pass", Mode::Pass),
];
const FORMS: [(&str, Form); 2] = [("property", Form::Property), ("envelope", Form::Envelope)];
const MAX_AGE_SECONDS: u64 = 365 * DAY;
const DAY: u64 = 86_400;
