//! Drives a connection: hands on what arrives, and tells who waits for an acknowledgement.

use super::Stage;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    Packet, PubAck, PubAckReason, Publish, SubAck, SubscribeReasonCode,
};
use rumqttc::v5::{ConnectionError, Event, EventLoop};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, oneshot};

/// What the broker said: yes, or the reason why not.
pub(super) type Answer = Result<(), String>;
/// Who waits for an answer.
pub(super) type Expected = oneshot::Sender<Answer>;

/// One connection's worker.
pub(super) struct Worker {
    arrivals: mpsc::Sender<Publish>,
    /// Octets of payloads that arrived and were not taken yet.
    octets: Arc<AtomicUsize>,
    publishes: Line,
    subscribes: Line,
    unsubscribes: Line,
}

/// Requests of one kind: those handed over, in order, and those on the wire, by packet identifier.
struct Line {
    handed_over: mpsc::UnboundedReceiver<Expected>,
    on_the_wire: HashMap<u16, Expected>,
}

impl Worker {
    /// With a line each of PUBLISH, SUBSCRIBE, UNSUBSCRIBE.
    pub(super) fn new(
        arrivals: mpsc::Sender<Publish>,
        octets: Arc<AtomicUsize>,
        lines: [mpsc::UnboundedReceiver<Expected>; 3],
    ) -> Self {
        let [publishes, subscribes, unsubscribes] = lines.map(|handed_over| Line {
            handed_over,
            on_the_wire: HashMap::new(),
        });
        Self {
            arrivals,
            octets,
            publishes,
            subscribes,
            unsubscribes,
        }
    }

    /// Drives the connection until it ends, and leaves the reason in `end`.
    pub(super) async fn run(mut self, mut events: EventLoop, end: Arc<OnceLock<String>>) {
        let why = loop {
            match events.poll().await {
                Ok(event) => {
                    if let Err(why) = self.event(event) {
                        break why;
                    }
                }
                Err(why) => break why.to_string(),
            }
        };
        let _ = end.set(why); // the only one who sets it
    }

    fn event(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Outgoing(Outgoing::Publish(id)) => self.publishes.sent(id),
            Event::Outgoing(Outgoing::Subscribe(id)) => self.subscribes.sent(id),
            Event::Outgoing(Outgoing::Unsubscribe(id)) => self.unsubscribes.sent(id),
            Event::Outgoing(Outgoing::Disconnect) => return Err("it was closed".to_owned()),
            Event::Incoming(Packet::PubAck(ack)) => self.publishes.answered(ack.pkid, judge(&ack)),
            Event::Incoming(Packet::SubAck(ack)) => {
                self.subscribes.answered(ack.pkid, granted(&ack));
            }
            Event::Incoming(Packet::UnsubAck(ack)) => self.unsubscribes.answered(ack.pkid, Ok(())),
            Event::Incoming(Packet::Publish(publish)) => return self.arrived(publish),
            _ => {}
        }
        Ok(())
    }

    /// Mosquitto 2.0.11 sends far more than the receive maximum that it was told when many retained messages wait, so the bound
    /// here is one on octets.
    fn arrived(&self, publish: Publish) -> Result<(), String> {
        let is_best_effort = publish.qos == QoS::AtMostOnce;
        let octets = publish.payload.len();
        let before = self.octets.fetch_add(octets, Ordering::Relaxed);
        if before < MOST_OCTETS && self.arrivals.try_send(publish).is_ok() {
            return Ok(());
        }
        self.octets.fetch_sub(octets, Ordering::Relaxed);
        match is_best_effort {
            true => Ok(()),
            false => Err("the broker sends more than it was told it may".to_owned()),
        }
    }
}

impl Line {
    fn sent(&mut self, id: u16) {
        if let Ok(expected) = self.handed_over.try_recv() {
            self.on_the_wire.insert(id, expected);
        }
    }

    fn answered(&mut self, id: u16, answer: Answer) {
        if let Some(expected) = self.on_the_wire.remove(&id) {
            let _ = expected.send(answer); // nobody waits any more
        }
    }
}

/// Connects, or says what it failed at.
pub(super) async fn handshake(events: &mut EventLoop) -> Result<(), (Stage, String)> {
    let failed = |why: ConnectionError| {
        let stage = match &why {
            ConnectionError::Io(_) | ConnectionError::Timeout(_) => Stage::Address,
            ConnectionError::Tls(_) => Stage::Tls,
            _ => Stage::Login,
        };
        (stage, why.to_string())
    };
    loop {
        let event = events.poll().await.map_err(failed)?;
        if matches!(event, Event::Incoming(Packet::ConnAck(_))) {
            return Ok(());
        }
    }
}

fn judge(ack: &PubAck) -> Answer {
    match ack.reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

fn granted(ack: &SubAck) -> Answer {
    let mut codes = ack.return_codes.iter();
    let refused = codes.find(|code| !matches!(code, SubscribeReasonCode::Success(_)));
    refused.map_or(Ok(()), |code| Err(format!("{code:?}")))
}

/// As much as the largest documents have that may be unacknowledged.
const MOST_OCTETS: usize = 64 << 20;
