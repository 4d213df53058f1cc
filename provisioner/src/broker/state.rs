//! All sessions and retained messages, and what an event does to them. No sockets, and time is an argument.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{DisconnectReasonCode, RetainForwardRule};
use tokio::sync::Notify;

use super::message::{Budget, Message, MessageError, Stored};
use super::retained::Retained;
use super::session::{Away, Link, Session, Will};
use super::wire::{Accepted, Connect, ConnectRefusal, SubscribeRefusal, SubscribeRequest};

/// The broker's memory.
#[derive(Debug)]
pub(super) struct State {
    sessions: BTreeMap<String, Session>,
    retained: Retained,
    budget: Budget,
    last_link: u64,
    last_assigned: u64,
    /// Wills to be published, each with the client it comes from.
    due_wills: Vec<(String, Arc<Stored>)>,
}

/// A connection that has become a session's.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) client_id: String,
    pub(super) link: u64,
    pub(super) accepted: Accepted,
}

/// Where a message went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Routed {
    /// Sessions that it was queued for.
    pub(super) queued: usize,
    /// One of them [is behind](Session::is_behind).
    pub(super) crowded: bool,
}

/// How a connection ended, as far as its session is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parting {
    /// By DISCONNECT with reason 0x00: the will is forgotten.
    Graceful { session_expiry: Option<u32> },
    /// In any other way.
    Ungraceful { session_expiry: Option<u32> },
}

impl State {
    /// `message_bytes`: what all messages kept for later may take together, octets.
    pub(super) fn new(message_bytes: usize) -> Self {
        Self {
            sessions: BTreeMap::new(),
            retained: Retained::default(),
            budget: Budget::new(message_bytes),
            last_link: 0,
            last_assigned: 0,
            due_wills: Vec::new(),
        }
    }

    /// CONNECT (MQTT 5, 3.1.4): takes the session over from an earlier connection, resumes it or begins a new one.
    pub(super) fn connect(
        &mut self,
        request: Connect,
        wake: Arc<Notify>,
        now: Instant,
    ) -> Result<Attachment, ConnectRefusal> {
        let (client_id, assigned) = self.identify(&request)?;
        self.end_expired(now);
        if self.sessions.len() >= MAX_SESSIONS && !self.sessions.contains_key(&client_id) {
            return Err(ConnectRefusal::NoRoom);
        }
        let will = match request.will {
            Some(will) => Some(Will {
                stored: Stored::new(will.message, now, &self.budget)
                    .map_err(|_| ConnectRefusal::NoRoom)?,
                delay: will.delay,
            }),
            None => None,
        };
        let earlier = self.sessions.remove(&client_id);
        let resumed =
            earlier.and_then(|session| self.resume(&client_id, session, request.clean_start));
        let session_present = resumed.is_some();
        self.last_link = self.last_link.saturating_add(1);
        let link = Link {
            id: self.last_link,
            level: request.level,
            wake,
            receive_maximum: request.receive_maximum,
            max_packet_bytes: request.max_packet_bytes,
        };
        let mut session = resumed.unwrap_or_else(Session::new);
        session.attach(link, request.session_expiry, will);
        self.sessions.insert(client_id.clone(), session);
        Ok(Attachment {
            link: self.last_link,
            accepted: Accepted {
                session_present,
                assigned: assigned.then(|| client_id.clone()),
            },
            client_id,
        })
    }

    /// The session of a connection, unless another connection has taken it over.
    pub(super) fn attached(
        &mut self,
        client_id: &str,
        link: u64,
    ) -> Result<&mut Session, DisconnectReasonCode> {
        self.sessions
            .get_mut(client_id)
            .filter(|session| session.link.as_ref().is_some_and(|own| own.id == link))
            .ok_or(DisconnectReasonCode::SessionTakenOver)
    }

    /// A connection has ended. Does nothing when its session has been taken over.
    pub(super) fn detach(&mut self, client_id: &str, link: u64, parting: Parting, now: Instant) {
        let Ok(session) = self.attached(client_id, link) else {
            return;
        };
        let (Parting::Graceful { session_expiry } | Parting::Ungraceful { session_expiry }) =
            parting;
        session.expiry = session_expiry.unwrap_or(session.expiry);
        if matches!(parting, Parting::Graceful { .. }) {
            session.will = None;
        }
        let after = |seconds: u32| now.checked_add(Duration::from_secs(seconds.into()));
        // 3.1.3.2.2: the will is published when its delay is over or the session ends, whichever is first.
        let will = session.will.as_ref();
        let away = Away {
            will_due: will.and_then(|will| after(will.delay)),
            ends: (session.expiry != u32::MAX)
                .then(|| after(session.expiry))
                .flatten(),
        };
        session.detach(away);
        self.end_expired(now);
    }

