//! One TCP connection: octets in and out, deadlines, and the translation between packets and the state.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout};

use super::message::{Message, MessageError};
use super::shared::{Shared, ShutdownSignal};
use super::state::Parting;
use super::wire::{Connect, ConnectRefusal, Frame, Incoming, Level, Outgoing, Receipt, take_frame};

/// Serves one client until either side ends the connection.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Without it small acknowledgements wait for each other; if it cannot be set, they do.
    let _ = stream.set_nodelay(true);
    let mut socket = Socket {
        stream,
        input: BytesMut::new(),
        output: BytesMut::new(),
    };
    let mut shutdown = shared.shutdown_signal();
    let first = tokio::select! {
        first = timeout(CONNECT_PATIENCE, socket.first_frame()) => first,
        () = shutdown.received() => return,
    };
    let Ok(Some(frame)) = first else {
        return;
    };
    match greet(frame, &shared) {
        Ok((greeting, mut session)) => {
            session.level.encode(&greeting, &mut socket.output);
            let ending = session.run(&mut socket, &mut shutdown).await;
            session.part(ending);
            if let Ending::Refused(reason) = ending {
                let packet = Outgoing::Disconnect(reason);
                session.level.encode(&packet, &mut socket.output);
            }
        }
        Err((level, refusal)) => {
            level.encode(&Outgoing::ConnAck(Err(refusal)), &mut socket.output);
        }
    }
    socket.close().await;
}

/// Judges a CONNECT. The level of a refusal is the one that the client understands.
fn greet(
    frame: Frame,
    shared: &Arc<Shared>,
) -> Result<(Outgoing, Connected), (Level, ConnectRefusal)> {
    let level = Level::of_connect(&frame).map_err(|refusal| (Level::V4, refusal))?;
    let Ok(Incoming::Connect(connect)) = level.decode(frame) else {
        return Err((level, ConnectRefusal::Malformed));
    };
    let Connect {
        keep_alive,
        session_expiry,
        ..
    } = *connect;
    let wake = Arc::new(Notify::new());
    let attachment = shared
        .state()
        .connect(*connect, Arc::clone(&wake), Instant::now().into_std())
        .map_err(|refusal| (level, refusal))?;
    shared.publish_due_wills();
    let session = Connected {
        shared: Arc::clone(shared),
        level,
        client_id: attachment.client_id,
        link: attachment.link,
        wake,
        // MQTT 5, 3.1.2.10: one and a half times what the client announced.
        patience: (keep_alive > 0)
            .then(|| Duration::from_millis(1500).saturating_mul(keep_alive.into())),
        heard: Instant::now(),
        pause: None,
        session_expiry,
    };
    Ok((Outgoing::ConnAck(Ok(attachment.accepted)), session))
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// DISCONNECT.
    Left {
        with_will: bool,
        session_expiry: Option<u32>,
    },
    /// The socket has closed or failed.
    Lost,
    /// By the broker.
    Refused(DisconnectReasonCode),
}

impl From<DisconnectReasonCode> for Ending {
    fn from(reason: DisconnectReasonCode) -> Self {
        Self::Refused(reason)
    }
}

/// A connection after its CONNACK.
struct Connected {
    shared: Arc<Shared>,
    level: Level,
    client_id: String,
    link: u64,
    wake: Arc<Notify>,
    /// How long the client may be silent.
    patience: Option<Duration>,
    /// When the last packet came.
    heard: Instant,
    /// Until when nothing is taken from this client, because a subscriber of its messages is behind.
    pause: Option<Instant>,
    /// What CONNECT said, seconds.
    session_expiry: u32,
}

impl Connected {
    async fn run(&mut self, socket: &mut Socket, shutdown: &mut ShutdownSignal) -> Ending {
        loop {
            let worked = self.read_packets(socket).and_then(|()| self.send(socket));
            if let Err(ending) = worked {
                return ending;
            }
            let deadline = self
                .patience
                .and_then(|patience| self.heard.checked_add(patience));
            tokio::select! {
                alive = socket.transfer(self.pause.is_none()) => if !alive {
                    return Ending::Lost;
                },
                () = self.wake.notified() => {}
                () = until(self.pause) => {}
                () = until(deadline) => return DisconnectReasonCode::KeepAliveTimeout.into(),
                () = shutdown.received() => {
                    return DisconnectReasonCode::ServerShuttingDown.into();
                }
            }
            // Subscribers get their turn, however fast this client publishes.
            yield_now().await;
        }
    }

