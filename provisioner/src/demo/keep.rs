//! After the play: everything runs on, and a person tries it with a client of their own.

use super::fleet::Agent;
use super::middle::Middle;
use super::report::Report;
use super::scene::Stage;
use super::tally::Way;
use crate::mqtt::Endpoint;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// What runs on. In this order it ends.
pub(super) struct Kept {
    sensor: Agent,
    pump: Agent,
    panel: Agent,
    broker: Middle,
    endpoint: Endpoint,
    _fleet: super::fleet::Fleet,
}

impl Kept {
    /// Without the demo's own programs.
    pub(super) fn of(stage: Stage) -> Self {
        Self {
            sensor: stage.sensor.into_agent(),
            pump: stage.pump.into_agent(),
            panel: stage.panel.into_agent(),
            broker: stage.broker,
            endpoint: stage.endpoint,
            _fleet: stage.fleet,
        }
    }

    /// Says what to try.
    pub(super) fn explain(&self, report: &Report) {
        let (sensor, pump, panel) = (self.sensor.port(), self.pump.port(), self.panel.port());
        let api = self.pump.socket().display();
        let broker = self.at_broker();
        let tries = [
            (
                "what a program of the pump gets, and from whom",
                format!("mosquitto_sub -V 5 -p {pump} -t 'site/#' -F '%t %p  %P'"),
            ),
            (
                "a program of the sensor",
                format!("mosquitto_pub -p {sensor} -t site/sensor/temp -m 22.5"),
            ),
            (
                "the same, forged: straight to the broker, past every agent",
                format!("mosquitto_pub {broker} -t site/sensor/temp -m 99.9"),
            ),
            (
                "a program of the stolen panel",
                format!("mosquitto_pub -p {panel} -t site/pump/cmd -m on"),
            ),
            (
                "what the pump's gateway has refused, by code",
                format!(
                    "curl -s --unix-socket {api} \\\n      http://localhost/metrics | grep rejected"
                ),
            ),
        ];
        report.heading("All of it runs on. Try it with your own MQTT client:");
        for (what, line) in tries {
            report.line(&format!("  # {what}"));
            report.line(&format!("    {line}"));
        }
        report
            .heading("Ctrl-C ends it and leaves nothing behind. What the pump's gateway refuses:");
        report.running(&json!({
            "sensor": sensor,
            "pump": pump,
            "panel": panel,
            "broker": format!("{}:{}", self.endpoint.host(), self.endpoint.port()),
            "pump_api": self.pump.socket(),
        }));
    }

    /// Tells what the pump's gateway refuses, for ever.
    ///
    /// # Errors
    /// A sentence, where its agent does not answer any more.
    pub(super) async fn watch(&self, report: &Report) -> Result<(), String> {
        let mut seen = self.pump.tally().await?;
        loop {
            sleep(WATCH).await;
            let now = self.pump.tally().await?;
            for fate in now.since(&seen, Way::Received) {
                if fate.outcome == "rejected" {
                    report.line(&format!("  pump      refuses a message: {}", fate.code));
                }
            }
            seen = now;
        }
    }

    fn at_broker(&self) -> String {
        let (host, port) = (self.endpoint.host(), self.endpoint.port());
        let host = match self.broker {
            Middle::Embedded(_) => String::new(),
            Middle::External(_) => format!("-h {host} "),
        };
        let secure = self.endpoint.authorities();
        let secure =
            secure.map_or_else(String::new, |file| format!(" --cafile {}", file.display()));
        format!("{host}-p {port}{secure}")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.broker.close();
    }
}

const WATCH: Duration = Duration::from_millis(200);
