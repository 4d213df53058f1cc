//! What other tasks publish and subscribe to over the one connection. Pure.

use super::handle::{Payload, Published};
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::{mpsc, oneshot};

/// Messages that the broker has not acknowledged, and who waits for what.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Message>,
    /// The first of them is on its way.
    in_flight: bool,
    listeners: BTreeMap<String, Vec<mpsc::Sender<Payload>>>,
}

pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Payload,
    pub(super) retain: bool,
    pub(super) done: Option<oneshot::Sender<Published>>,
}

impl Outbox {
    /// Takes a message on; it takes the place of one for the same topic that is not on its way.
    pub(super) fn put(&mut self, message: Message) {
        let started = usize::from(self.in_flight);
        let mut waiting = self.waiting.iter_mut().skip(started);
        if let Some(older) = waiting.find(|other| other.topic == message.topic) {
            *older = message;
        } else if self.waiting.len() < MESSAGES {
            self.waiting.push_back(message);
        } // else it is dropped, and with it the hope of whoever waits
    }

    /// The next message to publish, if none is on its way.
    pub(super) fn next(&mut self) -> Option<&Message> {
        if self.in_flight {
            return None;
        }
        let next = self.waiting.front()?;
        self.in_flight = true;
        Some(next)
    }

    /// The broker answered the one on its way.
    pub(super) fn answered(&mut self, said: Result<(), String>) {
        if !std::mem::take(&mut self.in_flight) {
            return;
        }
        if let Some(done) = self.waiting.pop_front().and_then(|message| message.done) {
            let said = said.map_or_else(Published::Refused, |()| Published::Acknowledged);
            done.send(said).ok();
        }
    }

    /// What was on its way is published again over the next connection.
    pub(super) fn disconnected(&mut self) {
        self.in_flight = false;
    }

    /// Takes on who waits for a topic; says whether nobody did before.
    pub(super) fn listen(&mut self, topic: String, to: mpsc::Sender<Payload>) -> bool {
        let known = self.listeners.len() < MESSAGES || self.listeners.contains_key(&topic);
        if !known {
            return false;
        }
        let listeners = self.listeners.entry(topic).or_default();
        listeners.push(to);
        listeners.len() == 1
    }

    /// Every topic that somebody waits for.
    pub(super) fn topics(&mut self) -> Vec<String> {
        for listeners in self.listeners.values_mut() {
            listeners.retain(|listener| !listener.is_closed());
        }
        self.listeners.retain(|_, listeners| !listeners.is_empty());
        self.listeners.keys().cloned().collect()
    }

    /// Hands a message to whoever waits for it; says whether anybody does.
    pub(super) fn deliver(&mut self, topic: &str, payload: &Payload) -> bool {
        let Some(listeners) = self.listeners.get_mut(topic) else {
            return false;
        };
        listeners.retain(|listener| !listener.is_closed());
        for listener in listeners.iter() {
            listener.try_send(payload.clone()).ok();
        }
        if listeners.is_empty() {
            self.listeners.remove(topic);
            return false;
        }
        true
    }
}

/// Topics, of each kind.
const MESSAGES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, payload: &'static str) -> (Message, oneshot::Receiver<Published>) {
        let (done, said) = oneshot::channel();
        let message = Message {
            topic: topic.to_owned(),
            payload: Payload::from_static(payload.as_bytes()),
            retain: true,
            done: Some(done),
        };
        (message, said)
    }

    #[test]
    fn a_message_is_sent_until_it_is_acknowledged_and_a_newer_one_takes_its_place() {
        let mut outbox = Outbox::default();
        let (first, mut first_said) = message("a", "1");
        let (second, mut second_said) = message("a", "2");
        let (third, mut third_said) = message("a", "3");
        outbox.put(first);
        assert_eq!(outbox.next().unwrap().payload, "1");
        outbox.put(second);
        outbox.put(third);
        assert!(second_said.try_recv().is_err(), "replaced");
        assert!(outbox.next().is_none(), "one at a time");
        outbox.disconnected();
        assert_eq!(outbox.next().unwrap().payload, "1");
        outbox.answered(Ok(()));
        assert_eq!(first_said.try_recv(), Ok(Published::Acknowledged));
        assert_eq!(outbox.next().unwrap().payload, "3");
        outbox.answered(Err("NotAuthorized".to_owned()));
        let refused = Published::Refused("NotAuthorized".to_owned());
        assert_eq!(third_said.try_recv(), Ok(refused));
        assert!(outbox.next().is_none());
        outbox.answered(Ok(())); // an answer that nobody asked for
        for number in 0..40 {
            outbox.put(message(&number.to_string(), "x").0);
        }
        assert_eq!(outbox.waiting.len(), MESSAGES);
    }

    #[test]
    fn messages_go_to_those_who_still_listen() {
        let mut outbox = Outbox::default();
        let (to, mut payloads) = mpsc::channel(1);
        assert!(outbox.listen("a".to_owned(), to.clone()));
        assert!(!outbox.listen("a".to_owned(), to));
        assert_eq!(outbox.topics(), ["a"]);
        assert!(outbox.deliver("a", &Payload::from_static(b"1")));
        assert!(!outbox.deliver("b", &Payload::from_static(b"1")));
        assert_eq!(payloads.try_recv().unwrap(), "1");
        drop(payloads);
        assert!(!outbox.deliver("a", &Payload::from_static(b"2")));
        assert!(outbox.topics().is_empty());
    }
}