    /// Tells the session that its connection has ended.
    fn part(&self, ending: Ending) {
        let parting = match ending {
            // The state is about to go as well.
            Ending::Refused(DisconnectReasonCode::ServerShuttingDown) => return,
            Ending::Left {
                with_will: false,
                session_expiry,
            } => Parting::Graceful { session_expiry },
            Ending::Left { session_expiry, .. } => Parting::Ungraceful { session_expiry },
            Ending::Lost | Ending::Refused(_) => Parting::Ungraceful {
                session_expiry: None,
            },
        };
        let now = Instant::now().into_std();
        self.shared
            .state()
            .detach(&self.client_id, self.link, parting, now);
        self.shared.publish_due_wills();
    }

    /// Handles the packets that are complete, as long as there is room for the answers.
    fn read_packets(&mut self, socket: &mut Socket) -> Result<(), Ending> {
        if self.pause.is_some_and(|end| Instant::now() < end) {
            return Ok(());
        }
        self.pause = None;
        while socket.has_room() && self.pause.is_none() {
            let Some(frame) = take_frame(&mut socket.input)? else {
                break;
            };
            self.heard = Instant::now();
            let packet = self.level.decode(frame)?;
            if let Some(answer) = self.handle(packet)? {
                self.level.encode(&answer, &mut socket.output);
            }
        }
        Ok(())
    }

    /// Writes what waits for this client, as long as there is room.
    fn send(&mut self, socket: &mut Socket) -> Result<(), Ending> {
        while socket.has_room() {
            let mut state = self.shared.state();
            let session = state.attached(&self.client_id, self.link)?;
            let Some(packet) = session.next_outgoing(Instant::now().into_std()) else {
                break;
            };
            drop(state);
            self.level.encode(&packet, &mut socket.output);
        }
        Ok(())
    }

    fn handle(&mut self, packet: Incoming) -> Result<Option<Outgoing>, Ending> {
        if let Incoming::Publish { message, packet_id } = packet {
            return self.publish(message, packet_id);
        }
        let mut state = self.shared.state();
        let session = state.attached(&self.client_id, self.link)?;
        match packet {
            Incoming::PubAck(packet_id) => session.acknowledge(packet_id),
            Incoming::PubComp(packet_id) => session.complete(packet_id),
            Incoming::PubRec {
                packet_id,
                accepted,
            } => return Ok(session.received(packet_id, accepted)),
            Incoming::PubRel(packet_id) => {
                let found = session.release(packet_id);
                return Ok(Some(Outgoing::PubComp { packet_id, found }));
            }
            Incoming::PingReq => return Ok(Some(Outgoing::PingResp)),
            Incoming::Subscribe {
                packet_id,
                requests,
            } => {
                let now = Instant::now().into_std();
                let results = state.subscribe(&self.client_id, self.link, &requests, now)?;
                return Ok(Some(Outgoing::SubAck { packet_id, results }));
            }
            Incoming::Unsubscribe { packet_id, filters } => {
                let existed = filters.iter().map(|filter| session.unsubscribe(filter));
                let existed = existed.collect();
                return Ok(Some(Outgoing::UnsubAck { packet_id, existed }));
            }
            Incoming::Disconnect {
                with_will,
                session_expiry,
            } => {
                // 3.14.2.2.2: a session that was to end with its connection cannot be made to last.
                if self.session_expiry == 0 && session_expiry.is_some_and(|seconds| seconds > 0) {
                    return Err(DisconnectReasonCode::ProtocolError.into());
                }
                return Err(Ending::Left {
                    with_will,
                    session_expiry,
                });
            }
            // A second CONNECT.
            Incoming::Connect(_) | Incoming::Publish { .. } => {
                return Err(DisconnectReasonCode::ProtocolError.into());
            }
        }
        Ok(None)
    }

