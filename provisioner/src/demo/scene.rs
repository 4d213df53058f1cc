//! The play: honest messages, a hostile broker, an operator who acts.

use super::device::Device;
use super::fleet::Fleet;
use super::middle::{Middle, forge};
use super::program::Speaks;
use super::report::Report;
use crate::mqtt::{Arrival, Connection, Endpoint};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Everything that runs.
pub(super) struct Stage {
    pub(super) sensor: Device,
    pub(super) pump: Device,
    pub(super) panel: Device,
    pub(super) broker: Middle,
    pub(super) endpoint: Endpoint,
    // Last: what it made goes away after everybody who uses it.
    pub(super) fleet: Fleet,
}

/// Plays the whole demo on `endpoint`, or on the embedded broker. What runs goes on running.
pub(super) async fn play(endpoint: Option<Endpoint>, report: &mut Report) -> Result<Stage, String> {
    let mut stage = Stage::set(endpoint, report).await?;
    // What was issued before an agent could remember is refused: let that moment pass.
    sleep(MEMORY_BEGINS).await;
    stage.honest(report).await?;
    stage.hostile(report).await?;
    stage.suspended(report).await?;
    stage.revoked(report).await?;
    for device in [&mut stage.sensor, &mut stage.pump, &mut stage.panel] {
        if let Some(what) = device.unexpected().await? {
            report.surprise(&what);
        }
    }
    Ok(stage)
}

impl Stage {
    /// Enrolls three devices by the real commands and starts their agents and programs.
    async fn set(endpoint: Option<Endpoint>, report: &mut Report) -> Result<Self, String> {
        let (broker, endpoint) = Middle::open(endpoint).await?;
        report.heading("The operator enrolls three devices");
        let mut fleet = Fleet::found(endpoint.clone())?;
        let made = "makes the trust domain \"demo\", its keys, roles and grants";
        report.note("operator", made);
        let [sensor, pump, panel] = ["sensor", "pump", "panel"];
        let ports = free_ports()?;
        for (device, port) in [sensor, pump, panel].into_iter().zip(ports) {
            fleet.enroll(device, port)?;
            report.note(device, "makes its own key and asks; the operator approves");
        }
        let sequence = fleet.publish()?;
        let published = format!("signs and publishes the registry, sequence {sequence}");
        report.note("operator", &published);
        let [at_sensor, at_pump, at_panel] = ports;
        let (old, new) = (Speaks::Mqtt311, Speaks::Mqtt5);
        let heard_by_pump = ["site/+/cmd", "site/+/door", "site/+/log", "site/+/temp"];
        let heard_by_panel = ["site/+/door", "site/+/state", "site/+/temp"];
        let stage = Self {
            sensor: Device::start(sensor, at_sensor, old, &["site/sensor/cmd"], &fleet).await?,
            pump: Device::start(pump, at_pump, new, &heard_by_pump, &fleet).await?,
            panel: Device::start(panel, at_panel, old, &heard_by_panel, &fleet).await?,
            broker,
            endpoint,
            fleet,
        };
        let started = "pin the root by its words, apply the file, start their agents";
        report.note("devices", started);
        let connected = format!("plain MQTT, connect to ports {at_sensor}, {at_pump}, {at_panel}");
        report.note("programs", &connected);
        Ok(stage)
    }

    async fn honest(&mut self, report: &mut Report) -> Result<(), String> {
        report.heading("Honest messages, over MQTT");
        self.sensor.program().publish(TEMPERATURE, "21.4").await?;
        let code = self.both(TEMPERATURE, "21.4").await?;
        report.honest("sensor", "publishes 21.4", BOTH, &code);
        self.panel.program().publish(COMMAND, "on").await?;
        let code = self.pump.outcome(COMMAND, "on").await?;
        report.honest("panel", "commands the pump: on", "pump", &code);
        self.pump.program().publish(STATE, "running").await?;
        let code = self.panel.outcome(STATE, "running").await?;
        report.honest("pump", "reports: running", "panel", &code);
        Ok(())
    }

