//! A device: its agent with the gateway, and the plain program that connects to it.

use super::fleet::{Agent, Fleet};
use super::program::{Message, Program, Speaks};
use super::tally::{Fate, Tally, Way};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A device, and what is known to have happened at its gateway.
pub(super) struct Device {
    name: &'static str,
    agent: Agent,
    program: Program,
    speaks: Speaks,
    seen: Tally,
}

impl Device {
    /// Starts the agent, then the program.
    pub(super) async fn start(
        name: &'static str,
        port: u16,
        speaks: Speaks,
        filters: &[&str],
        fleet: &Fleet,
    ) -> Result<Self, String> {
        let agent = fleet.start(name, port).await?;
        let program = Program::open(port, speaks, name, filters).await?;
        let seen = agent.tally().await?;
        Ok(Self {
            name,
            agent,
            program,
            speaks,
            seen,
        })
    }

    /// Its program.
    pub(super) const fn program(&self) -> &Program {
        &self.program
    }

    /// Its agent.
    pub(super) const fn agent(&self) -> &Agent {
        &self.agent
    }

    /// The device without its program.
    pub(super) fn into_agent(self) -> Agent {
        self.agent
    }

    /// What its gateway did with the next message of the broker: `verified`, if the program got what `topic` and
    /// `payload` say; the code of the refusal, if the program got nothing; the label, if it got one that says so.
    pub(super) async fn outcome(&mut self, topic: &str, payload: &str) -> Result<String, String> {
        let fate = self.next(Way::Received).await?;
        match fate.outcome.as_str() {
            "delivered" | "observed" => {
                let got = self.program.receive(PATIENCE).await;
                let got = got.ok_or_else(|| format!("no message reached the {}", self.name))?;
                if got.topic == topic && got.payload == payload.as_bytes() {
                    Ok(self.label(&got))
                } else {
                    Ok("another message".to_owned())
                }
            }
            _ => Ok(match self.program.has_received() {
                Some(_) => format!("{}, yet delivered", fate.code),
                None => fate.code,
            }),
        }
    }

    /// Why its gateway did not send the next message of the program.
    pub(super) async fn refusal(&mut self) -> Result<String, String> {
        let fate = self.next(Way::Sent).await?;
        Ok(if fate.outcome == "refused" {
            fate.code
        } else {
            fate.outcome
        })
    }

    /// What its program sent until now is of no interest any more.
    pub(super) async fn forget_sent(&mut self) -> Result<(), String> {
        let now = self.agent.tally().await?;
        self.seen.adopt(&now, Way::Sent);
        Ok(())
    }

    /// Whether its program got anything that nobody spoke of, or its gateway did.
    pub(super) async fn expect_no_more(&mut self) -> Result<(), String> {
        let more = self.agent.tally().await?.since(&self.seen, Way::Received);
        match self.program.has_received() {
            Some(message) => Err(format!("the {} also got {message:?}", self.name)),
            None if !more.is_empty() => {
                Err(format!("the {}'s gateway also saw {more:?}", self.name))
            }
            None => Ok(()),
        }
    }

    /// What the program is told of a message: by its properties in MQTT 5; in 3.1.1, by its coming at all.
    fn label(&self, got: &Message) -> String {
        let values = |wanted: &str| -> Vec<&str> {
            let user = got.user_properties.iter();
            let values = user.filter(|(name, _)| name == wanted);
            values.map(|(_, value)| value.as_str()).collect()
        };
        let (verdicts, senders) = (values("edgeseal-verdict"), values("edgeseal-sender"));
        match (self.speaks, verdicts.as_slice(), senders.as_slice()) {
            (Speaks::Mqtt311, [], []) => "verified".to_owned(),
            (Speaks::Mqtt5, ["verified"], [_]) => "verified".to_owned(),
            (Speaks::Mqtt5, ["unverified"], []) => "unverified".to_owned(),
            _ => format!("{verdicts:?} of {senders:?}"),
        }
    }

    /// Waits for the next thing that the gateway counts.
    async fn next(&mut self, way: Way) -> Result<Fate, String> {
        let started = Instant::now();
        loop {
            let now = self.agent.tally().await?;
            let mut happened = now.since(&self.seen, way);
            match happened.pop() {
                Some(fate) if happened.is_empty() => {
                    self.seen.adopt(&now, way);
                    return Ok(fate);
                }
                Some(_) => {
                    return Err(format!(
                        "too much happened at the {}: {happened:?}",
                        self.name
                    ));
                }
                None if started.elapsed() > PATIENCE => {
                    return Err(format!("nothing reached the gateway of the {}", self.name));
                }
                None => sleep(POLL).await,
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);
