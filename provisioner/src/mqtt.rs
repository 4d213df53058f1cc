//! An MQTT 5 connection of our own, on rumqttc.
//!
//! rumqttc reconnects at once and for ever on its own; this module does not let it: the first error ends a connection, and
//! whoever holds it decides. It tells nobody when a message was acknowledged; this module pairs packet identifiers with who
//! waits for them. What arrives is acknowledged when it is taken, and the broker is told how many messages may be on their way:
//! a flood of them neither grows nor blocks the connection. TLS is always a `ClientConfig` made here, on ring, so that rumqttc
//! judges no certificate.

mod endpoint;
mod worker;

pub(crate) use endpoint::{Credentials, Endpoint, MAX_AUTHORITIES_OCTETS};

use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Publish, PublishProperties};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use worker::{Answer, Expected, Worker};

/// An MQTT 5 connection with a clean session.
pub(crate) struct Connection {
    client: AsyncClient,
    arrivals: mpsc::Receiver<Publish>,
    /// Octets of payloads that arrived and were not taken yet.
    octets: Arc<AtomicUsize>,
    /// Taken by the program, and acknowledged when it asks for the next one.
    taken: Option<Publish>,
    publishes: Mutex<mpsc::UnboundedSender<Expected>>,
    subscribes: Mutex<mpsc::UnboundedSender<Expected>>,
    unsubscribes: Mutex<mpsc::UnboundedSender<Expected>>,
    end: Arc<OnceLock<String>>,
    worker: JoinHandle<()>,
}

/// A message as it arrived, or as it shall be published.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Arrival {
    /// The topic name.
    pub(crate) topic: String,
    /// The payload.
    pub(crate) payload: Vec<u8>,
    /// Arrived: it was kept by the broker since before the subscription. To be published: the broker shall keep it.
    pub(crate) retain: bool,
    /// User properties, in order.
    pub(crate) user_properties: Vec<(String, String)>,
    /// To be published: the broker forgets it after so many seconds; never where nothing is said.
    pub(crate) expiry_seconds: Option<u32>,
}

/// A message that is on its way; [`Connection::acknowledged`] waits for the broker's word.
#[must_use]
pub(crate) struct Receipt {
    answer: oneshot::Receiver<Answer>,
    topic: String,
}

/// What a connection fails at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// Nobody answers at the address.
    Address,
    /// The broker does not let this user in, or does not let it subscribe.
    Login,
    /// Its certificate is not believed, or it speaks no TLS.
    Tls,
    /// It was made, and ended before everything was said.
    Link,
}

/// Why there is no connection, or no more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MqttError {
    /// The URL is not one of a broker.
    #[error("{0:?} is no broker: write mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")]
    Address(String),
    /// The certificate authorities are not usable.
    #[error("no certificate authorities in {path}: {why}")]
    Authorities {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The broker closed the connection, refused it, or cannot be reached.
    #[error("no MQTT connection to {host}:{port}: {why}")]
    Connect {
        /// The broker's host.
        host: String,
        /// The broker's port.
        port: u16,
        /// Where it failed.
        stage: Stage,
        /// What happened.
        why: String,
    },
    /// The connection has ended.
    #[error("the MQTT connection has ended: {0}")]
    Ended(String),
    /// The broker does not want a message or a subscription.
    #[error("the broker refuses {what}: {why}")]
    Refused {
        /// What it refuses.
        what: String,
        /// Its reason code.
        why: String,
    },
}

