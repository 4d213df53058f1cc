//! The play: honest messages, a hostile broker, an operator who acts.

use super::fleet::{Agent, Fleet};
use super::report::Report;
use crate::broker::{self, Broker, BrokerHandle};
use crate::mqtt::{Arrival, Connection, Endpoint, token_of};
use data_encoding::BASE64;
use edgeseal_trust::key::SigningKey;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::time::sleep;

/// Plays the whole demo on `endpoint`, or on the embedded broker.
pub(super) async fn play(endpoint: Option<Endpoint>, report: &mut Report) -> Result<(), String> {
    report.heading("The operator enrolls three devices");
    let mut fleet = Fleet::found()?;
    report.note(
        "operator",
        "makes the trust domain \"demo\", its keys, roles and grants",
    );
    for device in ["sensor", "pump", "panel"] {
        fleet.enroll(device)?;
        report.note(device, "makes its own key and asks; the operator approves");
    }
    let sequence = fleet.publish()?;
    report.note(
        "operator",
        &format!("signs and publishes the registry, sequence {sequence}"),
    );
    let mut stage = Stage::open(endpoint, &fleet).await?;
    report.note(
        "devices",
        "pin the root by its words, apply the file, start their agents",
    );
    // What was issued before an agent could remember is refused: let that moment pass.
    sleep(MEMORY_BEGINS).await;
    stage.honest(report).await?;
    stage.hostile(report).await?;
    stage.suspended_and_revoked(&mut fleet, report).await?;
    stage.broker.close();
    Ok(())
}

/// A device: its agent, and its program on the broker.
struct Device {
    name: &'static str,
    agent: Agent,
    program: Connection,
}

struct Stage {
    broker: Middle,
    sensor: Device,
    pump: Device,
    panel: Device,
}

/// What stands between the programs.
enum Middle {
    /// The embedded broker itself is hostile.
    Embedded(BrokerHandle),
    /// Somebody else's broker, and a hostile client that has the messages before it has.
    External(Connection),
}

impl Stage {
    async fn open(endpoint: Option<Endpoint>, fleet: &Fleet) -> Result<Self, String> {
        let (broker, endpoint) = match endpoint {
            Some(endpoint) => {
                let hostile =
                    Connection::open(&endpoint, "edgeseal-demo-mallory", &["site/mallory"]).await;
                (
                    Middle::External(hostile.map_err(|why| why.to_string())?),
                    endpoint,
                )
            }
            None => {
                let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let broker = Broker::bind(local).await.map_err(|why| why.to_string())?;
                let handle = broker.handle();
                tokio::spawn(broker.run());
                let port = handle.local_addr().port();
                (Middle::Embedded(handle), Endpoint::local(port))
            }
        };
        let [sensor, pump, panel] = ["sensor", "pump", "panel"];
        Ok(Self {
            broker,
            sensor: Device::start(sensor, &["site/sensor/cmd"], &endpoint, fleet).await?,
            pump: Device::start(pump, &["site/#"], &endpoint, fleet).await?,
            panel: Device::start(panel, &["site/+/state", "site/+/temp"], &endpoint, fleet).await?,
        })
    }

    async fn honest(&mut self, report: &mut Report) -> Result<(), String> {
        report.heading("Honest messages, over MQTT");
        let reading = self.sensor.sign(TEMPERATURE, b"21.4", &json!({})).await?;
        self.sensor.publish(&reading).await?;
        let code = self.both().await?;
        report.honest("sensor", "publishes 21.4", "pump, panel", &code);
        let command = self.panel.sign(COMMAND, b"on", &for_pump()).await?;
        self.panel.publish(&command).await?;
        let code = self.pump.verdict().await?;
        report.honest("panel", "commands the pump: on", "pump", &code);
        let state = self
            .pump
            .sign("site/pump/state", b"running", &json!({}))
            .await?;
        self.pump.publish(&state).await?;
        let code = self.panel.verdict().await?;
        report.honest("pump", "reports: running", "panel", &code);
        self.pump.program.receive(PATIENCE).await; // its own report, which it subscribed to
        Ok(())
    }

