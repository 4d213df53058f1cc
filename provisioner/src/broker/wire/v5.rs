//! MQTT 5.

use bytes::{Bytes, BytesMut};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    self, ConnAck, ConnAckProperties, ConnectReturnCode, DisconnectReasonCode, Filter, LastWill,
    LastWillProperties, Packet, PingResp, PubAck, PubAckReason, PubComp, PubCompReason, PubRec,
    PubRecReason, PubRel, PubRelReason, Publish, PublishProperties, SubAck, SubscribeReasonCode,
    UnsubAck, UnsubAckReason,
};

use super::{
    Accepted, Connect, ConnectRefusal, Frame, Incoming, Level, MAX_PACKET_BYTES, Outgoing,
    Publication, RECEIVE_MAXIMUM, Receipt, SubscribeRefusal, SubscribeRequest, WillRequest,
};
use crate::broker::message::Message;
use crate::broker::topics;

pub(super) fn decode(mut frame: Frame) -> Result<Incoming, DisconnectReasonCode> {
    // The codec knows neither of the two short forms of DISCONNECT (3.14.2.1, 3.14.2.2.1).
    match (frame.first() >> 4, frame.body()) {
        (14, []) => return Ok(disconnected(false, None)),
        (14, &[reason]) => return Ok(disconnected(reason != 0, None)),
        _ => {}
    }
    let malformed = |_| DisconnectReasonCode::MalformedPacket;
    let max = u32::try_from(MAX_PACKET_BYTES).unwrap_or(u32::MAX);
    let packet = Packet::read(&mut frame.bytes, Some(max)).map_err(malformed)?;
    Ok(match packet {
        Packet::Connect(connect, will, _) => {
            Incoming::Connect(Box::new(connect_request(connect, will)?))
        }
        Packet::Disconnect(disconnect) => {
            let properties = disconnect.properties;
            let expiry = properties.and_then(|properties| properties.session_expiry_interval);
            let normal = disconnect.reason_code == DisconnectReasonCode::NormalDisconnection;
            disconnected(!normal, expiry)
        }
        Packet::PingReq(_) => Incoming::PingReq,
        Packet::PubAck(ack) => Incoming::PubAck(ack.pkid),
        Packet::PubComp(ack) => Incoming::PubComp(ack.pkid),
        Packet::PubRec(ack) => Incoming::PubRec {
            packet_id: ack.pkid,
            accepted: matches!(
                ack.reason,
                PubRecReason::Success | PubRecReason::NoMatchingSubscribers
            ),
        },
        Packet::PubRel(ack) => Incoming::PubRel(ack.pkid),
        Packet::Publish(publish) => publication(publish)?,
        Packet::Subscribe(subscribe) => subscription(subscribe)?,
        Packet::Unsubscribe(unsubscribe)
            if unsubscribe.pkid != 0 && !unsubscribe.filters.is_empty() =>
        {
            Incoming::Unsubscribe {
                packet_id: unsubscribe.pkid,
                filters: unsubscribe.filters,
            }
        }
        _ => return Err(DisconnectReasonCode::ProtocolError),
    })
}

