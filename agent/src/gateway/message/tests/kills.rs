//! Kills between every two writes of flows and replay memory: a message that the program has not acknowledged is
//! handed on after every one of them, and a message that it has is never handed on again.

use super::{BOUNDS, NOW, Seen, Side, at, message};
use crate::engine::{LoadedKey, Minted, NotSigned, SignDraft, SignFailure, Step};
use crate::gateway::flows::{FlowRecord, FlowSlots, Flows, Kept};
use crate::gateway::message::{Arrival, Copies, EngineNotary, Notary, ReceiveContext, receive};
use crate::wire::Signed;
use bytes::BytesMut;
use edgeseal_trust::id::{Audience, DeviceId};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::PeerKey;
use edgeseal_trust::replay::{ConsumerId, Past, Record, ReplayMemory};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Failure, Received, Verdict, Verified};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

/// One positioned write.
#[derive(Clone)]
enum Write {
    Flow(u32, FlowRecord),
    Memory(u32, Box<Record>),
}

/// Every write in its order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Write>>>);

impl Log {
    fn push(&self, write: Write) {
        self.0.lock().unwrap().push(write);
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// What is there after this number of writes.
    fn after(&self, writes: usize) -> (Vec<FlowRecord>, Vec<Record>) {
        let (mut flows, mut memory) = (BTreeMap::new(), BTreeMap::new());
        for write in &self.0.lock().unwrap()[..writes] {
            match write {
                Write::Flow(slot, record) => drop(flows.insert(*slot, *record)),
                Write::Memory(slot, record) => drop(memory.insert(*slot, **record)),
            }
        }
        (slots(flows, [0; 160]), slots(memory, [0; 512]))
    }
}

fn slots<T: Copy>(written: BTreeMap<u32, T>, free: T) -> Vec<T> {
    let end = written.keys().next_back().map_or(0, |last| last + 1);
    let slot = |slot| written.get(&slot).copied().unwrap_or(free);
    (0..end).map(slot).collect()
}

impl FlowSlots for Log {
    fn write(&mut self, slot: u32, record: &FlowRecord) -> io::Result<()> {
        self.push(Write::Flow(slot, *record));
        Ok(())
    }

    fn abandon(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Stores the memory as the daemon does.
struct Storing<'a>(EngineNotary<'a>, Log);

impl Notary for Storing<'_> {
    fn judge(
        &mut self,
        token: &[u8],
        received: &Received<'_>,
        loaded: Option<&LoadedKey>,
        before_stored: &mut dyn FnMut(&Verified),
    ) -> Step<Result<Verdict, Failure>> {
        let step = self.0.judge(token, received, loaded, before_stored);
        let Ok(()) = self
            .0
            .engine
            .memory()
            .unwrap()
            .write_changes(|slot, record| {
                self.1.push(Write::Memory(slot, Box::new(*record)));
                Ok::<_, Infallible>(())
            });
        step
    }

    fn device(&self) -> Option<DeviceId> {
        self.0.device()
    }

    fn time(&self) -> UnixTime {
        self.0.time()
    }

    fn sign(&mut self, draft: &SignDraft<'_>) -> Result<Minted, NotSigned> {
        self.0.sign(draft)
    }

    fn login(&mut self, audience: &Audience, seconds: u64) -> Result<Signed, NotSigned> {
        self.0.login(audience, seconds)
    }

    fn introduce(&mut self, consumer: &ConsumerId) -> Result<(), Failure> {
        self.0.introduce(consumer)
    }

    fn peer(
        &self,
        kid: KeyId,
        loaded: Option<&LoadedKey>,
    ) -> Step<Result<Option<Arc<PeerKey>>, Failure>> {
        self.0.peer(kid, loaded)
    }

    fn can_judge(&self) -> Result<(), Failure> {
        self.0.can_judge()
    }

    fn can_sign(&self) -> Result<(), SignFailure> {
        self.0.can_sign()
    }
}

/// A process of `two` with its flows.
struct Process {
    side: Side,
    flows: Flows,
    log: Log,
}

impl Process {
    /// After a kill: what was written is all that is known.
    fn started(log: &Log, writes: usize) -> Self {
        let (flows, memory) = log.after(writes);
        let (flows, refused) = Flows::restore(flows);
        assert_eq!(refused, 0);
        let (memory, restoration) = ReplayMemory::restore(BOUNDS, at(NOW - 1000), memory);
        assert_eq!(restoration.refused, 0);
        Self::with(memory, flows)
    }