    async fn hostile(&mut self, report: &mut Report) -> Result<(), String> {
        report.heading("The broker turns hostile");
        let held = self
            .sensor
            .sign(TEMPERATURE, b"20.0", &json!({ "lifetime_seconds": 1 }))
            .await?;
        self.between(Sender::Sensor, &held, Vec::new()).await?;

        let mallory = SigningKey::from_seed(&random_seed()?);
        let forged = forge(&held, &mallory)?;
        self.broker.send(&forged).await?;
        let code = self.both().await?;
        report.hostile(
            "broker",
            "forges a message of the sensor",
            "pump, panel",
            &code,
            "signature",
        );

        let reading = self.sensor.sign(TEMPERATURE, b"21.5", &json!({})).await?;
        let altered = Arrival {
            payload: b"99.9".to_vec(),
            ..reading.clone()
        };
        self.between(Sender::Sensor, &reading, vec![altered])
            .await?;
        let code = self.both().await?;
        report.hostile(
            "broker",
            "turns 21.5 into 99.9",
            "pump, panel",
            &code,
            "payload",
        );

        let command = self.panel.sign(COMMAND, b"off", &for_pump()).await?;
        let moved = Arrival {
            topic: "site/valve/cmd".to_owned(),
            ..command.clone()
        };
        self.between(Sender::Panel, &command, vec![moved]).await?;
        let code = self.pump.verdict().await?;
        report.hostile(
            "broker",
            "moves a command to another topic",
            "pump",
            &code,
            "topic",
        );

        let bare = Arrival {
            token: None,
            ..reading.clone()
        };
        self.between(Sender::Sensor, &reading, vec![bare]).await?;
        let code = self.both().await?;
        report.hostile(
            "broker",
            "strips the token off a message",
            "pump, panel",
            &code,
            "shape",
        );

        self.repeated_and_late(&held, report).await
    }

    async fn repeated_and_late(
        &mut self,
        held: &Arrival,
        report: &mut Report,
    ) -> Result<(), String> {
        let command = self.panel.sign(COMMAND, b"on", &for_pump()).await?;
        self.between(
            Sender::Panel,
            &command,
            vec![command.clone(), command.clone()],
        )
        .await?;
        let code = self.pump.verdict().await?;
        report.honest("panel", "commands the pump: on", "pump", &code);
        let code = self.pump.verdict().await?;
        report.hostile("broker", "replays the command", "pump", &code, "replay");

        let refusal = self
            .sensor
            .sign(COMMAND, b"off", &for_pump())
            .await
            .err()
            .unwrap_or_default();
        let code = refusal.split(':').next().unwrap_or_default().to_owned();
        report.hostile(
            "sensor",
            "is hacked and wants to sign a command",
            "its agent",
            &code,
            "topic-not-granted",
        );

        sleep(HELD).await;
        self.broker.send(held).await?;
        let code = self.both().await?;
        report.hostile(
            "broker",
            "delivers what it held back for 3 s",
            "pump, panel",
            &code,
            "expired",
        );
        Ok(())
    }

