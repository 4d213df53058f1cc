//! The hostile side: what a broker can do to messages, for the demonstration.

use super::message::Message;

/// What is done to a message on its way from publisher to subscribers: the messages that go on in its place.
///
/// `vec![message.clone()]` is honest; an empty vector swallows the message (keep a clone, and
/// [`inject`](super::BrokerHandle::inject) it later to hold it back); two clones repeat it; a clone with another topic moves it.
pub type Interference = Box<dyn FnMut(&Message) -> Vec<Message> + Send>;

/// What goes on in place of `message`. Only messages that a broker could really send.
pub(super) fn interfere(interference: &mut Interference, message: &Message) -> Vec<Message> {
    interference(message)
        .into_iter()
        .take(MAX_MESSAGES)
        .filter(|message| message.check().is_ok())
        .collect()
}

/// Messages that one message can become.
const MAX_MESSAGES: usize = 64;
