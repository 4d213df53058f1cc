//! The registrar's line to the broker: requests come in, answers go out.

use super::account::Account;
use crate::command::reach;
use crate::enrollment::{Decision, Flood, Judged};
use crate::error::Result;
use crate::mqtt::{Arrival, Connection, Endpoint, MqttError};
use edgeseal_trust::carrier::{Answer, AnswerState, CarrierKind, CarrierTopic, filter};
use edgeseal_trust::document::Digest;
use edgeseal_trust::id::TrustDomain;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::limits;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::words::Words;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A connection that requests come in on.
pub(super) struct Line {
    connection: Connection,
    domain: TrustDomain,
    flood: Flood,
    answered: HashMap<KeyId, Sent>,
}

/// A request as it came.
pub(super) struct Incoming {
    /// The key that its topic names.
    pub(super) kid: KeyId,
    /// The request.
    pub(super) octets: Vec<u8>,
}

/// The last answer to a key.
struct Sent {
    octets: Vec<u8>,
    at: UnixTime,
}

impl Line {
    /// Connects and subscribes; requests that the broker keeps follow.
    ///
    /// # Errors
    /// No connection, or the broker refuses the subscription.
    pub(super) async fn connect(endpoint: &Endpoint, domain: &TrustDomain) -> Result<Self> {
        let id = format!("edgeseal-registrar-{domain}-{}", std::process::id());
        let requests = filter(CarrierKind::Request, domain);
        let connection = Connection::open(endpoint, &id, &[&requests]).await;
        Ok(Self {
            connection: connection.map_err(|why| reach::failed(&why))?,
            domain: domain.clone(),
            flood: Flood::new(),
            answered: HashMap::new(),
        })
    }

    /// The next requests, once one has come: as many as come without a pause, and as one manifest is made for. Nothing when none
    /// came within `patience`.
    ///
    /// # Errors
    /// The connection has ended.
    pub(super) async fn batch(
        &mut self,
        patience: Duration,
        account: &mut Account,
    ) -> Result<Vec<Incoming>> {
        let mut batch = Vec::new();
        let mut octets: usize = 0;
        let begun = Instant::now();
        let mut wait = patience;
        while batch.len() < BATCH && octets < BATCH_OCTETS {
            let arrival = self.connection.receive(wait).await;
            let Some(arrival) = arrival.map_err(|why| reach::failed(&why))? else {
                break;
            };
            let incoming = self
                .admit(arrival)
                .await
                .map_err(|why| reach::failed(&why))?;
            if let Some(incoming) = incoming {
                octets = octets.saturating_add(incoming.octets.len());
                batch.push(incoming);
                wait = PAUSE;
            }
            if begun.elapsed() > patience.max(LONGEST_BATCH) {
                break;
            }
        }
        account.pass_over(self.flood.take_passed_over());
        Ok(batch)
    }

    /// Asks the broker once more for what it keeps: it may drop what it cannot queue, and says nothing.
    ///
    /// # Errors
    /// The connection has ended.
    pub(super) async fn look_again(&self) -> Result<()> {
        let requests = filter(CarrierKind::Request, &self.domain);
        let subscribed = self.connection.subscribe(&[&requests]).await;
        subscribed.map_err(|why| reach::failed(&why))
    }