    async fn suspended_and_revoked(
        &mut self,
        fleet: &mut Fleet,
        report: &mut Report,
    ) -> Result<(), String> {
        report.heading("The operator acts");
        fleet.operator(["device", "suspend", "sensor"], [""; 0])?;
        let sequence = fleet.publish()?;
        fleet.update(&self.pump.agent)?;
        fleet.update(&self.panel.agent)?;
        report.note(
            "operator",
            &format!("suspends the sensor, publishes sequence {sequence}"),
        );
        let reading = self.sensor.sign(TEMPERATURE, b"21.6", &json!({})).await?;
        self.sensor.publish(&reading).await?;
        let code = self.both().await?;
        report.hostile(
            "sensor",
            "publishes 21.6 all the same",
            "pump, panel",
            &code,
            "device-suspended",
        );

        fleet.operator(
            ["device", "revoke", "panel", "--reason", "stolen", "--yes"],
            [""; 0],
        )?;
        let sequence = fleet.publish()?;
        fleet.update(&self.pump.agent)?;
        report.note(
            "operator",
            &format!("revokes the stolen panel, publishes sequence {sequence}"),
        );
        let command = self.panel.sign(COMMAND, b"off", &for_pump()).await?;
        self.panel.publish(&command).await?;
        let code = self.pump.verdict().await?;
        report.hostile(
            "thief",
            "commands the pump with the panel's key",
            "pump",
            &code,
            "device-revoked",
        );

        fleet.operator(["device", "resume", "sensor"], [""; 0])?;
        let sequence = fleet.publish()?;
        fleet.update(&self.pump.agent)?;
        fleet.update(&self.sensor.agent)?;
        report.note(
            "operator",
            &format!("resumes the sensor, publishes sequence {sequence}"),
        );
        let reading = self.sensor.sign(TEMPERATURE, b"21.7", &json!({})).await?;
        self.sensor.publish(&reading).await?;
        let code = self.pump.verdict().await?;
        report.honest("sensor", "publishes 21.7", "pump", &code);
        Ok(())
    }

    /// The verdict of pump and panel; both, where they disagree.
    async fn both(&mut self) -> Result<String, String> {
        let (pump, panel) = (self.pump.verdict().await?, self.panel.verdict().await?);
        Ok(if pump == panel {
            pump
        } else {
            format!("{pump} / {panel}")
        })
    }

    /// A device publishes `sent`; the subscribers get `instead`.
    async fn between(
        &mut self,
        sender: Sender,
        sent: &Arrival,
        instead: Vec<Arrival>,
    ) -> Result<(), String> {
        let device = match sender {
            Sender::Panel => &self.panel,
            Sender::Sensor => &self.sensor,
        };
        self.broker.exchange(device, sent, instead).await
    }
}

#[derive(Clone, Copy)]
enum Sender {
    Panel,
    Sensor,
}

impl Middle {
    async fn exchange(
        &self,
        device: &Device,
        sent: &Arrival,
        instead: Vec<Arrival>,
    ) -> Result<(), String> {
        match self {
            Self::Embedded(handle) => {
                let (done, passed) = tokio::sync::oneshot::channel();
                let (wanted, mut done) = (sent.clone(), Some(done));
                handle.interfere(move |message| {
                    if arrival(message) != wanted {
                        return vec![message.clone()];
                    }
                    if let Some(done) = done.take() {
                        let _ = done.send(()); // nobody waits any more: the demo is ending
                    }
                    instead.iter().map(message_of).collect()
                });
                device.publish(sent).await?;
                let passed = tokio::time::timeout(PATIENCE, passed).await;
                handle.stop_interfering();
                passed
                    .map(|_| ())
                    .map_err(|_| "the broker did not see the message".to_owned())
            }
            Self::External(_) => {
                for message in &instead {
                    self.send(message).await?;
                }
                Ok(())
            }
        }
    }

    async fn send(&self, message: &Arrival) -> Result<(), String> {
        match self {
            Self::Embedded(handle) => {
                let sent = handle.inject(message_of(message));
                sent.map(|_| ()).map_err(|why| why.to_string())
            }
            Self::External(hostile) => hostile
                .publish(message)
                .await
                .map_err(|why| why.to_string()),
        }
    }

    fn close(&self) {
        if let Self::Embedded(handle) = self {
            handle.shutdown();
        }
    }
}

