//! Rules in words: one sentence for what programs publish, one for what they receive.

use super::{AudienceTemplate, Form, Mode, OutgoingRule, Rule};
use edgeseal_trust::limits;
use edgeseal_trust::token::{Kind, ReceiveRule};

impl Rule {
    /// What happens to a message that a program publishes. `on` is the topic or the filter that the
    /// sentence is about, `audience` for whom the message is, and `message_lifetime_seconds` the
    /// lifetime of messages where the rule states none.
    #[must_use]
    pub fn publish_sentence(
        &self,
        on: &str,
        audience: &str,
        message_lifetime_seconds: u64,
    ) -> String {
        if self.mode == Mode::Pass {
            return format!("A message published on {on} passes as it is: it is not signed.");
        }
        let outgoing = &self.outgoing;
        if outgoing.relay {
            return format!(
                "A message published on {on} must carry a token already and passes as it is; \
                 without a token it is refused."
            );
        }
        let seconds = outgoing.lifetime(message_lifetime_seconds);
        let mut sentence = format!(
            "A message published on {on} is signed as {} for {audience}, valid {}",
            what(outgoing.kind),
            span(seconds),
        );
        let granted = match outgoing.kind {
            Kind::Message => seconds > limits::MESSAGE_LIFETIME_SECONDS,
            Kind::Retained | Kind::Will => true,
        };
        if granted {
            sentence.push_str(" (if a grant of the device allows it)");
        }
        sentence.push_str(match outgoing.form {
            Form::Property => {
                ", with its token as property (as envelope where the broker knows only MQTT 3.1.1)"
            }
            Form::Envelope => ", in an envelope with its token",
        });
        if outgoing.vouch {
            sentence.push_str(", vouching for others");
        }
        sentence.push('.');
        if outgoing.kind == Kind::Message {
            // How long a session is kept, its program says at CONNECT: no configuration knows it.
            sentence.push_str(&format!(
                " What waits longer than {} at the broker, in the session of a receiver that is away, is refused there as expired.",
                span(seconds)
            ));
        }
        sentence
    }

    /// What must be true of a message that a program receives. `on` as above.
    #[must_use]
    pub fn receive_sentence(&self, on: &str) -> String {
        if self.mode == Mode::Pass {
            return format!("A message received on {on} is delivered as it is: it is not judged.");
        }
        let conditions = self.conditions();
        let mut sentence = match self.mode {
            Mode::Observe => format!(
                "A message received on {on} is delivered in any case, marked as what it is only \
                 when {conditions}."
            ),
            Mode::Enforce | Mode::Pass => {
                format!("A message received on {on} is delivered only when {conditions}.")
            }
        };
        if self.incoming.first().ignore_user_properties {
            sentence.push_str(" Its user properties are not bound, and removed.");
        }
        sentence
    }

    fn conditions(&self) -> String {
        let (accept, received) = (self.incoming.accept, self.incoming.first());
        let kinds: Vec<&str> = accept.iter().map(what).collect();
        let mut parts = vec![format!("it verifies as {}", kinds.join(" or "))];
        if !received.any_audience {
            parts.push("is for this device, one of its groups or its domain".to_owned());
        }
        if let Some(seconds) = received.max_age_seconds {
            parts.push(format!("is at most {} old", span(seconds)));
        }
        if let Some(mapping) = &received.as_published {
            parts.push(published_as(&mapping.remove, &mapping.add));
        }
        if accept.retained {
            parts.push("is no older than the newest statement of its sender".to_owned());
        }
        if received.command {
            parts.push("was issued after this device started".to_owned());
        }
        if accept.message {
            parts.push(not_again(received).to_owned());
        }
        match parts.split_last() {
            Some((last, before)) if !before.is_empty() => {
                format!("{}, and {last}", before.join(", "))
            }
            _ => parts.concat(),
        }
    }
}

impl OutgoingRule {
    /// The lifetime that is asked for, in seconds, where messages live `message_lifetime_seconds`
    /// unless a rule says otherwise.
    #[must_use]
    pub fn lifetime(&self, message_lifetime_seconds: u64) -> u64 {
        self.lifetime_seconds.unwrap_or(match self.kind {
            Kind::Message => message_lifetime_seconds,
            kind => kind.lifetime_default_seconds(),
        })
    }
}

impl AudienceTemplate {
    /// The audience as the object of a sentence.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self.as_str() {
            "domain" => "the whole domain".to_owned(),
            text if text.contains('{') => format!("{text} (numbers are levels of the topic)"),
            text => text.to_owned(),
        }
    }
}

const fn what(kind: Kind) -> &'static str {
    match kind {
        Kind::Message => "a message",
        Kind::Retained => "a retained statement",
        Kind::Will => "a will",
    }
}

fn not_again(received: &ReceiveRule) -> &'static str {
    if received.after_power_loss {
        "was not delivered before (what a power cut makes it forget may come again)"
    } else {
        "was not delivered before"
    }
}

fn published_as(remove: &str, add: &str) -> String {
    match (remove, add) {
        ("", add) => format!("was published with {add} in front"),
        (remove, "") => format!("was published without {remove} in front"),
        (remove, add) => format!("was published with {add} in front in place of {remove}"),
    }
}

/// A number of seconds as a person says it.
fn span(seconds: u64) -> String {
    let plural = |count: u64, word: &str| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    match seconds {
        seconds if seconds.is_multiple_of(DAY) => plural(seconds / DAY, "day"),
        seconds if seconds.is_multiple_of(HOUR) => plural(seconds / HOUR, "hour"),
        seconds => format!("{seconds} s"),
    }
}

const HOUR: u64 = 3600;
const DAY: u64 = 86_400;
