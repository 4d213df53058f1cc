//! A fleet in one process: the cores of many agents over a real broker, by a clock that is put forward by hours.
//!
//! `EDGESEAL_FLEET=1000 cargo test -p edgeseal --test fleet -- --nocapture`; 140 agents otherwise.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod broker;
mod carrier;
mod clock;
mod device;
mod faults;
#[allow(dead_code)]
#[path = "../clock/hands.rs"]
mod hands;
mod member;
mod operator;
mod rotation;
mod wire;

use broker::Broker;
use clock::{Clock, Hands};
use edgeseal_agent::wire::VerifyRequest;
use member::{Member, Tally};
use operator::Operator;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_fleet_converges_whatever_happens() {
    let size = std::env::var("EDGESEAL_FLEET").map_or(140, |size| size.parse().unwrap());
    let place = tempfile::Builder::new()
        .prefix("edgeseal-fleet-")
        .tempdir_in(memory())
        .unwrap();
    let mut fleet = Fleet::start(place.path(), size);
    fleet.everybody_gets("the first manifest");

    fleet
        .operator
        .run("role grant node --publish more/{device}/# --audience domain");
    fleet.publish();
    fleet.everybody_gets("a change of a role");

    fleet.revocation(3);
    fleet.rotation();
    fleet.devices_rotate();
    fleet.partition();
    fleet.broker_restarts();
    fleet.tell();
}

struct Fleet {
    members: Vec<Member>,
    tally: Arc<Tally>,
    hands: Hands,
    /// Of the operator's clock, which shows what the fleet's does.
    operators_hands: Rc<hands::Hands>,
    operator: Operator,
    broker: Broker,
    /// Root version and sequence published last.
    newest: (u64, u64),
    hours: u64,
    restarts: u64,
    publishes: u64,
}

