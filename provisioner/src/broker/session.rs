//! One client's session: what it subscribed to, what waits for it, what it has not acknowledged. No sockets.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode;
use tokio::sync::Notify;

use super::message::{Message, Stored};
use super::topics;
use super::wire::{
    Level, Outgoing, Publication, RECEIVE_MAXIMUM, SubscribeRefusal, SubscribeRequest,
};

/// The state that MQTT 5, 4.1 calls the session state, and the connection it has at present.
#[derive(Debug)]
pub(super) struct Session {
    subscriptions: BTreeMap<String, Subscription>,
    queue: VecDeque<Delivery>,
    /// Something was lost since the queue was last half empty.
    overflowed: bool,
    /// In the order of first sending, which is the order of sending again.
    in_flight: VecDeque<InFlight>,
    last_packet_id: u16,
    /// Identifiers of publications at QoS 2 that were taken and not yet released.
    unreleased: HashSet<u16>,
    /// The connection; none while the client is away.
    pub(super) link: Option<Link>,
    /// Seconds that the session outlives its connection; `u32::MAX` is for ever.
    pub(super) expiry: u32,
    pub(super) will: Option<Will>,
    pub(super) away: Option<Away>,
}

/// What a session needs to know of its connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: u64,
    pub(super) level: Level,
    /// Wakes the connection's task, which then finds out why.
    pub(super) wake: Arc<Notify>,
    pub(super) receive_maximum: u16,
    pub(super) max_packet_bytes: usize,
}

/// A will that has not been published yet.
#[derive(Debug)]
pub(super) struct Will {
    pub(super) stored: Arc<Stored>,
    /// Seconds.
    pub(super) delay: u32,
}

/// Deadlines of a session without connection; none is never.
#[derive(Debug)]
pub(super) struct Away {
    pub(super) will_due: Option<Instant>,
    pub(super) ends: Option<Instant>,
}

#[derive(Debug)]
struct Subscription {
    qos: QoS,
    no_local: bool,
    retain_as_published: bool,
    identifier: Option<usize>,
}

/// A message for this subscriber.
#[derive(Debug)]
struct Delivery {
    stored: Arc<Stored>,
    qos: QoS,
    retain: bool,
    subscription_identifiers: Vec<usize>,
}

#[derive(Debug)]
struct InFlight {
    packet_id: u16,
    phase: Phase,
    /// False after a new connection, until it has been sent on that.
    sent: bool,
}

