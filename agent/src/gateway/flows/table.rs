//! The flows in memory.

use super::record::{ConsumerHash, FREE, Flow, FlowRecord, Slot};
use super::{CONSUMER_FLOWS, FLOWS};
use crate::gateway::message::FirstVerdict;
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::token::TokenId;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;

/// Where the records of incoming flows are kept.
pub trait FlowSlots: Send {
    /// Writes one record into its slot.
    ///
    /// # Errors
    /// What the system said; then [`FlowSlots::abandon`] is called.
    fn write(&mut self, slot: u32, record: &FlowRecord) -> io::Result<()>;

    /// Lets the next process know that the records are not to be believed.
    ///
    /// # Errors
    /// What the system said.
    fn abandon(&mut self) -> io::Result<()>;
}

/// What is in flight, by consumer and packet identifier, in both directions.
#[derive(Default)]
pub struct Flows {
    incoming: HashMap<ConsumerHash, Table<Entry>>,
    outgoing: HashMap<ConsumerHash, Table<TokenId>>,
    incoming_count: usize,
    outgoing_count: usize,
    slots: Slots,
    kept_in: Option<Box<dyn FlowSlots>>,
    failure: Option<io::Error>,
}

/// Whether an incoming flow is remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// All consumers together have as many flows as are remembered: if the broker repeats the message after
    /// a kill, it is judged as a replay.
    Full,
    /// It is.
    Yes,
}

/// Flows of one consumer in one direction. The number tells their order.
type Table<T> = BTreeMap<u16, (u64, T)>;

struct Entry {
    slot: u32,
    first: FirstVerdict,
}

/// Which slots are free.
#[derive(Default)]
struct Slots {
    freed: Vec<u32>,
    next: u32,
    order: u64,
}

impl Flows {
    /// The flows in the records of the process before this one, and how many records were damaged or one
    /// too many. What they are kept in begins anew: see [`Flows::records`].
    #[must_use]
    pub fn restore(records: impl IntoIterator<Item = FlowRecord>) -> (Self, u32) {
        let mut flows = Self::default();
        let mut refused: u32 = 0;
        for record in records {
            match Slot::decode(&record) {
                Slot::Free => {}
                Slot::Flow(flow) if !flows.knows(&flow) => {
                    if flows.insert(flow) == Kept::Full {
                        refused = refused.saturating_add(1);
                    }
                }
                Slot::Damaged | Slot::Flow(_) => refused = refused.saturating_add(1),
            }
        }
        (flows, refused)
    }

    /// Every record with its slot, for what they are to be kept in.
    pub fn records(&self) -> impl Iterator<Item = (u32, FlowRecord)> {
        self.incoming.iter().flat_map(|(consumer, table)| {
            table.iter().map(|(packet_id, (_, entry))| {
                let flow = Flow {
                    consumer: *consumer,
                    packet_id: *packet_id,
                    first: entry.first.clone(),
                };
                (entry.slot, flow.encode())
            })
        })
    }

    /// From now on changes are kept there. It holds what [`Flows::records`] says.
    pub fn keep_in(&mut self, slots: Box<dyn FlowSlots>) {
        self.kept_in = Some(slots);
    }

