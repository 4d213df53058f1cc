//! A program on rumqttc, in a thread of this process; killed, its socket just closes.

use crate::client::{At, Event, Log, Message, Plan, Program as Told};
use rumqttc::v5::mqttbytes as five;
use rumqttc::{Outgoing, v5};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub(crate) struct Program {
    orders: UnboundedSender<Order>,
    thread: Option<std::thread::JoinHandle<()>>,
}

enum Order {
    Publish {
        topic: String,
        qos: u8,
        retain: bool,
        payloads: Vec<Vec<u8>>,
        prefix: String,
    },
    Kill,
    Quit,
}

/// Which batch a packet identifier belongs to, and how many of each batch are left.
#[derive(Default)]
struct Batches {
    to_be_sent: VecDeque<String>,
    sent: HashMap<u16, String>,
    left: HashMap<String, usize>,
}

/// Both versions of rumqttc under one name.
enum Link {
    Four(rumqttc::AsyncClient, Box<rumqttc::EventLoop>),
    Five(v5::AsyncClient, Box<v5::EventLoop>),
}

/// What the event loop told, of either version.
enum Heard {
    Acked(u16),
    Connected(bool),
    Ended,
    Message(Message),
    Sent(u16),
    Subscribed(Vec<u64>),
    Other,
}

impl Program {
    pub(crate) fn start(plan: &Plan, log: &Log) -> Self {
        let (orders, received) = unbounded_channel();
        let (plan, log) = (plan.clone(), log.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(run(&plan, &log, received));
        });
        Self {
            orders,
            thread: Some(thread),
        }
    }

    fn end(&mut self, order: Order) {
        if let Some(thread) = self.thread.take() {
            let _ = self.orders.send(order);
            let _ = thread.join();
        }
    }
}

impl Told for Program {
    fn publish(&mut self, topic: &str, qos: u8, retain: bool, count: usize, prefix: &str) {
        let payloads = (0..count).map(|number| format!("{prefix}-{number}").into_bytes());
        let _ = self.orders.send(Order::Publish {
            topic: topic.to_owned(),
            qos,
            retain,
            payloads: payloads.collect(),
            prefix: prefix.to_owned(),
        });
    }

    fn delete(&mut self, topic: &str, qos: u8) {
        let _ = self.orders.send(Order::Publish {
            topic: topic.to_owned(),
            qos,
            retain: true,
            payloads: vec![Vec::new()],
            prefix: "deleted".to_owned(),
        });
    }

    fn kill(mut self: Box<Self>) {
        self.end(Order::Kill);
    }

    fn quit(mut self: Box<Self>) {
        self.end(Order::Quit);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end(Order::Kill);
    }
}

async fn run(plan: &Plan, log: &Log, mut orders: UnboundedReceiver<Order>) {
    let mut link = Link::new(plan);
    let mut batches = Batches::default();
    let mut quits = false;
    loop {
        tokio::select! {
            order = orders.recv(), if !quits => match order {
                None | Some(Order::Kill) => return,
                Some(Order::Quit) => {
                    link.disconnect();
                    quits = true;
                }
                Some(Order::Publish { topic, qos, retain, payloads, prefix }) => {
                    batches.left.insert(prefix.clone(), payloads.len());
                    for payload in payloads {
                        batches.to_be_sent.push_back(prefix.clone());
                        link.publish(&topic, qos, retain, payload, &plan.id);
                    }
                }
            },
            heard = link.poll() => match heard {
                Heard::Ended if quits => return,
                Heard::Ended => {
                    log.push(Event::Disconnected);
                    tokio::time::sleep(PAUSE).await;
                }
                Heard::Connected(session) => {
                    log.push(Event::Connected { session });
                    if !session {
                        link.subscribe(&plan.filters);
                    }
                }
                Heard::Acked(id) => batches.acked(id, log),
                Heard::Sent(id) => batches.sent(id, log),
                Heard::Message(message) => log.push(Event::Message(message)),
                Heard::Subscribed(codes) => log.push(Event::Subscribed(codes)),
                Heard::Other => {}
            }
        }
    }
}

impl Batches {
    fn sent(&mut self, id: u16, log: &Log) {
        if self.sent.contains_key(&id) {
            return; // sent again
        }
        if let Some(prefix) = self.to_be_sent.pop_front() {
            if id == 0 {
                self.one_done(&prefix, log);
            } else {
                self.sent.insert(id, prefix);
            }
        }
    }

    fn acked(&mut self, id: u16, log: &Log) {
        if let Some(prefix) = self.sent.remove(&id) {
            self.one_done(&prefix, log);
        }
    }

    fn one_done(&mut self, prefix: &str, log: &Log) {
        let left = self.left.get_mut(prefix).unwrap();
        *left = left.saturating_sub(1);
        if *left == 0 {
            log.push(Event::Acked(prefix.to_owned()));
        }
    }
}

