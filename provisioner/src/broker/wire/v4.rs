//! MQTT 3.1.1.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::QoS as QoS4;
use rumqttc::mqttbytes::v4::{
    self, ConnAck, ConnectReturnCode, Packet, PubAck, PubComp, PubRec, PubRel, Publish, SubAck,
    SubscribeReasonCode, UnsubAck,
};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{DisconnectReasonCode, RetainForwardRule};

use super::{
    Connect, ConnectRefusal, Frame, Incoming, Level, MAX_PACKET_BYTES, Outgoing, Publication,
    SubscribeRequest, WillRequest,
};
use crate::broker::message::Message;
use crate::broker::topics;

/// A 3.1.1 client is not told why it is disconnected; the code is for our own use.
pub(super) fn decode(mut frame: Frame) -> Result<Incoming, DisconnectReasonCode> {
    let malformed = |_| DisconnectReasonCode::MalformedPacket;
    let packet = Packet::read(&mut frame.bytes, MAX_PACKET_BYTES).map_err(malformed)?;
    Ok(match packet {
        Packet::Connect(connect) => Incoming::Connect(Box::new(connect_request(connect)?)),
        Packet::Disconnect => Incoming::Disconnect {
            with_will: false,
            session_expiry: None,
        },
        Packet::PingReq => Incoming::PingReq,
        Packet::PubAck(ack) => Incoming::PubAck(ack.pkid),
        Packet::PubComp(ack) => Incoming::PubComp(ack.pkid),
        Packet::PubRec(ack) => Incoming::PubRec {
            packet_id: ack.pkid,
            accepted: true,
        },
        Packet::PubRel(ack) => Incoming::PubRel(ack.pkid),
        Packet::Publish(publish) => Incoming::Publish {
            packet_id: publish.pkid,
            message: message(publish.topic, &publish.payload, publish.qos, publish.retain)?,
        },
        Packet::Subscribe(subscribe) if subscribe.pkid != 0 => Incoming::Subscribe {
            packet_id: subscribe.pkid,
            requests: subscribe.filters.into_iter().map(request).collect(),
        },
        Packet::Unsubscribe(unsubscribe)
            if unsubscribe.pkid != 0 && !unsubscribe.topics.is_empty() =>
        {
            Incoming::Unsubscribe {
                packet_id: unsubscribe.pkid,
                filters: unsubscribe.topics,
            }
        }
        _ => return Err(DisconnectReasonCode::ProtocolError),
    })
}

pub(super) fn encode(packet: &Outgoing, output: &mut BytesMut) -> bool {
    let packet = match packet {
        Outgoing::ConnAck(Ok(accepted)) => Packet::ConnAck(ConnAck::new(
            ConnectReturnCode::Success,
            accepted.session_present,
        )),
        // 3.1.1, 3.1.4: what is no CONNECT gets no answer.
        Outgoing::ConnAck(Err(ConnectRefusal::Malformed)) => return true,
        Outgoing::ConnAck(Err(refusal)) => {
            Packet::ConnAck(ConnAck::new(return_code(*refusal), false))
        }
        // There is no such packet from a 3.1.1 server: the connection is simply closed.
        Outgoing::Disconnect(_) => return true,
        Outgoing::PingResp => Packet::PingResp,
        Outgoing::PubAck(packet_id, _) => Packet::PubAck(PubAck::new(*packet_id)),
        Outgoing::PubComp { packet_id, .. } => Packet::PubComp(PubComp::new(*packet_id)),
        Outgoing::PubRec(packet_id, _) => Packet::PubRec(PubRec::new(*packet_id)),
        Outgoing::PubRel { packet_id, .. } => Packet::PubRel(PubRel::new(*packet_id)),
        Outgoing::Publish(publication) => Packet::Publish(publish(publication)),
        Outgoing::SubAck { packet_id, results } => {
            let code = |result: &Result<QoS, _>| match result {
                Ok(qos) => SubscribeReasonCode::Success(to_v4(*qos)),
                Err(_) => SubscribeReasonCode::Failure,
            };
            Packet::SubAck(SubAck::new(*packet_id, results.iter().map(code).collect()))
        }
        Outgoing::UnsubAck { packet_id, .. } => Packet::UnsubAck(UnsubAck::new(*packet_id)),
    };
    packet.write(output, usize::MAX).is_ok()
}

/// The PUBLISH for a 3.1.1 subscriber: all properties are left out.
pub(super) fn publish(publication: &Publication) -> Publish {
    let message = publication.stored.message();
    Publish {
        dup: publication.dup,
        qos: to_v4(publication.qos),
        retain: publication.retain,
        topic: message.topic.clone(),
        pkid: publication.packet_id,
        payload: message.payload.clone(),
    }
}

fn connect_request(connect: v4::Connect) -> Result<Connect, DisconnectReasonCode> {
    let will = match connect.last_will {
        Some(will) => Some(WillRequest {
            message: message(will.topic, &will.message, will.qos, will.retain)?,
            delay: 0,
        }),
        None => None,
    };
    Ok(Connect {
        level: Level::V4,
        client_id: connect.client_id,
        clean_start: connect.clean_session,
        keep_alive: connect.keep_alive,
        session_expiry: if connect.clean_session { 0 } else { u32::MAX },
        receive_maximum: u16::MAX,
        max_packet_bytes: usize::MAX,
        will,
        wants_auth: false,
    })
}

fn message(
    topic: String,
    payload: &Bytes,
    qos: QoS4,
    retain: bool,
) -> Result<Message, DisconnectReasonCode> {
    if !topics::is_valid_topic(&topic) {
        return Err(DisconnectReasonCode::TopicNameInvalid);
    }
    // Copied: the codec's payload would keep the whole receive buffer alive.
    let payload = Bytes::copy_from_slice(payload);
    let mut message = Message::new(topic, payload);
    message.qos = from_v4(qos);
    message.retain = retain;
    Ok(message)
}

fn request(filter: v4::SubscribeFilter) -> SubscribeRequest {
    SubscribeRequest {
        filter: filter.path,
        qos: from_v4(filter.qos),
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainForwardRule::OnEverySubscribe,
        identifier: None,
    }
}

fn return_code(refusal: ConnectRefusal) -> ConnectReturnCode {
    match refusal {
        ConnectRefusal::ClientIdentifier => ConnectReturnCode::BadClientId,
        ConnectRefusal::Level => ConnectReturnCode::RefusedProtocolVersion,
        ConnectRefusal::Auth | ConnectRefusal::Malformed | ConnectRefusal::NoRoom => {
            ConnectReturnCode::ServiceUnavailable
        }
    }
}

fn from_v4(qos: QoS4) -> QoS {
    match qos {
        QoS4::AtMostOnce => QoS::AtMostOnce,
        QoS4::AtLeastOnce => QoS::AtLeastOnce,
        QoS4::ExactlyOnce => QoS::ExactlyOnce,
    }
}

fn to_v4(qos: QoS) -> QoS4 {
    match qos {
        QoS::AtMostOnce => QoS4::AtMostOnce,
        QoS::AtLeastOnce => QoS4::AtLeastOnce,
        QoS::ExactlyOnce => QoS4::ExactlyOnce,
    }
}