    /// SUBSCRIBE; queues the retained messages that the new subscriptions get. For each filter the granted QoS.
    pub(super) fn subscribe(
        &mut self,
        client_id: &str,
        link: u64,
        requests: &[SubscribeRequest],
        now: Instant,
    ) -> Result<Vec<Result<QoS, SubscribeRefusal>>, DisconnectReasonCode> {
        if requests.len() > MAX_FILTERS_A_PACKET {
            return Err(DisconnectReasonCode::QuotaExceeded);
        }
        let mut results = Vec::new();
        for request in requests {
            let result = self.attached(client_id, link)?.subscribe(request);
            results.push(result.map(|(qos, _)| qos));
            let wanted = match (result, &request.retain_handling) {
                (Err(_), _) | (_, RetainForwardRule::Never) => false,
                (Ok(_), RetainForwardRule::OnEverySubscribe) => true,
                (Ok((_, is_new)), RetainForwardRule::OnNewSubscribe) => is_new,
            };
            // Not through `attached`: the retained messages are borrowed meanwhile.
            if let Some(session) = self.sessions.get_mut(client_id).filter(|_| wanted) {
                for stored in self.retained.matching(&request.filter, now) {
                    session.offer_retained(stored, request);
                }
            }
        }
        Ok(results)
    }

    /// A message from `publisher` (none: injected) goes to the matching sessions and, if it says so, into the retained ones.
    pub(super) fn route(
        &mut self,
        publisher: Option<&str>,
        message: Message,
        now: Instant,
    ) -> Result<Routed, MessageError> {
        let keep = message.retain && !message.payload.is_empty();
        if keep && !self.retained.has_room_for(&message.topic) {
            return Err(MessageError::NoRoom);
        }
        // Before room is asked for: deleting is how room is made.
        if message.retain && !keep {
            self.retained.delete(&message.topic);
        }
        let stored = Stored::new(message, now, &self.budget)?;
        if keep {
            self.retained.keep(&stored);
        }
        let mut routed = Routed::default();
        for (client_id, session) in &mut self.sessions {
            if session.offer(&stored, publisher == Some(client_id)) {
                routed.queued = routed.queued.saturating_add(1);
                routed.crowded |= session.is_behind();
            }
        }
        Ok(routed)
    }

    /// Ends what has ended by now.
    pub(super) fn tick(&mut self, now: Instant) {
        self.end_expired(now);
        self.retained.expire(now);
    }

    /// Wills that are to be published now, each with the client it comes from.
    pub(super) fn take_due_wills(&mut self) -> Vec<(String, Arc<Stored>)> {
        std::mem::take(&mut self.due_wills)
    }

    /// The client identifier, and whether it is the broker's choice.
    fn identify(&mut self, request: &Connect) -> Result<(String, bool), ConnectRefusal> {
        let wanted = &request.client_id;
        if request.wants_auth {
            return Err(ConnectRefusal::Auth);
        }
        if wanted.len() > MAX_CLIENT_ID_BYTES || wanted.contains('\0') {
            return Err(ConnectRefusal::ClientIdentifier);
        }
        if !wanted.is_empty() {
            return Ok((wanted.clone(), false));
        }
        // 3.1.1, 3.1.3.1: without an identifier only with a clean session.
        if request.session_expiry == u32::MAX && !request.clean_start {
            return Err(ConnectRefusal::ClientIdentifier);
        }
        loop {
            self.last_assigned = self.last_assigned.saturating_add(1);
            let assigned = format!("assigned-{}", self.last_assigned);
            if !self.sessions.contains_key(&assigned) {
                return Ok((assigned, true));
            }
        }
    }

    /// The earlier session, if it goes on. Its connection, if it still has one, is told to close.
    fn resume(
        &mut self,
        client_id: &str,
        mut session: Session,
        clean_start: bool,
    ) -> Option<Session> {
        let outlives = session.link.is_none() || session.expiry > 0;
        let resumed = outlives && !clean_start;
        if let Some(link) = session.link.take() {
            link.wake.notify_one();
        }
        // A will whose delay is not over is not published if the session goes on.
        let will = session.will.take();
        if let Some(will) = will.filter(|will| !resumed || will.delay == 0) {
            self.due_wills.push((client_id.to_owned(), will.stored));
        }
        resumed.then_some(session)
    }

    fn end_expired(&mut self, now: Instant) {
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let due_wills = &mut self.due_wills;
        self.sessions.retain(|client_id, session| {
            let Some(away) = &session.away else {
                return true;
            };
            let ended = is_due(away.ends);
            if (ended || is_due(away.will_due))
                && let Some(will) = session.will.take()
            {
                due_wills.push((client_id.clone(), will.stored));
            }
            !ended
        });
    }
}

/// Sessions, with and without connection.
const MAX_SESSIONS: usize = 256;
/// Filters in one SUBSCRIBE: bounds the work that one packet causes.
const MAX_FILTERS_A_PACKET: usize = 256;
/// A client identifier, octets.
const MAX_CLIENT_ID_BYTES: usize = 256;