    fn publish(&mut self, message: Message, packet_id: u16) -> Result<Option<Outgoing>, Ending> {
        let qos = message.qos;
        let is_new = {
            let mut state = self.shared.state();
            let session = state.attached(&self.client_id, self.link)?;
            qos != QoS::ExactlyOnce || session.take(packet_id)?
        };
        let result = if is_new {
            self.shared.publish(&self.client_id, message)
        } else {
            Ok(false)
        };
        if result == Ok(true) {
            self.pause = Instant::now().checked_add(PAUSE);
        }
        let receipt = self.receipt(qos, packet_id, result)?;
        Ok(match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Outgoing::PubAck(packet_id, receipt)),
            QoS::ExactlyOnce => Some(Outgoing::PubRec(packet_id, receipt)),
        })
    }

    fn receipt(
        &self,
        qos: QoS,
        packet_id: u16,
        result: Result<bool, MessageError>,
    ) -> Result<Receipt, Ending> {
        if result.is_ok() {
            return Ok(Receipt::Taken);
        }
        if qos == QoS::ExactlyOnce {
            let mut state = self.shared.state();
            let session = state.attached(&self.client_id, self.link)?;
            session.release(packet_id);
        }
        // A 3.1.1 acknowledgement could only say that all is well.
        if self.level == Level::V4 && qos != QoS::AtMostOnce {
            return Err(DisconnectReasonCode::QuotaExceeded.into());
        }
        Ok(Receipt::NoRoom)
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The socket with what was received and not yet handled, and what is to be sent.
struct Socket {
    stream: TcpStream,
    input: BytesMut,
    output: BytesMut,
}

impl Socket {
    /// The first packet, if it is a CONNECT; none when the connection ends before, or is something else.
    async fn first_frame(&mut self) -> Option<Frame> {
        loop {
            if self.input.first().is_some_and(|&first| first != CONNECT) {
                return None;
            }
            match take_frame(&mut self.input) {
                Ok(Some(frame)) => return Some(frame),
                Ok(None) => {}
                Err(_) => return None,
            }
            if !self.transfer(true).await {
                return None;
            }
        }
    }

    /// Whether more output may be produced. While not, nothing is read either: a client that does not read is not served.
    fn has_room(&self) -> bool {
        self.output.len() < OUTPUT_BYTES
    }

    /// Moves octets in one direction or the other, as far as that goes now. False when the connection is gone.
    /// May be cancelled: then nothing was moved. Never returns if there is nothing to write and reading is not allowed.
    async fn transfer(&mut self, may_read: bool) -> bool {
        let may_read = may_read && self.has_room();
        let Self {
            stream,
            input,
            output,
        } = self;
        shrink(input);
        shrink(output);
        input.reserve(READ_BYTES);
        let (mut reader, mut writer) = stream.split();
        let mut chunk = input.limit(READ_BYTES);
        tokio::select! {
            read = reader.read_buf(&mut chunk), if may_read => read.is_ok_and(|count| count > 0),
            written = writer.write_buf(output), if !output.is_empty() => written.is_ok(),
            else => std::future::pending().await,
        }
    }

    /// Sends what is left and closes. Reads on for a moment: closing with octets unread would make TCP reset the
    /// connection and lose the last packet.
    async fn close(mut self) {
        let goodbye = async {
            if self.stream.write_all_buf(&mut self.output).await.is_err() {
                return;
            }
            if self.stream.shutdown().await.is_err() {
                return;
            }
            self.input.clear();
            let mut ignored = 0_usize;
            while ignored < LINGER_BYTES {
                self.input.clear();
                self.input.reserve(READ_BYTES);
                match self.stream.read_buf(&mut self.input).await {
                    Ok(count) if count > 0 => ignored = ignored.saturating_add(count),
                    _ => return,
                }
            }
        };
        let _ = timeout(LINGER, goodbye).await;
    }
}

/// Gives back what one large packet made a buffer grow to.
fn shrink(buffer: &mut BytesMut) {
    if buffer.is_empty() && buffer.capacity() > OUTPUT_BYTES {
        *buffer = BytesMut::new();
    }
}

/// The first octet of a CONNECT.
const CONNECT: u8 = 0x10;
/// How long a client may take from the TCP connection to its complete CONNECT.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a publisher waits after each message while one of its subscribers is behind.
const PAUSE: Duration = Duration::from_millis(1);
/// Octets taken from the socket at once: small, so that one client cannot fill the queues of others in one go.
const READ_BYTES: usize = 8 * 1024;
/// Output that makes the connection stop producing more. One packet more may lie on top.
const OUTPUT_BYTES: usize = 64 * 1024;
/// How long, and for how many octets, a closing connection waits for the other side to close.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 * 1024 * 1024;
