//! Clients for the tests. Every wait ends after [`PATIENCE`] with a panic; none is a measurement.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{self, Packet};
use rumqttc::{mqttbytes::v4, v5 as client5};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::broker::{Broker, BrokerHandle, Message, PublishProperties};

/// A broker that serves until the test's runtime ends.
pub(super) async fn broker() -> BrokerHandle {
    let broker = Broker::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .expect("a port of the loopback interface is free");
    let handle = broker.handle();
    tokio::spawn(broker.run());
    handle
}

pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// A running rumqttc MQTT 5 client.
pub(super) struct V5 {
    pub(super) client: client5::AsyncClient,
    pub(super) session_present: bool,
    packets: mpsc::UnboundedReceiver<Packet>,
    event_loop: JoinHandle<()>,
}

impl V5 {
    pub(super) async fn connect(broker: &BrokerHandle, client_id: &str) -> Self {
        Self::connect_with(broker, client_id, |_| {}).await
    }

    pub(super) async fn connect_with(
        broker: &BrokerHandle,
        client_id: &str,
        change: impl FnOnce(&mut client5::MqttOptions),
    ) -> Self {
        let addr = broker.local_addr();
        let mut options = client5::MqttOptions::new(client_id, addr.ip().to_string(), addr.port());
        options.set_max_packet_size(Some(1 << 20));
        change(&mut options);
        let (client, mut event_loop) = client5::AsyncClient::new(options, 100);
        let (sender, packets) = mpsc::unbounded_channel();
        let event_loop = tokio::spawn(async move {
            while let Ok(event) = event_loop.poll().await {
                if let client5::Event::Incoming(packet) = event {
                    let _ = sender.send(packet);
                }
            }
        });
        let mut this = Self {
            client,
            session_present: false,
            packets,
            event_loop,
        };
        let Packet::ConnAck(connack) = this.packet("CONNACK").await else {
            panic!("the first packet is no CONNACK");
        };
        assert_eq!(connack.code, v5::ConnectReturnCode::Success);
        this.session_present = connack.session_present;
        this
    }

    pub(super) async fn packet(&mut self, what: &str) -> Packet {
        within(what, self.packets.recv())
            .await
            .unwrap_or_else(|| panic!("closed before {what}"))
    }

    pub(super) async fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.client
            .subscribe(filter, qos)
            .await
            .expect("the client runs");
        loop {
            if let Packet::SubAck(suback) = self.packet("SUBACK").await {
                assert_eq!(suback.return_codes, [v5::SubscribeReasonCode::Success(qos)]);
                return;
            }
        }
    }

    /// Publishes and, at QoS 1 and 2, waits until the exchange is complete.
    pub(super) async fn publish(&mut self, topic: &str, payload: &str, qos: QoS, retain: bool) {
        self.publish_with(topic, payload, qos, retain, PublishProperties::default())
            .await;
    }

    pub(super) async fn publish_with(
        &mut self,
        topic: &str,
        payload: &str,
        qos: QoS,
        retain: bool,
        properties: PublishProperties,
    ) {
        let payload = payload.to_owned();
        let sent = self
            .client
            .publish_with_properties(topic, qos, retain, payload, properties);
        sent.await.expect("the client runs");
        if qos == QoS::AtMostOnce {
            return;
        }
        loop {
            match self.packet("the acknowledgement").await {
                Packet::PubAck(_) if qos == QoS::AtLeastOnce => return,
                Packet::PubComp(_) if qos == QoS::ExactlyOnce => return,
                _ => {}
            }
        }
    }

    pub(super) async fn message(&mut self) -> v5::Publish {
        loop {
            if let Packet::Publish(publish) = self.packet("a message").await {
                return publish;
            }
        }
    }

    /// The next payload, as text.
    pub(super) async fn payload(&mut self) -> String {
        text(&self.message().await.payload)
    }

    /// Closes the socket without DISCONNECT.
    pub(super) async fn drop_socket(self) {
        self.event_loop.abort();
        let _ = self.event_loop.await;
    }

    /// Sends DISCONNECT 0x00 and waits until the connection is closed.
    pub(super) async fn disconnect(mut self) {
        self.client.disconnect().await.expect("the client runs");
        within("the end", async {
            while self.packets.recv().await.is_some() {}
        })
        .await;
    }
}