pub(super) fn encode(packet: &Outgoing, output: &mut BytesMut) -> bool {
    let packet = match packet {
        Outgoing::ConnAck(result) => Packet::ConnAck(connack(result)),
        Outgoing::Disconnect(reason) => {
            disconnect(*reason, output);
            return true;
        }
        Outgoing::PingResp => Packet::PingResp(PingResp),
        Outgoing::PubAck(packet_id, receipt) => Packet::PubAck(PubAck {
            pkid: *packet_id,
            reason: match receipt {
                Receipt::NoRoom => PubAckReason::QuotaExceeded,
                Receipt::Taken => PubAckReason::Success,
            },
            properties: None,
        }),
        Outgoing::PubComp { packet_id, found } => Packet::PubComp(PubComp {
            pkid: *packet_id,
            reason: match found {
                true => PubCompReason::Success,
                false => PubCompReason::PacketIdentifierNotFound,
            },
            properties: None,
        }),
        Outgoing::PubRec(packet_id, receipt) => Packet::PubRec(PubRec {
            pkid: *packet_id,
            reason: match receipt {
                Receipt::NoRoom => PubRecReason::QuotaExceeded,
                Receipt::Taken => PubRecReason::Success,
            },
            properties: None,
        }),
        Outgoing::PubRel { packet_id, found } => Packet::PubRel(PubRel {
            pkid: *packet_id,
            reason: match found {
                true => PubRelReason::Success,
                false => PubRelReason::PacketIdentifierNotFound,
            },
            properties: None,
        }),
        Outgoing::Publish(publication) => Packet::Publish(publish(publication)),
        Outgoing::SubAck { packet_id, results } => Packet::SubAck(SubAck {
            pkid: *packet_id,
            return_codes: results.iter().map(subscribe_reason).collect(),
            properties: None,
        }),
        Outgoing::UnsubAck { packet_id, existed } => {
            let reason = |existed: &bool| match existed {
                true => UnsubAckReason::Success,
                false => UnsubAckReason::NoSubscriptionExisted,
            };
            Packet::UnsubAck(UnsubAck {
                pkid: *packet_id,
                reasons: existed.iter().map(reason).collect(),
                properties: None,
            })
        }
    };
    packet.write(output, None).is_ok()
}

/// By hand: with a reason and no properties, rumqttc 0.25.1 writes a remaining length one too small.
#[expect(
    clippy::as_conversions,
    reason = "the enum has the codes as its u8 values"
)]
fn disconnect(reason: DisconnectReasonCode, output: &mut BytesMut) {
    output.extend_from_slice(&[0xe0, 2, reason as u8, 0]);
}

/// The PUBLISH for an MQTT 5 subscriber.
pub(super) fn publish(publication: &Publication) -> Publish {
    let mut publish = publication.stored.message().publish();
    publish.dup = publication.dup;
    publish.qos = publication.qos;
    publish.retain = publication.retain;
    publish.pkid = publication.packet_id;
    if let Some(properties) = &mut publish.properties {
        properties.message_expiry_interval = publication.stored.seconds_left(publication.now);
        properties
            .subscription_identifiers
            .clone_from(&publication.subscription_identifiers);
    }
    publish
}

fn disconnected(with_will: bool, session_expiry: Option<u32>) -> Incoming {
    Incoming::Disconnect {
        with_will,
        session_expiry,
    }
}

fn connect_request(
    connect: v5::Connect,
    will: Option<LastWill>,
) -> Result<Connect, DisconnectReasonCode> {
    let properties = connect.properties.unwrap_or_default();
    let receive_maximum = properties.receive_maximum.unwrap_or(u16::MAX);
    let max_packet_bytes = properties.max_packet_size.unwrap_or(u32::MAX);
    if receive_maximum == 0 || max_packet_bytes == 0 {
        return Err(DisconnectReasonCode::ProtocolError);
    }
    Ok(Connect {
        level: Level::V5,
        client_id: connect.client_id,
        clean_start: connect.clean_start,
        keep_alive: connect.keep_alive,
        session_expiry: properties.session_expiry_interval.unwrap_or(0),
        receive_maximum,
        max_packet_bytes: usize::try_from(max_packet_bytes).unwrap_or(usize::MAX),
        will: will.map(will_request).transpose()?,
        wants_auth: properties.authentication_method.is_some(),
    })
}

fn will_request(will: LastWill) -> Result<WillRequest, DisconnectReasonCode> {
    let mut delay = 0;
    let mut properties = PublishProperties::default();
    if let Some(from) = will.properties {
        let LastWillProperties {
            delay_interval,
            payload_format_indicator,
            message_expiry_interval,
            content_type,
            response_topic,
            correlation_data,
            user_properties,
        } = from;
        delay = delay_interval.unwrap_or(0);
        properties = PublishProperties {
            payload_format_indicator,
            message_expiry_interval,
            content_type,
            response_topic,
            correlation_data,
            user_properties,
            ..properties
        };
    }
    let mut message = message(&will.topic, &will.message, properties)?;
    message.qos = will.qos;
    message.retain = will.retain;
    Ok(WillRequest { message, delay })
}

