//! What a rule says of messages that programs receive, as the verifier takes it.

use edgeseal_trust::token::{AsPublished, Kind, ReceiveRule};
use std::fmt;

/// Which kinds of statement a topic takes. Never empty.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AcceptedKinds {
    /// Messages.
    pub message: bool,
    /// Retained statements.
    pub retained: bool,
    /// Wills.
    pub will: bool,
}

/// What a rule says of incoming messages, before it is made ready for the verifier.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IncomingSettings {
    /// Which kinds are accepted.
    pub accept: AcceptedKinds,
    /// The topic carries commands: only messages are accepted, whatever `accept` says, and none
    /// issued before the start.
    pub command: bool,
    /// Nothing older is accepted, in seconds.
    pub max_age_seconds: Option<u64>,
    /// Every audience is accepted, and the verdict says so.
    pub any_audience: bool,
    /// What a bridge does to the topic.
    pub as_published: Option<AsPublished>,
    /// A repeat after a power cut does no harm: what was issued before this device could remember
    /// is accepted.
    pub after_power_loss: bool,
    /// User properties are bound to the token; otherwise they are removed before delivery.
    pub bind_user_properties: bool,
}

/// What a rule says of incoming messages, with one [`ReceiveRule`] ready for each accepted kind.
#[derive(Clone, Debug, PartialEq)]
pub struct IncomingRule {
    /// Which kinds are accepted. Commands: messages alone.
    pub accept: AcceptedKinds,
    ready: [ReceiveRule; 3],
}

impl AcceptedKinds {
    /// None of them, to begin with.
    pub const NONE: Self = Self {
        message: false,
        retained: false,
        will: false,
    };

    /// Messages alone.
    pub const MESSAGE: Self = Self {
        message: true,
        ..Self::NONE
    };

    /// What a rule accepts that does not say: what we sign on its topics, and wills.
    #[must_use]
    pub const fn by_default(kind: Kind) -> Self {
        Self::NONE.with(kind).with(Kind::Will)
    }

    /// These and one more.
    #[must_use]
    pub const fn with(mut self, kind: Kind) -> Self {
        match kind {
            Kind::Message => self.message = true,
            Kind::Retained => self.retained = true,
            Kind::Will => self.will = true,
        }
        self
    }

    /// Whether a kind is among them.
    #[must_use]
    pub const fn contains(self, kind: Kind) -> bool {
        match kind {
            Kind::Message => self.message,
            Kind::Retained => self.retained,
            Kind::Will => self.will,
        }
    }

    /// They in order: message, retained, will.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        KINDS.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl IncomingRule {
    /// Makes the verifier's rules.
    #[must_use]
    pub fn new(settings: &IncomingSettings) -> Self {
        let ready = KINDS.map(|kind| ReceiveRule {
            kind,
            any_audience: settings.any_audience,
            max_age_seconds: settings.max_age_seconds,
            command: settings.command,
            after_power_loss: settings.after_power_loss && !settings.command,
            ignore_user_properties: !settings.bind_user_properties,
            as_published: settings.as_published.clone(),
        });
        let accept = if settings.command {
            AcceptedKinds::MESSAGE
        } else {
            settings.accept
        };
        Self { accept, ready }
    }

    /// The verifier's rule for tokens of this kind; nothing where the kind is not accepted.
    #[must_use]
    pub fn receive(&self, kind: Kind) -> Option<&ReceiveRule> {
        self.accept.contains(kind).then(|| self.of(kind))
    }

    /// The verifier's rule for a message without payload, which deletes a retained statement; nothing where none
    /// is accepted.
    #[must_use]
    pub fn deletion(&self) -> Option<&ReceiveRule> {
        self.receive(Kind::Retained).map(|_| self.of(Kind::Message))
    }

    /// The verifier's rule for what has no kind of its own (no token, or one whose `typ` is none of
    /// ours): that of the first accepted kind, by which it is refused with its proper code.
    #[must_use]
    pub fn first(&self) -> &ReceiveRule {
        self.of(self.accept.iter().next().unwrap_or_default())
    }

    fn of(&self, kind: Kind) -> &ReceiveRule {
        let [message, retained, will] = &self.ready;
        match kind {
            Kind::Message => message,
            Kind::Retained => retained,
            Kind::Will => will,
        }
    }
}

impl Default for IncomingSettings {
    fn default() -> Self {
        Self {
            accept: AcceptedKinds::by_default(Kind::Message),
            command: false,
            max_age_seconds: None,
            any_audience: false,
            as_published: None,
            after_power_loss: false,
            bind_user_properties: true,
        }
    }
}

impl Default for IncomingRule {
    fn default() -> Self {
        Self::new(&IncomingSettings::default())
    }
}

impl fmt::Display for AcceptedKinds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.iter().map(Kind::as_str).collect();
        out.write_str(&words.join(", "))
    }
}

const KINDS: [Kind; 3] = [Kind::Message, Kind::Retained, Kind::Will];