#[derive(Debug)]
enum Phase {
    Published(Delivery),
    /// PUBREC has come, PUBCOMP has not.
    Released,
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            subscriptions: BTreeMap::new(),
            queue: VecDeque::new(),
            overflowed: false,
            in_flight: VecDeque::new(),
            last_packet_id: 0,
            unreleased: HashSet::new(),
            link: None,
            expiry: 0,
            will: None,
            away: None,
        }
    }

    /// Gives the session a (new) connection; what was not acknowledged will be sent again over it.
    pub(super) fn attach(&mut self, link: Link, expiry: u32, will: Option<Will>) {
        for entry in &mut self.in_flight {
            entry.sent = false;
        }
        self.link = Some(link);
        self.expiry = expiry;
        self.will = will;
        self.away = None;
    }

    /// Takes the connection away. What waits at QoS 0 is forgotten.
    pub(super) fn detach(&mut self, away: Away) {
        self.link = None;
        self.away = Some(away);
        self.queue
            .retain(|delivery| delivery.qos != QoS::AtMostOnce);
    }

    /// Enters a subscription. Returns its QoS, and whether it is a new one.
    pub(super) fn subscribe(
        &mut self,
        request: &SubscribeRequest,
    ) -> Result<(QoS, bool), SubscribeRefusal> {
        if request.filter == "$share" || request.filter.starts_with("$share/") {
            return Err(SubscribeRefusal::Shared);
        }
        if !topics::is_valid_filter(&request.filter) {
            return Err(SubscribeRefusal::Filter);
        }
        let is_new = !self.subscriptions.contains_key(&request.filter);
        let held: usize = self.subscriptions.keys().map(String::len).sum();
        let full = self.subscriptions.len() >= MAX_SUBSCRIPTIONS
            || held.saturating_add(request.filter.len()) > MAX_FILTER_BYTES;
        if is_new && full {
            return Err(SubscribeRefusal::NoRoom);
        }
        let subscription = Subscription {
            qos: request.qos,
            no_local: request.no_local,
            retain_as_published: request.retain_as_published,
            identifier: request.identifier,
        };
        self.subscriptions
            .insert(request.filter.clone(), subscription);
        Ok((request.qos, is_new))
    }

    /// Whether there was such a subscription.
    pub(super) fn unsubscribe(&mut self, filter: &str) -> bool {
        self.subscriptions.remove(filter).is_some()
    }

    /// Queues a live message once, however many filters select it (MQTT 5, 3.3.4). `own`: this client published it.
    /// Returns whether it was queued.
    pub(super) fn offer(&mut self, stored: &Arc<Stored>, own: bool) -> bool {
        let Message {
            topic, retain, qos, ..
        } = stored.message();
        let mut granted = None;
        let mut as_published = false;
        let mut subscription_identifiers = Vec::new();
        for (filter, subscription) in &self.subscriptions {
            if (own && subscription.no_local) || !topics::matches(filter, topic) {
                continue;
            }
            granted = Some(granted.map_or(subscription.qos, |qos| higher(qos, subscription.qos)));
            as_published |= subscription.retain_as_published;
            subscription_identifiers.extend(subscription.identifier);
        }
        granted.is_some_and(|granted| {
            self.enqueue(Delivery {
                stored: Arc::clone(stored),
                qos: lower(granted, *qos),
                retain: *retain && as_published,
                subscription_identifiers,
            })
        })
    }

    /// Whether publishers should slow down for this subscriber: it is connected and behind, but has not lost anything yet.
    /// One that has does not hold anybody up until it catches up: it may never read.
    pub(super) fn is_behind(&self) -> bool {
        self.link.is_some() && !self.overflowed && self.queue.len() > MAX_QUEUED / 2
    }

    /// Queues a retained message for a new subscription.
    pub(super) fn offer_retained(&mut self, stored: &Arc<Stored>, request: &SubscribeRequest) {
        self.enqueue(Delivery {
            stored: Arc::clone(stored),
            qos: lower(request.qos, stored.message().qos),
            retain: true,
            subscription_identifiers: request.identifier.into_iter().collect(),
        });
    }

    /// What is to be sent next, if anything may be sent now: first again what an earlier connection left open, then the queue.
    pub(super) fn next_outgoing(&mut self, now: Instant) -> Option<Outgoing> {
        let link = self.link.as_ref()?;
        let (level, max_packet_bytes) = (link.level, link.max_packet_bytes);
        let window = usize::from(link.receive_maximum).min(MAX_IN_FLIGHT);
        let fits =
            |publication: &Publication| level.publication_bytes(publication) <= max_packet_bytes;
        while let Some(index) = self.in_flight.iter().position(|entry| !entry.sent) {
            let entry = self.in_flight.get_mut(index)?;
            entry.sent = true;
            let packet_id = entry.packet_id;
            let Phase::Published(delivery) = &entry.phase else {
                return Some(Outgoing::PubRel {
                    packet_id,
                    found: true,
                });
            };
            let publication = delivery.publication(packet_id, true, now);
            if fits(&publication) {
                return Some(Outgoing::Publish(publication));
            }
            self.in_flight.remove(index);
        }
        while let Some(delivery) = self.queue.front() {
            if delivery.qos != QoS::AtMostOnce && self.in_flight.len() >= window {
                return None;
            }
            let delivery = self.queue.pop_front()?;
            self.overflowed &= self.queue.len() > MAX_QUEUED / 2;
            let packet_id = match delivery.qos {
                QoS::AtMostOnce => 0,
                QoS::AtLeastOnce | QoS::ExactlyOnce => self.free_packet_id(),
            };
            let publication = delivery.publication(packet_id, false, now);
            // MQTT 5, 3.1.2.11.4: too large for this client counts as delivered.
            if delivery.stored.is_expired(now) || !fits(&publication) {
                continue;
            }
            if packet_id != 0 {
                self.in_flight.push_back(InFlight {
                    packet_id,
                    phase: Phase::Published(delivery),
                    sent: true,
                });
            }
            return Some(Outgoing::Publish(publication));
        }
        None
    }

    /// PUBACK. An unknown identifier is ignored, here and below: it may belong to an earlier connection.
    pub(super) fn acknowledge(&mut self, packet_id: u16) {
        self.in_flight
            .retain(|entry| entry.packet_id != packet_id || !entry.is_published(QoS::AtLeastOnce));
    }

    /// PUBREC. `accepted` is false for a reason of 0x80 and above. Returns the answer.
    pub(super) fn received(&mut self, packet_id: u16, accepted: bool) -> Option<Outgoing> {
        let mut entries = self.in_flight.iter_mut();
        let entry = entries.find(|entry| entry.packet_id == packet_id);
        if !accepted {
            self.in_flight.retain(|entry| {
                entry.packet_id != packet_id || !entry.is_published(QoS::ExactlyOnce)
            });
            return None;
        }
        let found = match entry {
            Some(entry) if entry.is_published(QoS::ExactlyOnce) => {
                entry.phase = Phase::Released;
                entry.sent = true;
                true
            }
            Some(entry) => matches!(entry.phase, Phase::Released),
            None => false,
        };
        Some(Outgoing::PubRel { packet_id, found })
    }

    /// PUBCOMP.
    pub(super) fn complete(&mut self, packet_id: u16) {
        self.in_flight.retain(|entry| {
            entry.packet_id != packet_id || !matches!(entry.phase, Phase::Released)
        });
    }

    /// PUBLISH at QoS 2: whether it is new (true), or sent again (false).
    pub(super) fn take(&mut self, packet_id: u16) -> Result<bool, DisconnectReasonCode> {
        if !self.unreleased.contains(&packet_id)
            && self.unreleased.len() >= usize::from(RECEIVE_MAXIMUM)
        {
            return Err(DisconnectReasonCode::ReceiveMaximumExceeded);
        }
        Ok(self.unreleased.insert(packet_id))
    }

    /// PUBREL, or the refusal of a PUBLISH at QoS 2: whether the identifier was known.
    pub(super) fn release(&mut self, packet_id: u16) -> bool {
        self.unreleased.remove(&packet_id)
    }

    fn enqueue(&mut self, delivery: Delivery) -> bool {
        if self.link.is_none() && delivery.qos == QoS::AtMostOnce {
            return false;
        }
        if self.queue.len() >= MAX_QUEUED {
            self.overflowed = true;
            return false;
        }
        self.queue.push_back(delivery);
        if let Some(link) = &self.link {
            link.wake.notify_one();
        }
        true
    }

    /// The next identifier that is not in flight. There is one: [`MAX_IN_FLIGHT`] is far below 65,535.
    fn free_packet_id(&mut self) -> u16 {
        loop {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
            let mut taken = self.in_flight.iter().map(|entry| entry.packet_id);
            if !taken.any(|packet_id| packet_id == self.last_packet_id) {
                return self.last_packet_id;
            }
        }
    }
}

impl Delivery {
    fn publication(&self, packet_id: u16, dup: bool, now: Instant) -> Publication {
        Publication {
            stored: Arc::clone(&self.stored),
            qos: self.qos,
            retain: self.retain,
            subscription_identifiers: self.subscription_identifiers.clone(),
            packet_id,
            dup,
            now,
        }
    }
}

impl InFlight {
    fn is_published(&self, qos: QoS) -> bool {
        matches!(&self.phase, Phase::Published(delivery) if delivery.qos == qos)
    }
}

fn higher(a: QoS, b: QoS) -> QoS {
    if a < b { b } else { a }
}

fn lower(a: QoS, b: QoS) -> QoS {
    if a < b { a } else { b }
}

/// Deliveries that wait for one session.
const MAX_QUEUED: usize = 4096;
/// Unacknowledged deliveries of one session, if its receive maximum is not lower.
const MAX_IN_FLIGHT: usize = 256;
/// Subscriptions of one session.
const MAX_SUBSCRIPTIONS: usize = 256;
/// The filters of one session together, octets.
const MAX_FILTER_BYTES: usize = 64 * 1024;