impl Device {
    async fn start(
        name: &'static str,
        filters: &[&str],
        endpoint: &Endpoint,
        fleet: &Fleet,
    ) -> Result<Self, String> {
        let agent = fleet.start(name).await?;
        let client_id = format!("edgeseal-demo-{name}");
        let program = Connection::open(endpoint, &client_id, filters).await;
        let program = program.map_err(|why| why.to_string())?;
        Ok(Self {
            name,
            agent,
            program,
        })
    }

    /// Asks the device's agent to sign; the error begins with the agent's code.
    async fn sign(&self, topic: &str, payload: &[u8], more: &Value) -> Result<Arrival, String> {
        let mut body = json!({ "topic": topic, "payload_b64": BASE64.encode(payload) });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        let answer = self.agent.call("/v1/sign", &body).await?;
        match text(&answer, "token") {
            Some(token) => Ok(Arrival {
                topic: topic.to_owned(),
                payload: payload.to_vec(),
                token: Some(token.to_owned()),
            }),
            None => Err(format!(
                "{}: {}",
                text(&answer, "code").unwrap_or("?"),
                text(&answer, "reason").unwrap_or_default()
            )),
        }
    }

    async fn publish(&self, message: &Arrival) -> Result<(), String> {
        self.program
            .publish(message)
            .await
            .map_err(|why| why.to_string())
    }

    /// Receives a message and asks the device's agent about it: `verified`, or the code of the refusal.
    async fn verdict(&mut self) -> Result<String, String> {
        let Some(message) = self.program.receive(PATIENCE).await else {
            return Err(format!("no message reached the {}", self.name));
        };
        let body = json!({
            "token": message.token.unwrap_or_default(),
            "topic": message.topic,
            "payload_b64": BASE64.encode(&message.payload),
            "properties": {},
        });
        let answer = self.agent.call("/v1/verify", &body).await?;
        let code = match text(&answer, "verdict") {
            Some("verified") => "verified",
            _ => text(&answer, "code").unwrap_or("no verdict"),
        };
        Ok(code.to_owned())
    }
}

/// The token of `message`, signed anew by somebody else's key under the same `kid`.
fn forge(message: &Arrival, key: &SigningKey) -> Result<Arrival, String> {
    let token = message
        .token
        .as_deref()
        .and_then(|token| token.rsplit_once('.'));
    let (signed, _) = token.ok_or("a token has three parts")?;
    let signature = data_encoding::BASE64URL_NOPAD.encode(&key.sign(signed.as_bytes()));
    Ok(Arrival {
        token: Some(format!("{signed}.{signature}")),
        ..message.clone()
    })
}

fn random_seed() -> Result<[u8; 32], String> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|why| why.to_string())?;
    Ok(seed)
}

fn text<'a>(answer: &'a Value, member: &str) -> Option<&'a str> {
    answer.get(member).and_then(Value::as_str)
}

fn for_pump() -> Value {
    json!({ "audience": "device:pump" })
}

fn arrival(message: &broker::Message) -> Arrival {
    Arrival {
        topic: message.topic.clone(),
        payload: message.payload.to_vec(),
        token: token_of(&message.properties),
    }
}

fn message_of(arrival: &Arrival) -> broker::Message {
    let mut message = broker::Message::new(arrival.topic.clone(), arrival.payload.clone());
    message.qos = broker::QoS::AtLeastOnce;
    if let Some(token) = &arrival.token {
        let property = (crate::mqtt::TOKEN_PROPERTY.to_owned(), token.clone());
        message.properties.user_properties.push(property);
    }
    message
}

const TEMPERATURE: &str = "site/sensor/temp";
const COMMAND: &str = "site/pump/cmd";
const PATIENCE: Duration = Duration::from_secs(5);
/// Whole seconds: the start, a leeway of 1 s, and the next second.
const MEMORY_BEGINS: Duration = Duration::from_millis(2_100);
/// Lifetime of 1 s, a leeway of 1 s, and what was left of a second.
const HELD: Duration = Duration::from_millis(3_000);