    fn with(mut memory: ReplayMemory, mut flows: Flows) -> Self {
        let log = Log::default();
        for (slot, record) in (0..).zip(memory.records()) {
            log.push(Write::Memory(slot, Box::new(record)));
        }
        memory.all_written();
        for (slot, record) in flows.records() {
            log.push(Write::Flow(slot, record));
        }
        flows.keep_in(Box::new(log.clone()));
        let side = Side::remembering(2, Vec::new(), memory);
        Self { side, flows, log }
    }

    /// Whether the program gets it.
    fn delivers(&mut self, sent: &Seen) -> bool {
        let (side, flows) = (&mut self.side, &mut self.flows);
        let packet_id = sent.packet_id.unwrap();
        let first = flows.first(&side.consumer, packet_id).cloned();
        let engine = EngineNotary {
            now: side.now(),
            engine: &mut side.engine,
        };
        let mut notary = Storing(engine, self.log.clone());
        let mut context = ReceiveContext {
            rules: &side.rules,
            permissions: &side.permissions,
            upstream: side.upstream,
            program: side.program,
            program_max_octets: u32::MAX,
            sender_in_topic: false,
            consumer: &side.consumer,
            first: first.as_ref(),
            loaded: None,
            copies: &mut Copies::default(),
            record: &mut |first| {
                assert_eq!(flows.arrived(&side.consumer, packet_id, first), Kept::Yes);
            },
        };
        let mut out = BytesMut::new();
        match receive(&sent.publish(), &mut context, &mut notary, &mut out) {
            Step::Done(Arrival::Delivered(_)) => true,
            Step::Done(Arrival::Rejected { code: "replay", .. }) => false,
            other => panic!("{other:?}"),
        }
    }

    fn acknowledges(&mut self, packet_id: u16) {
        self.flows.ended(&self.side.consumer, packet_id);
    }
}

/// The messages of `one`, each with its packet identifier.
fn messages() -> Vec<Seen> {
    let mut one = Side::new(1, vec![]);
    let sent = (1..=5).map(|number| {
        let mut sent = one.sent(&message("site/a", &[number], &[]));
        sent.packet_id = Some(number.into());
        sent
    });
    sent.collect()
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice_whenever_the_agent_is_killed() {
    let messages = messages();
    let memory = ReplayMemory::new(BOUNDS, Past::Known, at(NOW - 1000));
    let mut process = Process::with(memory, Flows::default());
    // For every number of writes: which messages the program may have acknowledged.
    let mut acknowledged = vec![BTreeSet::new()];
    let mut now = BTreeSet::new();
    for (number, sent) in messages.iter().enumerate() {
        assert!(process.delivers(sent));
        acknowledged.resize(process.log.len() + 1, now.clone());
        if number % 2 == 1 {
            now.insert(number);
            process.acknowledges(sent.packet_id.unwrap());
            acknowledged.resize(process.log.len() + 1, now.clone());
        }
    }
    let writes = process.log.len();
    assert!(writes > 2 * messages.len(), "{writes}");
    // The first write is of the empty memory.
    for (killed, acknowledged) in acknowledged.iter().enumerate().skip(1) {
        let mut after = Process::started(&process.log, killed);
        for (number, sent) in messages.iter().enumerate() {
            let mut sent = sent.clone();
            sent.dup = true;
            let delivered = after.delivers(&sent);
            let expected = !acknowledged.contains(&number);
            assert_eq!(
                delivered, expected,
                "message {number}, killed after write {killed}"
            );
            // Handed on again over every new connection until the program acknowledges it.
            assert_eq!(after.delivers(&sent), expected);
            let mut repeated = sent;
            repeated.packet_id = Some(100);
            assert!(!after.delivers(&repeated), "no other copy");
        }
        // A second kill, and no message is forgotten by either.
        let mut last = Process::started(&after.log, after.log.len());
        for (number, sent) in messages.iter().enumerate() {
            let expected = !acknowledged.contains(&number);
            assert_eq!(last.delivers(sent), expected);
            last.acknowledges(sent.packet_id.unwrap());
            assert!(!last.delivers(sent), "acknowledged");
        }
    }
}
