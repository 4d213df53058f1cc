//! What stands between the gateways: a broker, and somebody hostile who has it in hand.

use super::program::Program;
use crate::broker::{self, Broker, BrokerHandle};
use crate::mqtt::{Arrival, Connection, Endpoint, TOKEN_PROPERTY};
use edgeseal_trust::key::SigningKey;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// The broker's hostile side.
pub(super) enum Middle {
    /// The embedded broker itself is hostile.
    Embedded(BrokerHandle),
    /// Somebody else's broker, and a hostile client that hears everything.
    External(Box<Connection>),
}

impl Middle {
    /// Takes the broker at `endpoint` in hand, or starts the embedded one; and where it is.
    pub(super) async fn open(endpoint: Option<Endpoint>) -> Result<(Self, Endpoint), String> {
        if let Some(endpoint) = endpoint {
            let hostile = Connection::open(&endpoint, "edgeseal-demo-mallory", &["site/#"]).await;
            let hostile = hostile.map_err(|why| why.to_string())?;
            return Ok((Self::External(Box::new(hostile)), endpoint));
        }
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let broker = Broker::bind(local).await.map_err(|why| why.to_string())?;
        let handle = broker.handle();
        tokio::spawn(broker.run());
        let port = handle.local_addr().port();
        Ok((Self::Embedded(handle), Endpoint::local(port)))
    }

    /// Whether what is captured reaches its receivers too: a client alone can keep nothing back.
    pub(super) const fn lets_pass(&self) -> bool {
        matches!(self, Self::External(_))
    }

    /// A program publishes, and the broker keeps what its gateway made of it.
    pub(super) async fn capture(
        &mut self,
        program: &Program,
        topic: &'static str,
        payload: &'static str,
    ) -> Result<Arrival, String> {
        let captured = match self {
            Self::Embedded(handle) => {
                let (keep, kept) = oneshot::channel();
                let mut keep = Some(keep);
                handle.interfere(move |message| match keep.take() {
                    Some(keep) if message.topic == topic && message.payload == payload => {
                        let _ = keep.send(arrival(message)); // nobody waits any more: the demo is ending
                        Vec::new()
                    }
                    other => {
                        keep = other;
                        vec![message.clone()]
                    }
                });
                program.publish(topic, payload).await?;
                let kept = timeout(PATIENCE, kept).await;
                handle.stop_interfering();
                kept.ok().and_then(Result::ok)
            }
            Self::External(hostile) => {
                while let Ok(Some(_)) = hostile.receive(Duration::ZERO).await {}
                program.publish(topic, payload).await?;
                let started = Instant::now();
                loop {
                    let left = PATIENCE.saturating_sub(started.elapsed());
                    match hostile.receive(left).await.ok().flatten() {
                        Some(heard)
                            if heard.topic == topic && heard.payload == payload.as_bytes() =>
                        {
                            break Some(heard);
                        }
                        Some(_) => {}
                        None => break None,
                    }
                }
            }
        };
        captured.ok_or_else(|| format!("the broker did not see {payload:?} on {topic}"))
    }

    /// The broker delivers something of its own making.
    pub(super) async fn send(&self, message: &Arrival) -> Result<(), String> {
        match self {
            Self::Embedded(handle) => {
                let sent = handle.inject(message_of(message));
                sent.map(|_| ()).map_err(|why| why.to_string())
            }
            Self::External(hostile) => {
                let sent = hostile.publish(message).await;
                sent.map_err(|why| why.to_string())
            }
        }
    }

    pub(super) fn close(&self) {
        if let Self::Embedded(handle) = self {
            handle.shutdown();
        }
    }
}

/// `message`, its token signed anew by a key of the broker's own under the same `kid`.
pub(super) fn forge(message: &Arrival) -> Result<Arrival, String> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|why| why.to_string())?;
    let key = SigningKey::from_seed(&seed);
    let token = message.token().and_then(|token| token.rsplit_once('.'));
    let (signed, _) = token.ok_or("the message carries no token of three parts")?;
    let signature = data_encoding::BASE64URL_NOPAD.encode(&key.sign(signed.as_bytes()));
    let forged = (TOKEN_PROPERTY.to_owned(), format!("{signed}.{signature}"));
    Ok(Arrival {
        user_properties: vec![forged],
        ..message.clone()
    })
}

fn arrival(message: &broker::Message) -> Arrival {
    Arrival {
        topic: message.topic.clone(),
        payload: message.payload.to_vec(),
        user_properties: message.properties.user_properties.clone(),
        ..Arrival::default()
    }
}

fn message_of(arrival: &Arrival) -> broker::Message {
    let mut message = broker::Message::new(arrival.topic.clone(), arrival.payload.clone());
    message.qos = broker::QoS::AtLeastOnce;
    message
        .properties
        .user_properties
        .clone_from(&arrival.user_properties);
    message
}

const PATIENCE: Duration = Duration::from_secs(5);
