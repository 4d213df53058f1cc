//! The running agent, asked as a program would ask it.

use super::super::{AgentFacts, RoundTrip};
use crate::client::{Client, ClientError};
use crate::daemon::AgentStatus;
use crate::wire::{ConsumerName, LoginRequest, SignRequest, Signed, VerdictBody, VerifyRequest};
use edgeseal_trust::grant::AudiencePattern;
use edgeseal_trust::id::{Audience, DeviceId};
use edgeseal_trust::registry::TrustView;
use edgeseal_trust::token::Kind;
use std::path::Path;
use std::time::Duration;

/// A running agent, or why there is none to ask.
pub(super) struct Asked {
    pub(super) agent: AgentFacts,
    client: Option<Client>,
}

pub(super) async fn ask(socket: &Path) -> Asked {
    let mut client = match Client::connect(socket, PATIENCE).await {
        Ok(client) => client,
        Err(error) => {
            let agent = without(&error);
            return Asked {
                agent,
                client: None,
            };
        }
    };
    match client.get::<AgentStatus>("/v1/status").await {
        Ok(status) => Asked {
            agent: AgentFacts::Answered(Box::new(status)),
            client: Some(client),
        },
        Err(error) => Asked {
            agent: without(&error),
            client: Some(client),
        },
    }
}

impl Asked {
    /// Signs a message and lets it be verified, on a topic that a role of this device grants.
    pub(super) async fn round_trip(&mut self, view: Option<&TrustView>) -> RoundTrip {
        let (Some(status), Some(client)) = (self.agent.status(), self.client.as_mut()) else {
            return RoundTrip::NotTried("no agent answers".to_owned());
        };
        if let Some(why) = status
            .engine
            .signing
            .as_ref()
            .or(status.engine.verifying.as_ref())
        {
            return RoundTrip::NotTried(why.reason.clone());
        }
        let (Some(view), Some(device)) = (view, status.engine.device.as_ref()) else {
            return RoundTrip::NotTried("the roles of this device cannot be seen".to_owned());
        };
        let roles = status.engine.roles.iter();
        let granted = roles
            .filter_map(|role| view.roles.get(role))
            .flat_map(|role| &role.grants)
            .filter(|grant| grant.audiences.contains(&AudiencePattern::Domain))
            .flat_map(|grant| &grant.publish)
            .next();
        let Some(filter) = granted else {
            let why = "no role of this device grants a topic that the whole domain may read";
            return RoundTrip::NotTried(why.to_owned());
        };
        let topic = topic_of(filter.as_str(), device);
        match sign_and_verify(client, &topic).await {
            Ok(()) => RoundTrip::Done(topic),
            Err(ClientError::Refused(body)) => {
                RoundTrip::Failed(format!("on {topic}: {} [{}]", body.reason, body.code))
            }
            Err(error) => RoundTrip::Failed(format!("on {topic}: {}", first_line(&error))),
        }
    }

    /// A login token for a broker, and whose name goes with it.
    pub(super) async fn login(&mut self, audience: &Audience) -> Result<(String, String), String> {
        let device = self
            .agent
            .status()
            .and_then(|status| status.engine.device.as_ref());
        let device = device.map(ToString::to_string);
        let (Some(device), Some(client)) = (device, self.client.as_mut()) else {
            return Err("only a running agent that is enrolled makes login tokens".to_owned());
        };
        let request = LoginRequest {
            audience: audience.clone(),
            lifetime_seconds: None,
        };
        match client.post::<_, Signed>("/v1/login", &request).await {
            Ok(signed) => Ok((device, signed.token)),
            Err(error) => Err(first_line(&error)),
        }
    }
}

async fn sign_and_verify(client: &mut Client, topic: &str) -> Result<(), ClientError> {
    let request = SignRequest {
        topic: topic.to_owned(),
        payload_b64: PAYLOAD.into(),
        audience: None,
        kind: Kind::default(),
        lifetime_seconds: None,
        qos: None,
        properties: None,
        captured_at: None,
        vouched: false,
        resend: None,
    };
    let signed: Signed = client.post("/v1/sign", &request).await?;
    let request = VerifyRequest {
        token: signed.token,
        topic: topic.to_owned(),
        payload_b64: PAYLOAD.into(),
        kind: Kind::default(),
        qos: None,
        retain: false,
        consumer: ConsumerName::parse(CONSUMER).ok(),
        properties: None,
    };
    let _: VerdictBody = client.post("/v1/verify", &request).await?;
    Ok(())
}

/// A topic that a filter matches: `{device}` is this one, wildcards are a level of our own.
fn topic_of(filter: &str, device: &DeviceId) -> String {
    let levels = filter.split('/').map(|level| match level {
        "{device}" => device.as_str(),
        "+" | "#" => LEVEL,
        level => level,
    });
    levels.collect::<Vec<_>>().join("/")
}

fn without(error: &ClientError) -> AgentFacts {
    let what = first_line(error);
    match error {
        ClientError::NotRunning(_) => AgentFacts::NotRunning(what),
        ClientError::Permission(_) | ClientError::Refused(_) => AgentFacts::Forbidden(what),
        _ => AgentFacts::Mute(what),
    }
}

fn first_line(error: &ClientError) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

const PATIENCE: Duration = Duration::from_secs(10);
const PAYLOAD: &[u8] = b"edgeseal doctor";
const CONSUMER: &str = "doctor";
const LEVEL: &str = "edgeseal-doctor";