/// A running rumqttc MQTT 3.1.1 client.
pub(super) struct V4 {
    pub(super) client: rumqttc::AsyncClient,
    pub(super) session_present: bool,
    packets: mpsc::UnboundedReceiver<v4::Packet>,
    event_loop: JoinHandle<()>,
}

impl V4 {
    pub(super) async fn connect(broker: &BrokerHandle, client_id: &str) -> Self {
        Self::connect_with(broker, client_id, |_| {}).await
    }

    pub(super) async fn connect_with(
        broker: &BrokerHandle,
        client_id: &str,
        change: impl FnOnce(&mut rumqttc::MqttOptions),
    ) -> Self {
        let addr = broker.local_addr();
        let mut options = rumqttc::MqttOptions::new(client_id, addr.ip().to_string(), addr.port());
        change(&mut options);
        let (client, mut event_loop) = rumqttc::AsyncClient::new(options, 100);
        let (sender, packets) = mpsc::unbounded_channel();
        let event_loop = tokio::spawn(async move {
            while let Ok(event) = event_loop.poll().await {
                if let rumqttc::Event::Incoming(packet) = event {
                    let _ = sender.send(packet);
                }
            }
        });
        let mut this = Self {
            client,
            session_present: false,
            packets,
            event_loop,
        };
        let v4::Packet::ConnAck(connack) = this.packet("CONNACK").await else {
            panic!("the first packet is no CONNACK");
        };
        assert_eq!(connack.code, v4::ConnectReturnCode::Success);
        this.session_present = connack.session_present;
        this
    }

    pub(super) async fn packet(&mut self, what: &str) -> v4::Packet {
        within(what, self.packets.recv())
            .await
            .unwrap_or_else(|| panic!("closed before {what}"))
    }

    pub(super) async fn subscribe(&mut self, filter: &str, qos: rumqttc::QoS) {
        self.client
            .subscribe(filter, qos)
            .await
            .expect("the client runs");
        loop {
            if let v4::Packet::SubAck(suback) = self.packet("SUBACK").await {
                assert_eq!(suback.return_codes, [v4::SubscribeReasonCode::Success(qos)]);
                return;
            }
        }
    }

    pub(super) async fn publish(&mut self, topic: &str, payload: &str, qos: rumqttc::QoS) {
        let sent = self.client.publish(topic, qos, false, payload.to_owned());
        sent.await.expect("the client runs");
        if qos == rumqttc::QoS::AtMostOnce {
            return;
        }
        loop {
            match self.packet("the acknowledgement").await {
                v4::Packet::PubAck(_) if qos == rumqttc::QoS::AtLeastOnce => return,
                v4::Packet::PubComp(_) if qos == rumqttc::QoS::ExactlyOnce => return,
                _ => {}
            }
        }
    }

    pub(super) async fn message(&mut self) -> v4::Publish {
        loop {
            if let v4::Packet::Publish(publish) = self.packet("a message").await {
                return publish;
            }
        }
    }

    pub(super) async fn drop_socket(self) {
        self.event_loop.abort();
        let _ = self.event_loop.await;
    }
}

/// A socket whose packets the test writes and reads itself (MQTT 5).
pub(super) struct Raw {
    stream: TcpStream,
    input: BytesMut,
}

impl Raw {
    pub(super) async fn open(broker: &BrokerHandle) -> Self {
        let stream = TcpStream::connect(broker.local_addr())
            .await
            .expect("the broker listens");
        Self {
            stream,
            input: BytesMut::new(),
        }
    }