    async fn hostile(&mut self, report: &mut Report) -> Result<(), String> {
        report.heading("The broker turns hostile");
        let held = self.capture(Who::Sensor, DOOR, "open").await?;
        let held_since = Instant::now();
        self.broker.send(&forge(&held)?).await?;
        let code = self.both(DOOR, "open").await?;
        let what = "forges a message of the sensor";
        report.hostile("broker", what, BOTH, &code, "signature");
        let reading = self.altered(report).await?;
        self.unsigned(&reading, report).await?;
        self.repeated(report).await?;

        self.sensor.forget_sent().await?;
        self.sensor.program().publish(COMMAND, "off").await?;
        let code = self.sensor.refusal().await?;
        let what = "is hacked and sends a command";
        report.hostile("sensor", what, "its agent", &code, "topic-not-granted");

        sleep(HELD.saturating_sub(held_since.elapsed())).await;
        self.broker.send(&held).await?;
        let code = self.both(DOOR, "open").await?;
        let what = "delivers what it held back for 3 s";
        report.hostile("broker", what, BOTH, &code, "expired");
        Ok(())
    }

    /// Messages that are not what was signed. Returns one that was.
    async fn altered(&mut self, report: &mut Report) -> Result<Arrival, String> {
        let reading = self.capture(Who::Sensor, TEMPERATURE, "21.5").await?;
        let altered = Arrival {
            payload: b"99.9".to_vec(),
            ..reading.clone()
        };
        self.broker.send(&altered).await?;
        let code = self.both(TEMPERATURE, "99.9").await?;
        report.hostile("broker", "turns 21.5 into 99.9", BOTH, &code, "payload");

        let command = self.capture(Who::Panel, COMMAND, "off").await?;
        let moved = Arrival {
            topic: "site/valve/cmd".to_owned(),
            ..command
        };
        self.broker.send(&moved).await?;
        let code = self.pump.outcome("site/valve/cmd", "off").await?;
        let what = "moves a command to another topic";
        report.hostile("broker", what, "pump", &code, "topic");
        Ok(reading)
    }

    /// Messages without a token.
    async fn unsigned(&mut self, reading: &Arrival, report: &mut Report) -> Result<(), String> {
        let bare = Arrival {
            user_properties: Vec::new(),
            ..reading.clone()
        };
        self.broker.send(&bare).await?;
        let code = self.both(TEMPERATURE, "21.5").await?;
        let what = "strips the token off a message";
        report.hostile("broker", what, BOTH, &code, "unsigned");

        // On this topic the rule only observes: programs get everything, and are told what was verified.
        let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let labelled = Arrival {
            topic: LOG.to_owned(),
            payload: b"all is well".to_vec(),
            user_properties: vec![
                property("edgeseal-sender", "sensor"),
                property("edgeseal-verdict", "verified"),
            ],
            ..Arrival::default()
        };
        self.broker.send(&labelled).await?;
        let code = self.pump.outcome(LOG, "all is well").await?;
        let what = "labels a message of its own \"verified\"";
        report.hostile("broker", what, "pump", &code, "unverified");

        let name = "edgeseal-demo-stranger";
        let stranger = Connection::open(&self.endpoint, name, &["site/stranger"]).await;
        let command = Arrival {
            topic: COMMAND.to_owned(),
            payload: b"off".to_vec(),
            ..Arrival::default()
        };
        let stranger = stranger.map_err(|why| why.to_string())?;
        let sent = stranger.publish(&command).await;
        sent.map_err(|why| why.to_string())?;
        let code = self.pump.outcome(COMMAND, "off").await?;
        let what = "has no agent, commands the pump: off";
        report.hostile("stranger", what, "pump", &code, "unsigned");
        Ok(())
    }

    async fn repeated(&mut self, report: &mut Report) -> Result<(), String> {
        let command = self.broker.capture(self.panel.program(), COMMAND, "on");
        let command = command.await?;
        if !self.broker.lets_pass() {
            self.broker.send(&command).await?;
        }
        let code = self.pump.outcome(COMMAND, "on").await?;
        report.honest("panel", "commands the pump: on", "pump", &code);
        self.broker.send(&command).await?;
        let code = self.pump.outcome(COMMAND, "on").await?;
        report.hostile("broker", "replays the command", "pump", &code, "replay");
        Ok(())
    }

