//! A publisher and a subscriber, the one as far ahead of the other as a window lets it.

use crate::naive::Naive;
use crate::process::cpu_us;
use crate::routes::{Route, World};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// What is sent.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) qos: QoS,
    pub(crate) messages: usize,
    /// Messages that the publisher may be ahead.
    pub(crate) window: usize,
    /// Messages after which the subscriber says so.
    pub(crate) batch: u32,
}

/// What came of it.
pub(crate) struct Sample {
    /// Messages in a second.
    pub(crate) rate: f64,
    /// Of all that stands between the clients but the broker, for one message.
    pub(crate) cpu_us: f64,
    /// Median.
    pub(crate) latency_us: f64,
}

#[derive(Clone)]
struct Shared {
    load: Load,
    ahead: Arc<Semaphore>,
    began: Instant,
    /// When the newest message was sent, in nanoseconds.
    sent: Arc<AtomicU64>,
    naive: Option<Arc<Naive>>,
}

pub(crate) fn run(world: &World, route: Route, load: Load) -> Sample {
    let (publish_port, subscribe_port) = world.ports(route);
    let processes = world.processes(route);
    let shared = Shared {
        load,
        ahead: Arc::new(Semaphore::new(load.window)),
        began: Instant::now(),
        sent: Arc::default(),
        naive: (route == Route::Naive).then(|| Arc::new(Naive::new())),
    };
    let (ready, is_ready) = channel();
    let receiver = shared.clone();
    let subscriber =
        std::thread::spawn(move || on_this_thread(subscribe(subscribe_port, receiver, ready)));
    is_ready.recv_timeout(PATIENCE).expect("nobody subscribes");
    let before = cpu_us(&processes);
    let began = Instant::now();
    let publisher = std::thread::spawn(move || on_this_thread(publish(publish_port, shared)));
    let mut latencies = subscriber.join().expect("messages were lost");
    let took = began.elapsed().as_secs_f64();
    let worked = cpu_us(&processes) - before;
    publisher.join().unwrap();
    Sample {
        rate: load.messages as f64 / took,
        cpu_us: worked / load.messages as f64,
        latency_us: crate::median(&mut latencies),
    }
}

async fn subscribe(port: u16, shared: Shared, ready: Sender<()>) -> Vec<f64> {
    let (client, mut events) = connect("subscriber", port);
    client
        .subscribe("site/alpha/#", shared.load.qos)
        .await
        .unwrap();
    let mut latencies = Vec::with_capacity(shared.load.messages);
    let mut held = 0;
    while latencies.len() < shared.load.messages {
        match poll(&mut events).await {
            Event::Incoming(Packet::SubAck(_)) => ready.send(()).unwrap(),
            Event::Incoming(Packet::Publish(message)) => {
                if let Some(naive) = &shared.naive {
                    check(naive, &message);
                }
                let now = nanoseconds(shared.began.elapsed());
                let took = now.saturating_sub(shared.sent.load(Ordering::Acquire));
                latencies.push(took as f64 / 1000.0);
                held += 1;
                if held == shared.load.batch {
                    shared.ahead.add_permits(held as usize);
                    held = 0;
                }
            }
            _ => {}
        }
    }
    shared.ahead.close();
    client.disconnect().await.ok();
    while let Ok(Ok(_)) = tokio::time::timeout(PATIENCE, events.poll()).await {}
    latencies
}

async fn publish(port: u16, shared: Shared) {
    let (client, mut events) = connect("publisher", port);
    let sending = async {
        let payload = vec![b'x'; PAYLOAD_OCTETS];
        for number in 0..shared.load.messages {
            if number % shared.load.batch as usize == 0 {
                let Ok(permits) = shared.ahead.acquire_many(shared.load.batch).await else {
                    break;
                };
                permits.forget();
            }
            shared
                .sent
                .store(nanoseconds(shared.began.elapsed()), Ordering::Release);
            let properties = shared.naive.as_ref().map(|naive| PublishProperties {
                user_properties: vec![("token".into(), naive.sign(number, TOPIC, &payload))],
                ..PublishProperties::default()
            });
            let (qos, payload) = (shared.load.qos, payload.clone());
            match properties {
                Some(properties) => {
                    client
                        .publish_with_properties(TOPIC, qos, false, payload, properties)
                        .await
                }
                None => client.publish(TOPIC, qos, false, payload).await,
            }
            .unwrap();
        }
        // The subscriber has them all.
        shared
            .ahead
            .acquire_many(u32::try_from(shared.load.window).unwrap())
            .await
            .ok();
        while !shared.ahead.is_closed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        client.disconnect().await.ok();
    };
    let polling = async { while events.poll().await.is_ok() {} };
    tokio::join!(sending, polling);
}

fn check(naive: &Naive, message: &Publish) {
    let properties = message.properties.as_ref().unwrap();
    let (_, token) = properties
        .user_properties
        .iter()
        .find(|(name, _)| name == "token")
        .unwrap();
    naive.verify(
        token,
        std::str::from_utf8(&message.topic).unwrap(),
        &message.payload,
    );
}

fn connect(name: &str, port: u16) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(name, "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(60));
    options.set_outgoing_inflight_upper_limit(256);
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    AsyncClient::new(options, 256)
}

async fn poll(events: &mut EventLoop) -> Event {
    let polled = tokio::time::timeout(PATIENCE, events.poll()).await;
    polled.expect("messages were lost").unwrap()
}

fn on_this_thread<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}

const TOPIC: &str = "site/alpha/temperature";
const PAYLOAD_OCTETS: usize = 256;
const PATIENCE: Duration = Duration::from_secs(30);
