//! A device that enrolls by a join file and rotates its key, over a broker and with a registrar that serves. What the registrar
//! knew at a moment is kept beside what the device knew: after a power cut of the device both go on from there.

use crate::broker::Broker;
use crate::disk;
use crate::farm::{Device, Running, copy};
use crate::offline::answer;
use crate::operator::Operator;
use crate::record::Record;
use crate::state::{Recorded, State, record_of};
use crate::strace;
use serde_json::Value;
use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use tempfile::TempDir;

/// The operator's side.
pub(crate) struct Site {
    world: RefCell<World>,
    operator: Operator,
    place: TempDir,
}

/// What runs there.
struct World {
    broker: Broker,
    registrar: Option<Child>,
}

impl Site {
    pub(crate) fn found() -> Self {
        let place = tempfile::Builder::new().prefix("edgeseal-cut-").tempdir();
        let place = place.unwrap();
        let operator = Operator::found(&place.path().join("operator"), 3);
        let broker = Broker::start(&place.path().join("broker"));
        operator.run(&format!("domain broker mqtt://127.0.0.1:{}", broker.port()));
        operator.signed("publish");
        operator.signed("join create --role node --count 1 --out cards");
        let world = World {
            broker,
            registrar: None,
        };
        Self {
            world: RefCell::new(world),
            operator,
            place,
        }
    }