    async fn suspended(&mut self, report: &mut Report) -> Result<(), String> {
        report.heading("The operator acts");
        self.fleet
            .operator(["device", "suspend", "sensor", "--no-publish"], [""; 0])?;
        let sequence = self.fleet.publish()?;
        self.fleet.update(self.pump.agent())?;
        self.fleet.update(self.panel.agent())?;
        let what = format!("suspends the sensor, publishes sequence {sequence}");
        report.note("operator", &what);
        self.sensor.program().publish(TEMPERATURE, "21.6").await?;
        let code = self.both(TEMPERATURE, "21.6").await?;
        let what = "publishes 21.6 all the same";
        report.hostile("sensor", what, BOTH, &code, "device-suspended");
        Ok(())
    }

    async fn revoked(&mut self, report: &mut Report) -> Result<(), String> {
        let revoke = [
            "device",
            "revoke",
            "panel",
            "--reason",
            "stolen",
            "--yes",
            "--no-publish",
        ];
        self.fleet.operator(revoke, [""; 0])?;
        let sequence = self.fleet.publish()?;
        self.fleet.update(self.pump.agent())?;
        let what = format!("revokes the stolen panel, publishes sequence {sequence}");
        report.note("operator", &what);
        self.panel.program().publish(COMMAND, "off").await?;
        let code = self.pump.outcome(COMMAND, "off").await?;
        let what = "commands the pump with the panel's key";
        report.hostile("thief", what, "pump", &code, "device-revoked");

        self.fleet
            .operator(["device", "resume", "sensor", "--no-publish"], [""; 0])?;
        let sequence = self.fleet.publish()?;
        self.fleet.update(self.pump.agent())?;
        self.fleet.update(self.sensor.agent())?;
        let what = format!("resumes the sensor, publishes sequence {sequence}");
        report.note("operator", &what);
        self.sensor.program().publish(TEMPERATURE, "21.7").await?;
        let code = self.pump.outcome(TEMPERATURE, "21.7").await?;
        report.honest("sensor", "publishes 21.7", "pump", &code);
        // The stolen panel has not heard that the sensor may speak again.
        let code = self.panel.outcome(TEMPERATURE, "21.7").await?;
        if code != "device-suspended" {
            report.surprise(&format!("the panel believes what it should not: {code}"));
        }
        Ok(())
    }

    /// What became of a message at pump and panel; both, where they disagree.
    async fn both(&mut self, topic: &str, payload: &str) -> Result<String, String> {
        let pump = self.pump.outcome(topic, payload).await?;
        let panel = self.panel.outcome(topic, payload).await?;
        Ok(if pump == panel {
            pump
        } else {
            format!("{pump} / {panel}")
        })
    }

    /// A program publishes, and the broker keeps the message, if it can.
    async fn capture(
        &mut self,
        who: Who,
        topic: &'static str,
        payload: &'static str,
    ) -> Result<Arrival, String> {
        let device = match who {
            Who::Panel => &self.panel,
            Who::Sensor => &self.sensor,
        };
        let captured = self.broker.capture(device.program(), topic, payload);
        let captured = captured.await?;
        if self.broker.lets_pass() {
            let code = match topic {
                COMMAND => self.pump.outcome(topic, payload).await?,
                _ => self.both(topic, payload).await?,
            };
            if code != "verified" {
                return Err(format!("{payload:?} on {topic} was not accepted: {code}"));
            }
        }
        Ok(captured)
    }
}

#[derive(Clone, Copy)]
enum Who {
    Panel,
    Sensor,
}

/// Ports of this machine that nobody listens on.
fn free_ports() -> Result<[u16; 3], String> {
    let mut ports = [0; 3];
    let mut held = Vec::new();
    for port in &mut ports {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|why| why.to_string())?;
        *port = listener.local_addr().map_err(|why| why.to_string())?.port();
        held.push(listener); // until all are known, so that they differ
    }
    Ok(ports)
}

const BOTH: &str = "pump, panel";
const COMMAND: &str = "site/pump/cmd";
const DOOR: &str = "site/sensor/door";
const LOG: &str = "site/sensor/log";
const STATE: &str = "site/pump/state";
const TEMPERATURE: &str = "site/sensor/temp";
/// Whole seconds: the start, a leeway of 1 s, and the next second.
const MEMORY_BEGINS: Duration = Duration::from_millis(2_100);
/// Lifetime of 1 s, a leeway of 1 s, and what was left of a second.
const HELD: Duration = Duration::from_millis(3_000);