    /// Opens and connects with a session that lasts.
    pub(super) async fn connect(broker: &BrokerHandle, client_id: &str, clean_start: bool) -> Self {
        Self::connect_with(broker, client_id, clean_start, |_| {}).await
    }

    pub(super) async fn connect_with(
        broker: &BrokerHandle,
        client_id: &str,
        clean_start: bool,
        change: impl FnOnce(&mut v5::ConnectProperties),
    ) -> Self {
        let mut this = Self::open(broker).await;
        let mut properties = v5::ConnectProperties {
            session_expiry_interval: Some(3600),
            ..v5::ConnectProperties::default()
        };
        change(&mut properties);
        let connect = v5::Connect {
            keep_alive: 0,
            client_id: client_id.into(),
            clean_start,
            properties: Some(properties),
        };
        this.send(Packet::Connect(connect, None, None)).await;
        let Packet::ConnAck(connack) = this.receive().await else {
            panic!("the first packet is no CONNACK");
        };
        assert_eq!(connack.code, v5::ConnectReturnCode::Success);
        assert_eq!(connack.session_present, !clean_start);
        this
    }

    pub(super) async fn send(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        packet
            .write(&mut bytes, None)
            .expect("the test's packet can be written");
        self.send_bytes(&bytes).await;
    }

    /// Returns whether all was taken. If not, the broker has closed the connection: what it said can still be read.
    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        let sent = within("the socket", self.stream.write_all(bytes)).await;
        sent.is_ok()
    }

    pub(super) async fn subscribe(&mut self, filter: v5::Filter) {
        let subscribe = v5::Subscribe {
            pkid: 1,
            ..v5::Subscribe::new(filter, None)
        };
        self.send(Packet::Subscribe(subscribe)).await;
        assert!(matches!(self.receive().await, Packet::SubAck(_)));
    }

    /// Returns when the broker has handled everything sent before. Nothing else may be on its way.
    pub(super) async fn ping(&mut self) {
        self.send(Packet::PingReq(v5::PingReq)).await;
        assert!(matches!(self.receive().await, Packet::PingResp(_)));
    }

    /// The next packet.
    pub(super) async fn receive(&mut self) -> Packet {
        self.next()
            .await
            .expect("the broker has closed the connection")
    }

    /// The next PUBLISH, which must be the next packet.
    pub(super) async fn message(&mut self) -> v5::Publish {
        match self.receive().await {
            Packet::Publish(publish) => publish,
            other => panic!("not a PUBLISH: {other:?}"),
        }
    }

    /// The reason of the DISCONNECT that comes next, or none if the connection is simply closed.
    pub(super) async fn farewell(mut self) -> Option<v5::DisconnectReasonCode> {
        match self.next().await? {
            Packet::Disconnect(disconnect) => {
                assert!(self.next().await.is_none(), "the connection stays open");
                Some(disconnect.reason_code)
            }
            other => panic!("not a DISCONNECT: {other:?}"),
        }
    }

    /// Everything until the connection is closed, as octets.
    pub(super) async fn rest(mut self) -> Vec<u8> {
        let mut bytes = self.input.to_vec();
        let _ = within("the end", self.stream.read_to_end(&mut bytes)).await;
        bytes
    }

    async fn next(&mut self) -> Option<Packet> {
        loop {
            match Packet::read(&mut self.input, None) {
                Ok(packet) => return Some(packet),
                Err(rumqttc::v5::mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("the broker sent nonsense: {error}"),
            }
            let read = self.stream.read_buf(&mut self.input);
            match within("a packet", read).await {
                Ok(count) if count > 0 => {}
                _ => return None,
            }
        }
    }
}

pub(super) fn text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

/// A message at QoS 1.
pub(super) fn message(topic: &str, payload: &str) -> Message {
    let mut message = Message::new(topic, payload.to_owned());
    message.qos = QoS::AtLeastOnce;
    message
}

pub(super) const ALL_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
const PATIENCE: Duration = Duration::from_secs(10);