    /// From the first start with a join file to the first message.
    pub(crate) fn enrollment(&self) -> Recorded<'_> {
        let device = Device::new(self.path("device"));
        fs::copy(&self.operator.join_files()[0], device.join_file()).unwrap();
        self.keep("before");
        self.go_on_from("before");
        let mut command = device.agent();
        command.arg("run");
        let mut told = Told::default();
        let record = record_of(&device, |trace| {
            let running = device.start(strace::traced(&command, trace)).unwrap();
            let enrolled = running.until("it is enrolled", is_enrolled).unwrap();
            told = Told::of(&enrolled);
            let shredded = running.until("the join file is shredded", |_| {
                !device.join_file().exists()
            });
            shredded.unwrap();
            device.signs().unwrap();
            running.stop();
            told.promises()
        });
        self.keep("enrolled");
        let check = move |state: &State, record: &Record| {
            self.go_on_from(told.standing(state, record, ["before", "enrolled"]));
            self.in_same_place(state, |device| {
                let running = told.start(device, state, record)?;
                let enrolled = running.until("it is enrolled", is_enrolled)?;
                // The registrar knows the key of the request that left, and a card is good for one.
                if record.has_said(SENT, state.time) && enrolled["kid"] != told.kid {
                    return Err(format!("another key: {enrolled}"));
                }
                running.until("the join file is shredded", |_| {
                    !device.join_file().exists()
                })?;
                device.signs()
            })
        };
        Recorded {
            what: "enrollment",
            record,
            check: Box::new(check),
        }
    }

    /// From `identity rotate` to the first message under the new key. After [`Self::enrollment`].
    pub(crate) fn rotation(&self) -> Recorded<'_> {
        let device = Device::new(self.path("device"));
        let old = device.kid().unwrap();
        self.go_on_from("enrolled");
        let mut command = Command::new("sh");
        let agent = device.agent();
        let words = agent.get_args().map(|word| word.to_str().unwrap());
        let line = [agent.get_program().to_str().unwrap()];
        let line = line.into_iter().chain(words).collect::<Vec<_>>().join(" ");
        command.arg("-c").arg(format!(
            "{line} identity rotate --now-if-published && exec {line} run"
        ));
        let mut told = Told::default();
        let record = record_of(&device, |trace| {
            let running = device.start(strace::traced(&command, trace)).unwrap();
            let rotated = running.until("the new key signs", |status| {
                is_enrolled(status) && status["kid"] != old.as_str()
            });
            told = Told::of(&rotated.unwrap());
            device.signs().unwrap();
            running.stop();
            told.promises()
        });
        self.keep("rotated");
        let check = move |state: &State, record: &Record| {
            self.go_on_from(told.standing(state, record, ["enrolled", "rotated"]));
            self.in_same_place(state, |device| {
                let running = told.start(device, state, record)?;
                // Whoever asked for it asks again: that is the same as once.
                if running
                    .status()
                    .is_some_and(|status| status["kid"] == old.as_str())
                {
                    answer(
                        device
                            .agent()
                            .args(["identity", "rotate", "--now-if-published"]),
                    )?;
                }
                let rotated = running.until("the new key signs", |status| {
                    is_enrolled(status) && status["kid"] != old.as_str()
                })?;
                if record.has_said(SENT, state.time) && rotated["kid"] != told.kid {
                    return Err(format!("another key: {rotated}"));
                }
                device.signs()
            })
        };
        Recorded {
            what: "rotation",
            record,
            check: Box::new(check),
        }
    }

    /// The device, whose disk is in this state: where its files lie is written in some of them.
    fn in_same_place<T>(&self, state: &State, look: impl FnOnce(&Device) -> T) -> T {
        let device = Device::at(self.path("device"));
        fs::remove_dir_all(device.disk()).unwrap();
        fs::create_dir(device.disk()).unwrap();
        disk::lay(&state.tree, &device.disk());
        look(&device)
    }

    /// Keeps what the registrar knows, and stops it.
    fn keep(&self, name: &str) {
        self.stop();
        copy(&self.path("operator/registry"), &self.path(name));
    }

    /// Broker and registrar know what was kept, and nothing else.
    fn go_on_from(&self, name: &str) {
        self.stop();
        copy(&self.path(name), &self.path("operator/registry"));
        let mut world = self.world.borrow_mut();
        world.broker.restart(true);
        self.operator.run("publish --again --all-shards");
        world.registrar = Some(self.operator.serve());
    }

    fn stop(&self) {
        if let Some(mut registrar) = self.world.borrow_mut().registrar.take() {
            registrar.kill().unwrap();
            registrar.wait().unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the device told somebody.
#[derive(Clone, Default)]
struct Told {
    kid: String,
    epoch: u64,
}

impl Told {
    fn of(status: &Value) -> Self {
        Self {
            kid: status["kid"].as_str().unwrap().to_owned(),
            epoch: status["epoch"].as_u64().unwrap(),
        }
    }

    /// In the order of [`SENT`], [`DONE`] and [`EPOCH`].
    fn promises(&self) -> Vec<String> {
        vec![
            "edgeseal/farm/request/".to_owned(),
            format!(r#""enrolled":true,"kid":"{}""#, self.kid),
            format!(r#""epoch":{},"#, self.epoch),
        ]
    }

    /// What the registrar may know: of a request that has not left, nothing.
    fn standing<'a>(&self, state: &State, record: &Record, names: [&'a str; 2]) -> &'a str {
        names[usize::from(record.has_said(SENT, state.time))]
    }

    /// The agent, as the next boot finds the disk: nothing that it told is undone, before it has heard from anybody.
    fn start<'a>(
        &self,
        device: &'a Device,
        state: &State,
        record: &Record,
    ) -> Result<Running<'a>, String> {
        let mut command = device.agent();
        command.arg("run");
        let running = device.start(command)?;
        let status = running.status().ok_or("gives no status")?;
        if record.has_said(DONE, state.time)
            && (status["kid"] != self.kid.as_str() || status["enrolled"] != true)
        {
            return Err(format!("it was done: {status}"));
        }
        let epoch = status["epoch"].as_u64();
        if record.has_said(EPOCH, state.time) && epoch.is_some_and(|epoch| epoch <= self.epoch) {
            return Err(format!("epoch {epoch:?} after {}", self.epoch));
        }
        Ok(running)
    }
}

fn is_enrolled(status: &Value) -> bool {
    status["enrolled"] == true && status["signing"].is_null()
}

const SENT: usize = 0;
const DONE: usize = 1;
const EPOCH: usize = 2;