impl Link {
    fn new(plan: &Plan) -> Self {
        let At::Tcp(port) = plan.at else {
            panic!("rumqttc connects by TCP here");
        };
        if plan.version == 5 {
            let mut options = v5::MqttOptions::new(&plan.id, "127.0.0.1", port);
            options.set_keep_alive(KEEP_ALIVE);
            options.set_clean_start(!plan.persistent);
            options.set_max_packet_size(Some(1 << 20));
            options.set_session_expiry_interval(plan.persistent.then_some(3600));
            if let Some(will) = &plan.will {
                let (topic, payload) = (will.topic.as_str(), will.payload.clone());
                options.set_last_will(five::v5::LastWill::new(
                    topic,
                    payload,
                    five::qos(will.qos).unwrap(),
                    will.retain,
                    None,
                ));
            }
            let (client, events) = v5::AsyncClient::new(options, CHANNEL);
            return Self::Five(client, Box::new(events));
        }
        let mut options = rumqttc::MqttOptions::new(&plan.id, "127.0.0.1", port);
        options.set_keep_alive(KEEP_ALIVE);
        options.set_clean_session(!plan.persistent);
        options.set_max_packet_size(1 << 20, 1 << 20);
        if let Some(will) = &plan.will {
            let (topic, payload) = (will.topic.as_str(), will.payload.clone());
            let qos = rumqttc::qos(will.qos).unwrap();
            options.set_last_will(rumqttc::LastWill::new(topic, payload, qos, will.retain));
        }
        let (client, events) = rumqttc::AsyncClient::new(options, CHANNEL);
        Self::Four(client, Box::new(events))
    }

    fn publish(&self, topic: &str, qos: u8, retain: bool, payload: Vec<u8>, from: &str) {
        match self {
            Self::Four(client, _) => {
                let qos = rumqttc::qos(qos).unwrap();
                client.try_publish(topic, qos, retain, payload).unwrap();
            }
            Self::Five(client, _) => {
                let properties = five::v5::PublishProperties {
                    user_properties: vec![("from".to_owned(), from.to_owned())],
                    ..Default::default()
                };
                let qos = five::qos(qos).unwrap();
                let done =
                    client.try_publish_with_properties(topic, qos, retain, payload, properties);
                done.unwrap();
            }
        }
    }

    fn subscribe(&self, filters: &[(String, u8)]) {
        for (filter, qos) in filters {
            match self {
                Self::Four(client, _) => client
                    .try_subscribe(filter, rumqttc::qos(*qos).unwrap())
                    .unwrap(),
                Self::Five(client, _) => client
                    .try_subscribe(filter, five::qos(*qos).unwrap())
                    .unwrap(),
            }
        }
    }

    fn disconnect(&self) {
        match self {
            Self::Four(client, _) => client.try_disconnect().unwrap(),
            Self::Five(client, _) => client.try_disconnect().unwrap(),
        }
    }

    async fn poll(&mut self) -> Heard {
        match self {
            Self::Four(_, events) => events.poll().await.map_or(Heard::Ended, heard_four),
            Self::Five(_, events) => events.poll().await.map_or(Heard::Ended, heard_five),
        }
    }
}

fn heard_four(event: rumqttc::Event) -> Heard {
    use rumqttc::{Event, Packet, SubscribeReasonCode};
    match event {
        Event::Outgoing(Outgoing::Publish(id)) => Heard::Sent(id),
        Event::Incoming(Packet::ConnAck(ack)) => Heard::Connected(ack.session_present),
        Event::Incoming(Packet::PubAck(ack)) => Heard::Acked(ack.pkid),
        Event::Incoming(Packet::PubComp(ack)) => Heard::Acked(ack.pkid),
        Event::Incoming(Packet::SubAck(ack)) => {
            let code = |code: SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(qos) => u64::from(qos as u8),
                SubscribeReasonCode::Failure => 0x80,
            };
            Heard::Subscribed(ack.return_codes.into_iter().map(code).collect())
        }
        Event::Incoming(Packet::Publish(at)) => Heard::Message(Message {
            topic: at.topic,
            payload: String::from_utf8_lossy(&at.payload).into_owned(),
            qos: u64::from(at.qos as u8),
            retain: at.retain,
            dup: at.dup,
            user: Vec::new(),
        }),
        _ => Heard::Other,
    }
}

fn heard_five(event: v5::Event) -> Heard {
    use five::v5::{Packet, SubscribeReasonCode};
    use v5::Event;
    match event {
        Event::Outgoing(Outgoing::Publish(id)) => Heard::Sent(id),
        Event::Incoming(Packet::ConnAck(ack)) => Heard::Connected(ack.session_present),
        Event::Incoming(Packet::PubAck(ack)) => Heard::Acked(ack.pkid),
        Event::Incoming(Packet::PubComp(ack)) => Heard::Acked(ack.pkid),
        Event::Incoming(Packet::SubAck(ack)) => {
            let code = |code: SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(qos) => u64::from(qos as u8),
                _ => 0x80,
            };
            Heard::Subscribed(ack.return_codes.into_iter().map(code).collect())
        }
        Event::Incoming(Packet::Publish(at)) => Heard::Message(Message {
            topic: String::from_utf8_lossy(&at.topic).into_owned(),
            payload: String::from_utf8_lossy(&at.payload).into_owned(),
            qos: u64::from(at.qos as u8),
            retain: at.retain,
            dup: at.dup,
            user: at.properties.map_or_else(Vec::new, |at| at.user_properties),
        }),
        _ => Heard::Other,
    }
}

const KEEP_ALIVE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);
const CHANNEL: usize = 10_000;