    /// Publishes the answers that differ from the last ones.
    ///
    /// # Errors
    /// The connection has ended.
    pub(super) async fn answer<'a>(
        &mut self,
        judged: impl IntoIterator<Item = &'a Judged>,
        now: UnixTime,
    ) -> Result<()> {
        let mut receipts = Vec::new();
        for judged in judged {
            let Some((kid, octets)) = answer_to(judged) else {
                continue;
            };
            let is_new = self
                .answered
                .get(&kid)
                .is_none_or(|sent| sent.octets != octets);
            let has_room = self.answered.len() < MOST_ANSWERS || self.answered.contains_key(&kid);
            if is_new && has_room {
                let topic = CarrierTopic::Answer(kid).name(&self.domain);
                let message = Arrival {
                    // The broker takes it back where no registrar runs then, or another one.
                    expiry_seconds: u32::try_from(ANSWER_SECONDS).ok(),
                    ..Arrival::retained(topic, octets.clone())
                };
                let receipt = self.connection.send(&message).await;
                receipts.push(receipt.map_err(|why| reach::failed(&why))?);
                self.answered.insert(kid, Sent { octets, at: now });
            }
        }
        for receipt in receipts {
            let acknowledged = self.connection.acknowledged(receipt).await;
            acknowledged.map_err(|why| reach::failed(&why))?;
        }
        Ok(())
    }

    /// Takes back the answers that are a day old.
    ///
    /// # Errors
    /// The connection has ended.
    pub(super) async fn take_back_old(&mut self, now: UnixTime) -> Result<()> {
        let answered = self.answered.iter();
        let old = answered.filter(|(_, sent)| now.since(sent.at) > ANSWER_SECONDS);
        let old: Vec<KeyId> = old.map(|(kid, _)| *kid).collect();
        for kid in old {
            let taken_back = self.take_back(kid).await;
            taken_back.map_err(|why| reach::failed(&why))?;
        }
        Ok(())
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        self.connection.close().await;
    }

    async fn admit(
        &mut self,
        arrival: Arrival,
    ) -> std::result::Result<Option<Incoming>, MqttError> {
        let Some(CarrierTopic::Request(kid)) = CarrierTopic::parse(&arrival.topic, &self.domain)
        else {
            return Ok(None);
        };
        if arrival.payload.is_empty() {
            // The device needs no answer any more.
            self.take_back(kid).await?;
            return Ok(None);
        }
        let octets = arrival.payload;
        let is_due = self.flood.admits(kid, Digest::of(&octets), Instant::now());
        Ok(is_due.then_some(Incoming { kid, octets }))
    }

    async fn take_back(&mut self, kid: KeyId) -> std::result::Result<(), MqttError> {
        self.answered.remove(&kid);
        let topic = CarrierTopic::Answer(kid).name(&self.domain);
        self.connection.publish(&Arrival::retained(topic, [])).await
    }
}

/// The hint for whoever asked; none to who has not proven to have the key.
fn answer_to(judged: &Judged) -> Option<(KeyId, Vec<u8>)> {
    let kid = judged.kid?;
    let (state, reason) = match &judged.decision {
        Decision::Again | Decision::Enrolled | Decision::Rotated => (AnswerState::Approved, None),
        Decision::Pending { why } => (AnswerState::Pending, Some((*why).to_owned())),
        Decision::Refused(refusal) if SILENT.contains(&refusal.code) => return None,
        Decision::Refused(refusal) => {
            let reason = format!("{}: {}", refusal.code, refusal.reason);
            (AnswerState::Rejected, Some(reason))
        }
        Decision::Rejected { reason } => (AnswerState::Rejected, Some(reason.clone())),
    };
    let answer = Answer {
        request: judged.request,
        state,
        reason: reason.as_deref().map(short),
        words: judged
            .words
            .as_deref()
            .and_then(|words| Words::parse(words).ok()),
    };
    Some((kid, answer.write().ok()?))
}

/// One line that an answer has room for.
fn short(reason: &str) -> String {
    let mut short = String::new();
    for c in reason.chars().filter(|c| !c.is_control()) {
        if short.len().saturating_add(c.len_utf8()) > limits::REASON_OCTETS {
            break;
        }
        short.push(c);
    }
    if short.is_empty() {
        short.push('-');
    }
    short
}

/// What a flood consists of is not answered.
const SILENT: [&str; 2] = ["pending-full", "request-topic"];
/// Requests that are judged together, for one manifest.
const BATCH: usize = 2000;
const BATCH_OCTETS: usize = 8 << 20;
/// A batch ends when nothing more comes for so long,
const PAUSE: Duration = Duration::from_millis(100);
/// and after so long in any case.
const LONGEST_BATCH: Duration = Duration::from_millis(1500);
const MOST_ANSWERS: usize = 50_000;
const ANSWER_SECONDS: u64 = 86_400;