impl Fleet {
    fn start(place: &Path, size: u32) -> Self {
        let mut operator = Operator::found(&place.join("operator"), size);
        let operators_hands = Rc::new(hands::Hands::new(&place.join("clock")));
        let put_on = Rc::clone(&operators_hands);
        operator.live_by(move |command| put_on.put_on(command));
        let root = operator.first_root();
        let (clock, hands) = Clock::new();
        let tally = Arc::new(Tally::default());
        let member = |number: u32| {
            let name = format!("d{number}");
            let key = operator::key(number);
            Member::new(&name, &place.join(&name), &root, key, &clock, &tally)
        };
        let (members, tasks): (Vec<_>, Vec<_>) = (0..size).map(member).unzip();
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().max_blocking_threads(4).build();
            let runtime = runtime.unwrap();
            runtime.block_on(async move {
                let mut running = tokio::task::JoinSet::new();
                for task in tasks {
                    running.spawn(task);
                }
                running.join_all().await;
            });
        });
        let mut fleet = Self {
            members,
            tally,
            hands,
            operators_hands,
            operator,
            broker: Broker::start(&place.join("broker")),
            newest: (0, 0),
            hours: 0,
            restarts: 0,
            publishes: 0,
        };
        let port = fleet.broker.port();
        fleet
            .operator
            .run(&format!("domain broker mqtt://127.0.0.1:{port}"));
        fleet.publish();
        fleet.reach(|_| true);
        fleet
    }

    /// A device is revoked: its messages of before are refused everywhere, and it signs no more.
    fn revocation(&mut self, number: usize) {
        let topic = format!("site/d{number}/x");
        let message = self.members[number].sign(&topic).unwrap();
        self.everybody_says("verified", &message);
        self.revoke(number);
        self.everybody_gets("a revocation");
        self.everybody_says("device-revoked", &message);
        assert!(self.members[number].sign(&topic).is_err());
    }

    /// The registrar's key is exchanged, by the next root.
    fn rotation(&mut self) {
        self.operator.rotate_registrar();
        self.publish();
        assert_eq!(self.newest.0, 2);
        self.everybody_gets("another registrar key");
    }

    /// Half of them are cut off for hours, in which another device is revoked and three manifests come.
    fn partition(&mut self) {
        let (revoked, cut_off) = (5, |number: usize| number % 2 == 1);
        let message = self.members[revoked].sign("site/d5/x").unwrap();
        let before = self.newest;
        self.reach(|number| !cut_off(number));
        self.revoke(revoked);
        for change in ["one", "two", "three"] {
            self.operator.run(&format!(
                "role grant node --publish {change}/# --audience domain"
            ));
            self.publish();
            self.put_forward(2);
        }
        let newest = self.newest;
        self.wait("those who are not cut off", |number, place| {
            cut_off(number) || place == newest
        });
        let stays =
            |(number, member): (usize, &Member)| !cut_off(number) || member.place() == before;
        assert!(self.members.iter().enumerate().all(stays), "who told them?");
        self.reach(|_| true);
        self.everybody_gets("the end of a partition");
        // It is hours old by now; the revocation comes first.
        self.everybody_says("device-revoked", &message);
    }

    /// Sessions are lost, then all that was retained as well, until the operator publishes it again.
    fn broker_restarts(&mut self) {
        for (number, forgets) in [false, false, true, false, true].into_iter().enumerate() {
            self.operator.run(&format!(
                "role grant node --publish again/{number}/# --audience domain"
            ));
            if number.is_multiple_of(2) {
                self.publish();
            }
            let is_lost = self.broker.restart(forgets);
            self.restarts += 1;
            if is_lost || number % 2 == 1 {
                self.publish();
            }
            self.everybody_gets("a restart of the broker");
        }
    }

    fn publish(&mut self) {
        self.newest = self.operator.publish(self.broker.port());
        self.publishes += 1;
    }

    fn revoke(&mut self, number: usize) {
        self.operator
            .signed(&format!("device revoke d{number} --yes"));
        self.newest.1 += 1;
        self.publishes += 1;
    }

    fn put_forward(&mut self, hours: u64) {
        let by = Duration::from_secs(hours * 3600);
        self.hands.put_forward(by);
        self.operators_hands.pass(by);
        self.hours += hours;
    }

    /// Lets members reach the broker, or not.
    fn reach(&self, may: impl Fn(usize) -> bool) {
        for (number, member) in self.members.iter().enumerate() {
            member.set_reach(may(number).then_some(self.broker.port()));
        }
    }

    fn everybody_gets(&self, what: &str) {
        let newest = self.newest;
        self.wait(what, |_, place| place == newest);
        assert_eq!(self.tally.rolled_back.load(Ordering::Relaxed), 0);
    }

    fn everybody_says(&self, verdict: &str, message: &VerifyRequest) {
        self.everybody_but_says(usize::MAX, verdict, message);
    }

    fn everybody_but_says(&self, other: usize, verdict: &str, message: &VerifyRequest) {
        let members = self.members.iter().enumerate();
        for (number, member) in members.filter(|(number, _)| *number != other) {
            assert_eq!(member.judge(message), verdict, "says d{number}");
        }
    }

    fn wait(&self, what: &str, has_arrived: impl Fn(usize, (u64, u64)) -> bool) {
        let began = Instant::now();
        let lag = |(number, member): (usize, &Member)| !has_arrived(number, member.place());
        loop {
            let behind = self.members.iter().enumerate().filter(|m| lag(*m)).count();
            if behind == 0 {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: {behind} are behind");
            std::thread::sleep(Duration::from_millis(20));
        }
        let count = self.members.len();
        eprintln!(
            "{what}: {count} agents after {:.1} s",
            began.elapsed().as_secs_f64()
        );
    }

    fn tell(&self) {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tally = &self.tally;
        eprintln!(
            "{} agents, {} manifests, {} hours, {} restarts of the broker: {} connections, {} documents of {} octets came, \
             {} updates applied, {} refused, {} rolled back, {} keys of devices rotated",
            self.members.len(),
            self.publishes,
            self.hours,
            self.restarts,
            of(&tally.connections),
            of(&tally.documents),
            of(&tally.octets),
            of(&tally.applied),
            of(&tally.refused),
            of(&tally.rolled_back),
            of(&tally.rotated),
        );
    }
}

/// Where there is one, a file system in memory: a thousand stores sync some ten thousand times, and how long a disk takes for
/// that is no part of this.
fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    }
}

const PATIENCE: Duration = Duration::from_secs(1200);