    /// Why changes are not kept any more; said once.
    pub fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Whether changes are kept anywhere.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.kept_in.is_some()
    }

    /// A message was handed on at QoS 1 or 2. It is written when this returns; another message of this
    /// packet identifier is forgotten.
    pub fn arrived(&mut self, consumer: &ConsumerId, packet_id: u16, first: &FirstVerdict) -> Kept {
        let flow = Flow {
            consumer: consumer.into(),
            packet_id,
            first: first.clone(),
        };
        self.make_room(flow.consumer, packet_id);
        let record = flow.encode();
        let key = (flow.consumer, packet_id);
        let kept = self.insert(flow);
        if kept == Kept::Yes
            && let Some(slot) = self.slot_of(key)
        {
            self.write(slot, &record);
        }
        kept
    }

    /// The verdict by which a message with this packet identifier was handed on and not acknowledged.
    #[must_use]
    pub fn first(&self, consumer: &ConsumerId, packet_id: u16) -> Option<&FirstVerdict> {
        let table = self.incoming.get(&consumer.into())?;
        table.get(&packet_id).map(|(_, entry)| &entry.first)
    }

    /// An incoming flow has ended: the broker does not repeat it.
    pub fn ended(&mut self, consumer: &ConsumerId, packet_id: u16) {
        self.remove(consumer.into(), packet_id);
    }

    /// A message was sent at QoS 1 or 2, under this id.
    pub fn sent(&mut self, consumer: &ConsumerId, packet_id: u16, id: TokenId) {
        let consumer = consumer.into();
        let order = self.slots.next_order();
        let (known, length) = self.outgoing.get(&consumer).map_or((false, 0), |table| {
            (table.contains_key(&packet_id), table.len())
        });
        if !known && length >= CONSUMER_FLOWS {
            self.forget_oldest_sent(consumer);
        }
        if !known && self.outgoing_count >= FLOWS {
            return; // its resend gets another id
        }
        let table = self.outgoing.entry(consumer).or_default();
        if table.insert(packet_id, (order, id)).is_none() {
            self.outgoing_count = self.outgoing_count.saturating_add(1);
        }
    }

    /// The id of a message that was sent and not acknowledged: its resend keeps it. Whether it is the same
    /// message is judged by who signs.
    #[must_use]
    pub fn resend(&self, consumer: &ConsumerId, packet_id: u16) -> Option<TokenId> {
        let table = self.outgoing.get(&consumer.into())?;
        table.get(&packet_id).map(|(_, id)| *id)
    }

    /// An outgoing flow has ended: the program does not repeat it.
    pub fn acknowledged(&mut self, consumer: &ConsumerId, packet_id: u16) {
        self.remove_sent(consumer.into(), packet_id);
    }

    /// There is no such consumer any more: nothing of it is in flight.
    pub fn forget(&mut self, consumer: &ConsumerId) {
        self.forget_arrived(consumer);
        if let Some(table) = self.outgoing.remove(&consumer.into()) {
            self.outgoing_count = self.outgoing_count.saturating_sub(table.len());
        }
    }

    /// The broker has no session of this consumer (any more) and repeats nothing. The program may.
    pub fn forget_arrived(&mut self, consumer: &ConsumerId) {
        let consumer = consumer.into();
        let table = self.incoming.remove(&consumer).unwrap_or_default();
        for (_, entry) in table.into_values() {
            self.free(entry.slot);
        }
    }

    /// Flows in both directions: incoming, outgoing.
    #[must_use]
    pub const fn counts(&self) -> (usize, usize) {
        (self.incoming_count, self.outgoing_count)
    }

    fn knows(&self, flow: &Flow) -> bool {
        self.slot_of((flow.consumer, flow.packet_id)).is_some()
    }

    fn slot_of(&self, (consumer, packet_id): (ConsumerHash, u16)) -> Option<u32> {
        let (_, entry) = self.incoming.get(&consumer)?.get(&packet_id)?;
        Some(entry.slot)
    }

    /// Lets a consumer that has its share give up its oldest flow: a broker that keeps to the Receive Maximum
    /// has ended it.
    fn make_room(&mut self, consumer: ConsumerHash, packet_id: u16) {
        let Some(table) = self.incoming.get(&consumer) else {
            return;
        };
        if table.len() < CONSUMER_FLOWS || table.contains_key(&packet_id) {
            return;
        }
        if let Some(oldest) = oldest(table) {
            self.remove(consumer, oldest);
        }
    }

    /// Puts a flow in the place of the one of the same key, or in a free slot.
    fn insert(&mut self, flow: Flow) -> Kept {
        let order = self.slots.next_order();
        let Flow {
            consumer,
            packet_id,
            first,
        } = flow;
        if let Some((number, entry)) = self
            .incoming
            .get_mut(&consumer)
            .and_then(|table| table.get_mut(&packet_id))
        {
            *number = order;
            entry.first = first;
            return Kept::Yes;
        }
        if self.incoming_count >= FLOWS {
            return Kept::Full;
        }
        let slot = self.slots.take();
        let table = self.incoming.entry(consumer).or_default();
        table.insert(packet_id, (order, Entry { slot, first }));
        self.incoming_count = self.incoming_count.saturating_add(1);
        Kept::Yes
    }

    fn remove(&mut self, consumer: ConsumerHash, packet_id: u16) {
        let Some(table) = self.incoming.get_mut(&consumer) else {
            return;
        };
        let removed = table.remove(&packet_id);
        if table.is_empty() {
            self.incoming.remove(&consumer);
        }
        if let Some((_, entry)) = removed {
            self.free(entry.slot);
        }
    }

    fn free(&mut self, slot: u32) {
        self.incoming_count = self.incoming_count.saturating_sub(1);
        self.write(slot, &FREE);
        self.slots.freed.push(slot);
    }

    fn forget_oldest_sent(&mut self, consumer: ConsumerHash) {
        if let Some(oldest) = self.outgoing.get(&consumer).and_then(oldest) {
            self.remove_sent(consumer, oldest);
        }
    }

    fn remove_sent(&mut self, consumer: ConsumerHash, packet_id: u16) {
        let Some(table) = self.outgoing.get_mut(&consumer) else {
            return;
        };
        if table.remove(&packet_id).is_some() {
            self.outgoing_count = self.outgoing_count.saturating_sub(1);
        }
        if table.is_empty() {
            self.outgoing.remove(&consumer);
        }
    }

    fn write(&mut self, slot: u32, record: &FlowRecord) {
        let Some(kept_in) = &mut self.kept_in else {
            return;
        };
        if let Err(error) = kept_in.write(slot, record) {
            // What is written there is wrong now.
            let abandoned = kept_in.abandon();
            self.kept_in = None;
            self.failure = Some(abandoned.err().unwrap_or(error));
        }
    }
}

impl fmt::Debug for Flows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flows")
            .field("incoming", &self.incoming_count)
            .field("outgoing", &self.outgoing_count)
            .field("kept", &self.kept_in.is_some())
            .finish_non_exhaustive()
    }
}

impl Slots {
    fn take(&mut self) -> u32 {
        self.freed.pop().unwrap_or_else(|| {
            let slot = self.next;
            self.next = slot.saturating_add(1);
            slot
        })
    }

    fn next_order(&mut self) -> u64 {
        self.order = self.order.saturating_add(1);
        self.order
    }
}

fn oldest<T>(table: &Table<T>) -> Option<u16> {
    let oldest = table.iter().min_by_key(|(_, (order, _))| *order);
    oldest.map(|(packet_id, _)| *packet_id)
}