fn publication(publish: Publish) -> Result<Incoming, DisconnectReasonCode> {
    let properties = publish.properties.unwrap_or_default();
    if properties.topic_alias.is_some() {
        return Err(DisconnectReasonCode::TopicAliasInvalid);
    }
    // 3.3.2.3.8: a client never sends one.
    if !properties.subscription_identifiers.is_empty() {
        return Err(DisconnectReasonCode::ProtocolError);
    }
    let mut message = message(&publish.topic, &publish.payload, properties)?;
    message.qos = publish.qos;
    message.retain = publish.retain;
    Ok(Incoming::Publish {
        message,
        packet_id: publish.pkid,
    })
}

fn message(
    topic: &Bytes,
    payload: &Bytes,
    mut properties: PublishProperties,
) -> Result<Message, DisconnectReasonCode> {
    let topic = str::from_utf8(topic).map_err(|_| DisconnectReasonCode::MalformedPacket)?;
    let response_topic = properties.response_topic.as_deref().unwrap_or_default();
    if !topics::is_valid_topic(topic) || topics::has_wildcard(response_topic) {
        return Err(DisconnectReasonCode::TopicNameInvalid);
    }
    // Copied: the codec's pieces would keep the whole receive buffer alive.
    let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
    properties.correlation_data = properties.correlation_data.as_ref().map(copy);
    let mut message = Message::new(topic, copy(payload));
    message.properties = properties;
    Ok(message)
}

fn subscription(subscribe: v5::Subscribe) -> Result<Incoming, DisconnectReasonCode> {
    let identifier = subscribe.properties.and_then(|properties| properties.id);
    if identifier == Some(0) || subscribe.pkid == 0 {
        return Err(DisconnectReasonCode::ProtocolError);
    }
    let request = |filter: Filter| SubscribeRequest {
        filter: filter.path,
        qos: filter.qos,
        no_local: filter.nolocal,
        retain_as_published: filter.preserve_retain,
        retain_handling: filter.retain_forward_rule,
        identifier,
    };
    Ok(Incoming::Subscribe {
        packet_id: subscribe.pkid,
        requests: subscribe.filters.into_iter().map(request).collect(),
    })
}

fn connack(result: &Result<Accepted, ConnectRefusal>) -> ConnAck {
    match result {
        Ok(accepted) => ConnAck {
            session_present: accepted.session_present,
            code: ConnectReturnCode::Success,
            properties: Some(announcement(accepted.assigned.clone())),
        },
        Err(refusal) => ConnAck {
            session_present: false,
            code: match refusal {
                ConnectRefusal::Auth => ConnectReturnCode::BadAuthenticationMethod,
                ConnectRefusal::ClientIdentifier => ConnectReturnCode::ClientIdentifierNotValid,
                ConnectRefusal::Level => ConnectReturnCode::UnsupportedProtocolVersion,
                ConnectRefusal::Malformed => ConnectReturnCode::MalformedPacket,
                ConnectRefusal::NoRoom => ConnectReturnCode::QuotaExceeded,
            },
            properties: None,
        },
    }
}

fn announcement(assigned_client_identifier: Option<String>) -> ConnAckProperties {
    ConnAckProperties {
        session_expiry_interval: None,
        receive_max: Some(RECEIVE_MAXIMUM),
        max_qos: None,
        retain_available: None,
        max_packet_size: u32::try_from(MAX_PACKET_BYTES).ok(),
        assigned_client_identifier,
        topic_alias_max: Some(0),
        reason_string: None,
        user_properties: Vec::new(),
        wildcard_subscription_available: None,
        subscription_identifiers_available: None,
        shared_subscription_available: Some(0),
        server_keep_alive: None,
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    }
}

fn subscribe_reason(result: &Result<QoS, SubscribeRefusal>) -> SubscribeReasonCode {
    match result {
        Ok(qos) => SubscribeReasonCode::Success(*qos),
        Err(SubscribeRefusal::Filter) => SubscribeReasonCode::TopicFilterInvalid,
        Err(SubscribeRefusal::NoRoom) => SubscribeReasonCode::QuotaExceeded,
        Err(SubscribeRefusal::Shared) => SubscribeReasonCode::SharedSubscriptionsNotSupported,
    }
}
