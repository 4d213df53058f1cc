//! For whom a message is, as a rule states it: a fixed audience, or one named by levels of the topic.

use edgeseal_trust::id::{Audience, InvalidName, Name};
use edgeseal_trust::topic::{Topic, TopicFilter};
use std::fmt;

/// The audience of a rule: `domain`, `domain:NAME`, `device:TEXT` or `group:TEXT`, where `{1}` to
/// `{128}` in TEXT stand for levels of the topic, counted from 1.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AudienceTemplate {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Level(usize),
    Text(String),
}

/// Why a text is no audience of a rule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidTemplate {
    /// Not one of the forms.
    #[error("must be domain, domain:NAME, device:ID or group:NAME")]
    Form,
    /// Braces around something else than the number of a level.
    #[error("braces stand around the number of a topic level: {{1}} to {{{MAX_LEVEL}}}")]
    Level,
    /// An audience that no message has.
    #[error("login: is for login tokens, no message has such an audience")]
    Login,
    /// The topics of the rule have no such level.
    #[error("the topics of this rule have no level {0}")]
    NoLevel(usize),
    /// The fixed parts already make the name wrong.
    #[error("gives \"{0}\", which is no valid name")]
    NoName(String),
}

/// Why a topic gives no audience.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AudienceRefused {
    /// The topic has fewer levels.
    #[error("the audience names topic level {level}, and this topic has only {levels}")]
    NoLevel {
        /// The level, from 1.
        level: usize,
        /// How many the topic has.
        levels: usize,
    },
    /// What the levels give is no name.
    #[error("the topic gives the audience \"{text}\", which is no valid name")]
    NoName {
        /// The audience that it would have been.
        text: String,
    },
}

impl AudienceTemplate {
    /// Judges the audience of a rule. What is plain from the filter alone is refused here: a level
    /// that its topics cannot have, or a literal level that is no name.
    ///
    /// # Errors
    /// [`InvalidTemplate`].
    pub fn parse(text: &str, filter: &TopicFilter) -> Result<Self, InvalidTemplate> {
        if text == DOMAIN {
            return Ok(Self::default());
        }
        let (kind, name) = text.split_once(':').ok_or(InvalidTemplate::Form)?;
        match kind {
            "device" | "group" => {}
            "domain" if !name.contains(['{', '}']) => {}
            "login" => return Err(InvalidTemplate::Login),
            _ => return Err(InvalidTemplate::Form),
        }
        let template = Self {
            text: text.to_owned(),
            parts: parts(text)?,
        };
        template.check_against(filter)?;
        Ok(template)
    }

    /// The audience of a message on `topic`; nothing for the whole domain of this device.
    ///
    /// # Errors
    /// [`AudienceRefused`]: the message is refused, never sent to another audience.
    pub fn expand(&self, topic: Topic<'_>) -> Result<Option<Audience>, AudienceRefused> {
        if self.parts.is_empty() {
            return Ok(None);
        }
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Level(level) => {
                    let mut levels = topic.as_str().split('/');
                    let found = levels.nth(level.saturating_sub(1)).ok_or_else(|| {
                        AudienceRefused::NoLevel {
                            level: *level,
                            levels: topic.as_str().split('/').count(),
                        }
                    })?;
                    text.push_str(found);
                }
            }
        }
        match Audience::parse(&text) {
            Ok(audience) => Ok(Some(audience)),
            Err(_) => Err(AudienceRefused::NoName { text }),
        }
    }

    /// Whether it is the whole domain of this device.
    #[must_use]
    pub fn is_domain(&self) -> bool {
        self.parts.is_empty() || self.text.starts_with("domain:")
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if self.parts.is_empty() {
            DOMAIN
        } else {
            &self.text
        }
    }

    fn check_against(&self, filter: &TopicFilter) -> Result<(), InvalidTemplate> {
        let levels: Vec<&str> = filter.as_str().split('/').collect();
        let open = levels.last() == Some(&"#");
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Level(level) => match levels.get(level.saturating_sub(1)) {
                    // A name that stands for whatever comes: "0" goes everywhere in a name.
                    Some(&"+" | &"#") => text.push('0'),
                    Some(literal) => text.push_str(literal),
                    None if open => text.push('0'),
                    None => return Err(InvalidTemplate::NoLevel(*level)),
                },
            }
        }
        if Audience::parse(&text).is_ok() {
            return Ok(());
        }
        let name = text.split_once(':').map_or("", |(_, name)| name);
        let valid: Result<Name<()>, InvalidName> = Name::parse(name);
        Err(match valid {
            Ok(_) => InvalidTemplate::Form,
            Err(_) => InvalidTemplate::NoName(name.to_owned()),
        })
    }
}

impl fmt::Display for AudienceTemplate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

fn parts(text: &str) -> Result<Vec<Part>, InvalidTemplate> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (number, after) = after.split_once('}').ok_or(InvalidTemplate::Level)?;
        let level = number
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| number.parse().ok())
            .flatten()
            .filter(|level| (1..=MAX_LEVEL).contains(level))
            .ok_or(InvalidTemplate::Level)?;
        if before.contains('}') {
            return Err(InvalidTemplate::Level);
        }
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        parts.push(Part::Level(level));
        rest = after;
    }
    if rest.contains('}') {
        return Err(InvalidTemplate::Level);
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

const DOMAIN: &str = "domain";
const MAX_LEVEL: usize = 128;
