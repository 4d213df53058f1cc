//! What the agent tells of itself, member by member: the sentences are made by whoever writes them onto the card, so that an agent
//! that was taken over cannot have root write its own.

use crate::enroll::{EnrollState, EnrollStatus};
use crate::trust_link::LinkStatus;
use crate::wire::ErrorBody;
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::words::Words;
use serde::{Deserialize, Serialize};

/// What is known of this device, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standing {
    /// Its name in the registry, where its key is there.
    pub(crate) device: Option<DeviceId>,
    /// The domain of the trust data in force.
    pub(crate) domain: Option<TrustDomain>,
    /// Its key.
    pub(crate) key: Option<KeyId>,
    /// Why it would not sign.
    pub(crate) not_signing: Option<Refusal>,
    /// Its clock is synchronized.
    pub(crate) has_clock: bool,
    /// Where its enrollment stands.
    pub(crate) state: EnrollState,
    /// The words of the request, as they were told.
    pub(crate) words: Option<String>,
    /// The word of the registrar, or of whoever sent it.
    pub(crate) answer: Option<String>,
    /// What keeps the enrollment from going on.
    pub(crate) problem: Option<Refusal>,
    /// Whether a broker is connected.
    pub(crate) connected: bool,
    /// Its URL.
    pub(crate) broker: Option<String>,
    /// Why it is not connected.
    pub(crate) why: Option<String>,
}

/// What was refused, without what to do about it: that is not the agent's to say here.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refusal {
    /// Stable short code.
    pub(crate) code: String,
    /// A sentence for people.
    pub(crate) reason: String,
}

impl Standing {
    /// The same with the state of the enrollment.
    pub(crate) fn with_enrollment(mut self, enrollment: &EnrollStatus) -> Self {
        self.state = enrollment.state;
        self.words.clone_from(&enrollment.words);
        self.answer = enrollment.answer.as_deref().map(cut);
        self.problem = enrollment.problem.as_ref().map(Refusal::from);
        self
    }

    /// The same with the state of the connection to the broker.
    pub(crate) fn with_link(mut self, link: &LinkStatus) -> Self {
        self.connected = link.connected;
        self.broker = link.broker.as_deref().map(cut);
        self.why = link.why.as_deref().map(cut);
        self
    }

    /// This device is in its domain, on the board that it was enrolled on.
    pub(crate) fn is_enrolled(&self) -> bool {
        let done = matches!(self.state, EnrollState::Enrolled | EnrollState::Finishing);
        done && self.device.is_some() && self.blocked().is_none()
    }

    /// What keeps it from signing that enrolling does not cure.
    pub(crate) fn blocked(&self) -> Option<&Refusal> {
        let why = self.not_signing.as_ref();
        why.filter(|why| BLOCKS.contains(&why.code.as_str()))
    }

    /// The words of the request, where they are some.
    pub(crate) fn words(&self) -> Option<Words> {
        Words::parse(self.words.as_deref()?).ok()
    }
}

impl From<&ErrorBody> for Refusal {
    fn from(body: &ErrorBody) -> Self {
        Self {
            code: body.code.as_ref().to_owned(),
            reason: cut(&body.reason),
        }
    }
}

/// The text of others is of any length, and a report is not.
fn cut(text: &str) -> String {
    text.chars().take(CHARACTERS).collect()
}

const BLOCKS: &[&str] = &[
    "board-mismatch",
    "identity-unusable",
    "state-lost",
    "state-not-durable",
];
const CHARACTERS: usize = 400;