impl Connection {
    /// Connects as `client_id` with a clean session, and subscribes to `filters` at QoS 1.
    ///
    /// # Errors
    /// [`MqttError::Connect`] after ten seconds at the latest, also where the broker refuses a subscription.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        client_id: &str,
        filters: &[&str],
    ) -> Result<Self, MqttError> {
        let connect_error = |stage: Stage, why: String| MqttError::Connect {
            host: endpoint.host().to_owned(),
            port: endpoint.port(),
            stage,
            why,
        };
        let silent = || "no answer in time".to_owned();
        let mut options = endpoint.options(client_id);
        options.set_keep_alive(KEEP_ALIVE).set_clean_start(true);
        options.set_max_packet_size(Some(MAX_PACKET_OCTETS));
        options.set_receive_maximum(Some(IN_FLIGHT));
        options.set_outgoing_inflight_upper_limit(IN_FLIGHT);
        options.set_manual_acks(true);
        let (client, mut events) = AsyncClient::new(options, CHANNEL);
        match timeout(PATIENCE, worker::handshake(&mut events)).await {
            Ok(Ok(())) => {}
            Ok(Err((stage, why))) => return Err(connect_error(stage, why)),
            Err(_) => return Err(connect_error(Stage::Address, silent())),
        }
        let end = Arc::new(OnceLock::new());
        let (sender, arrivals) = mpsc::channel(ARRIVALS);
        let octets = Arc::new(AtomicUsize::new(0));
        let [
            (publishes, published),
            (subscribes, subscribed),
            (unsubscribes, unsubscribed),
        ] = [(); 3].map(|()| mpsc::unbounded_channel());
        let worker = Worker::new(
            sender,
            Arc::clone(&octets),
            [published, subscribed, unsubscribed],
        );
        let worker = tokio::spawn(worker.run(events, Arc::clone(&end)));
        let connection = Self {
            client,
            arrivals,
            octets,
            taken: None,
            publishes: Mutex::new(publishes),
            subscribes: Mutex::new(subscribes),
            unsubscribes: Mutex::new(unsubscribes),
            end,
            worker,
        };
        if !filters.is_empty() {
            let subscribed = timeout(PATIENCE, connection.subscribe(filters)).await;
            let subscribed = subscribed.map_err(|_| connect_error(Stage::Link, silent()))?;
            subscribed.map_err(|why| {
                let stage = match why {
                    MqttError::Ended(_) => Stage::Link,
                    _ => Stage::Login,
                };
                connect_error(stage, why.to_string())
            })?;
        }
        Ok(connection)
    }

    /// Publishes at QoS 1, and returns once the broker has acknowledged it.
    ///
    /// # Errors
    /// [`MqttError::Ended`] and [`MqttError::Refused`].
    pub(crate) async fn publish(&self, message: &Arrival) -> Result<(), MqttError> {
        let receipt = self.send(message).await?;
        self.acknowledged(receipt).await
    }

    /// Hands a message to the connection, to be published at QoS 1. Waits while too many are unacknowledged.
    ///
    /// # Errors
    /// [`MqttError::Ended`].
    pub(crate) async fn send(&self, message: &Arrival) -> Result<Receipt, MqttError> {
        let properties = PublishProperties {
            user_properties: message.user_properties.clone(),
            message_expiry_interval: message.expiry_seconds,
            ..PublishProperties::default()
        };
        let (topic, payload) = (message.topic.clone(), message.payload.clone());
        let publish = self.client.publish_with_properties(
            topic.clone(),
            QoS::AtLeastOnce,
            message.retain,
            payload,
            properties,
        );
        let answer = self.expect(&self.publishes, publish).await?;
        Ok(Receipt { answer, topic })
    }

    /// Waits for the acknowledgement of a message.
    ///
    /// # Errors
    /// [`MqttError::Refused`] with the broker's reason code, [`MqttError::Ended`] also where it says nothing for a minute.
    pub(crate) async fn acknowledged(&self, receipt: Receipt) -> Result<(), MqttError> {
        let answer = self.answer(receipt.answer).await?;
        answer.map_err(|why| MqttError::Refused {
            what: format!("a message on {}", receipt.topic),
            why,
        })
    }

    /// Subscribes at QoS 1; messages that the broker keeps follow, also where the filter was subscribed to before.
    ///
    /// # Errors
    /// As [`Connection::publish`]; some of the filters may have been granted.
    pub(crate) async fn subscribe(&self, filters: &[&str]) -> Result<(), MqttError> {
        let wanted: Vec<Filter> = filters
            .iter()
            .map(|filter| Filter::new(*filter, QoS::AtLeastOnce))
            .collect();
        let subscribe = self.client.subscribe_many(wanted);
        let answer = self.expect(&self.subscribes, subscribe).await?;
        let answer = self.answer(answer).await?;
        answer.map_err(|why| MqttError::Refused {
            what: format!("a subscription to {}", filters.join(", ")),
            why,
        })
    }

    /// Ends subscriptions.
    ///
    /// # Errors
    /// [`MqttError::Ended`].
    pub(crate) async fn unsubscribe(&self, filters: &[&str]) -> Result<(), MqttError> {
        let mut answers = Vec::new();
        for filter in filters {
            let unsubscribe = self.client.unsubscribe(*filter);
            answers.push(self.expect(&self.unsubscribes, unsubscribe).await?);
        }
        for answer in answers {
            // That there was none is no reason to stop.
            let _ = self.answer(answer).await?;
        }
        Ok(())
    }

    /// Waits until the broker has answered everything that it was asked before: a broker answers in order, so what it keeps for a
    /// subscription has arrived by then, however slow the line is. Some look it up meanwhile, and are only a moment later.
    ///
    /// # Errors
    /// [`MqttError::Ended`].
    pub(crate) async fn answered(&self) -> Result<(), MqttError> {
        self.unsubscribe(&[NEVER_SUBSCRIBED]).await
    }

    /// The next message, if one arrives within `patience`. The one before it is acknowledged now. May be cancelled.
    ///
    /// # Errors
    /// [`MqttError::Ended`].
    pub(crate) async fn receive(
        &mut self,
        patience: Duration,
    ) -> Result<Option<Arrival>, MqttError> {
        if let Some(taken) = &self.taken {
            let acknowledged = self.client.ack(taken).await;
            acknowledged.map_err(|_| self.ended())?;
            self.taken = None;
        }
        match timeout(patience, self.arrivals.recv()).await {
            Err(_) => Ok(None),
            Ok(None) => Err(self.ended()),
            Ok(Some(publish)) => {
                let arrival = arrival(&publish);
                self.octets
                    .fetch_sub(arrival.payload.len(), Ordering::Relaxed);
                self.taken = Some(publish);
                Ok(Some(arrival))
            }
        }
    }

    /// Says goodbye; without it the broker takes the end for a lost connection.
    pub(crate) async fn close(mut self) {
        if self.client.disconnect().await.is_ok() {
            let _ = timeout(GOODBYE, &mut self.worker).await;
        }
    }

    /// Hands a request over, with who waits for its answer: both in the same order.
    async fn expect<E>(
        &self,
        line: &Mutex<mpsc::UnboundedSender<Expected>>,
        request: impl Future<Output = Result<(), E>>,
    ) -> Result<oneshot::Receiver<Answer>, MqttError> {
        let line = line.lock().await;
        let (sender, answer) = oneshot::channel();
        line.send(sender).map_err(|_| self.ended())?;
        request.await.map_err(|_| self.ended())?;
        Ok(answer)
    }

    async fn answer(&self, answer: oneshot::Receiver<Answer>) -> Result<Answer, MqttError> {
        match timeout(ACKNOWLEDGEMENT, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(self.ended()),
            Err(_) => Err(MqttError::Ended("no acknowledgement in time".to_owned())),
        }
    }

    fn ended(&self) -> MqttError {
        let why = self.end.get().cloned();
        MqttError::Ended(why.unwrap_or_else(|| "it was closed".to_owned()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

impl Arrival {
    /// What the broker shall keep on `topic`; nothing at all takes away what it keeps.
    pub(crate) fn retained(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            retain: true,
            ..Self::default()
        }
    }

    /// The value of the user property `edgeseal`.
    pub(crate) fn token(&self) -> Option<&str> {
        let mut user = self.user_properties.iter();
        let token = user.find(|(name, _)| name == TOKEN_PROPERTY);
        token.map(|(_, value)| value.as_str())
    }
}

fn arrival(publish: &Publish) -> Arrival {
    let properties = publish.properties.as_ref();
    Arrival {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload.to_vec(),
        retain: publish.retain,
        user_properties: properties
            .map(|properties| properties.user_properties.clone())
            .unwrap_or_default(),
        expiry_seconds: properties.and_then(|properties| properties.message_expiry_interval),
    }
}

/// The user property that carries a token.
pub(crate) const TOKEN_PROPERTY: &str = "edgeseal";
/// A filter that nobody subscribes to.
const NEVER_SUBSCRIBED: &str = "edgeseal/-";
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(10);
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(60);
const GOODBYE: Duration = Duration::from_secs(2);
/// The largest trust document, with its topic.
const MAX_PACKET_OCTETS: u32 = (1 << 20) + (16 << 10);
/// Messages that may be unacknowledged, in either direction.
const IN_FLIGHT: u16 = 64;
/// Holds all that may be unacknowledged, and as much again at QoS 0.
const CHANNEL: usize = 128;
/// Messages that arrived and were not taken yet; how many octets they may have is the narrower bound.
const ARRIVALS: usize = 16_384;
