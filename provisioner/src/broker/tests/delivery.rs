//! Messages from client to client.

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    Filter, Packet, PubRel, Publish, PublishProperties, RetainForwardRule, Subscribe,
    SubscribeProperties, SubscribeReasonCode, UnsubAckReason, Unsubscribe,
};

use super::support::{ALL_QOS, Raw, V4, V5, broker, message, text};

const ALL_QOS_V4: [rumqttc::QoS; 3] = [
    rumqttc::QoS::AtMostOnce,
    rumqttc::QoS::AtLeastOnce,
    rumqttc::QoS::ExactlyOnce,
];

#[tokio::test]
async fn every_qos_arrives_once_at_the_lower_of_both_qos() {
    let broker = broker().await;
    let mut publisher = V5::connect(&broker, "publisher").await;
    for granted in ALL_QOS {
        let mut subscriber = V5::connect(&broker, "subscriber").await;
        subscriber.subscribe("a/+", granted).await;
        for sent in ALL_QOS {
            publisher
                .publish("a/b", &format!("{sent:?}"), sent, false)
                .await;
            let got = subscriber.message().await;
            let lower = if sent < granted { sent } else { granted };
            assert_eq!((got.qos, text(&got.payload)), (lower, format!("{sent:?}")));
            assert!(!got.dup && !got.retain);
        }
        subscriber.disconnect().await;
    }
}

#[tokio::test]
async fn every_qos_works_for_3_1_1_and_between_the_levels() {
    let broker = broker().await;
    let mut four = V4::connect(&broker, "four").await;
    let mut five = V5::connect(&broker, "five").await;
    four.subscribe("to/four", rumqttc::QoS::ExactlyOnce).await;
    five.subscribe("to/five", QoS::ExactlyOnce).await;
    for (qos4, qos5) in ALL_QOS_V4.into_iter().zip(ALL_QOS) {
        four.publish("to/five", "hello five", qos4).await;
        let got = five.message().await;
        assert_eq!((got.qos, &got.payload[..]), (qos5, &b"hello five"[..]));
        five.publish("to/four", "hello four", qos5, false).await;
        let got = four.message().await;
        assert_eq!((got.qos, &got.payload[..]), (qos4, &b"hello four"[..]));
        four.publish("to/four", "hello self", qos4).await;
        // At QoS 0 the message may precede nothing; at QoS 1 and 2 `publish` may have skipped it while waiting.
        if qos5 == QoS::AtMostOnce {
            assert_eq!(&four.message().await.payload[..], b"hello self");
        }
    }
}

#[tokio::test]
async fn properties_pass_unchanged_and_in_order_and_are_left_out_for_3_1_1() {
    let broker = broker().await;
    let mut five = V5::connect(&broker, "five").await;
    let mut four = V4::connect(&broker, "four").await;
    let mut publisher = V5::connect(&broker, "publisher").await;
    five.subscribe("t", QoS::AtLeastOnce).await;
    four.subscribe("t", rumqttc::QoS::AtLeastOnce).await;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let properties = PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(3600),
        response_topic: Some("answers".into()),
        correlation_data: Some(vec![0, 255].into()),
        user_properties: vec![
            pair("edgeseal", "token"),
            pair("b", "2"),
            pair("a", ""),
            pair("b", "2"),
        ],
        content_type: Some("text/plain".into()),
        ..PublishProperties::default()
    };
    publisher
        .publish_with("t", "x", QoS::AtLeastOnce, false, properties.clone())
        .await;
    assert_eq!(five.message().await.properties, Some(properties));
    assert_eq!(&four.message().await.payload[..], b"x");
    // The 3.1.1 client's task has survived it.
    publisher.publish("t", "y", QoS::AtLeastOnce, false).await;
    assert_eq!(&four.message().await.payload[..], b"y");
}

#[tokio::test]
async fn retained_messages_reach_later_subscribers_until_deleted() {
    let broker = broker().await;
    let mut publisher = V5::connect(&broker, "publisher").await;
    let mut live = V5::connect(&broker, "live").await;
    live.subscribe("r/#", QoS::AtLeastOnce).await;
    publisher
        .publish("r/1", "old", QoS::AtLeastOnce, true)
        .await;
    publisher
        .publish("r/1", "one", QoS::AtLeastOnce, true)
        .await;
    publisher
        .publish("r/2", "two", QoS::AtLeastOnce, true)
        .await;
    // Live subscribers do not see the flag.
    for payload in ["old", "one", "two"] {
        let got = live.message().await;
        assert_eq!((text(&got.payload).as_str(), got.retain), (payload, false));
    }
    let mut later = V5::connect(&broker, "later").await;
    later.subscribe("r/#", QoS::AtLeastOnce).await;
    for payload in ["one", "two"] {
        let got = later.message().await;
        assert_eq!((text(&got.payload).as_str(), got.retain), (payload, true));
    }
    publisher.publish("r/1", "", QoS::AtLeastOnce, true).await;
    assert_eq!(live.payload().await, "");
    let mut four = V4::connect(&broker, "four").await;
    four.subscribe("r/#", rumqttc::QoS::AtLeastOnce).await;
    let got = four.message().await;
    assert_eq!((&got.payload[..], got.retain), (&b"two"[..], true));
}

#[tokio::test]
async fn subscription_options_are_kept() {
    let broker = broker().await;
    let mut client = Raw::connect(&broker, "client", true).await;
    let mut kept = message("r", "kept");
    kept.retain = true;
    broker.inject(kept.clone()).unwrap();
    let filter = |rule| Filter {
        nolocal: true,
        preserve_retain: true,
        retain_forward_rule: rule,
        ..Filter::new("r", QoS::AtMostOnce)
    };
    client.subscribe(filter(RetainForwardRule::Never)).await;
    client
        .subscribe(filter(RetainForwardRule::OnNewSubscribe))
        .await;
    // Its own publication does not come back; the injected one does, with its flag, and is the first.
    client
        .send(Packet::Publish(Publish::new(
            "r",
            QoS::AtMostOnce,
            "own",
            None,
        )))
        .await;
    client.ping().await;
    broker.inject(kept).unwrap();
    let got = client.message().await;
    assert_eq!((text(&got.payload).as_str(), got.retain), ("kept", true));
}

#[tokio::test]
async fn overlapping_filters_deliver_once_at_the_highest_qos_with_all_identifiers() {
    let broker = broker().await;
    let mut client = Raw::connect(&broker, "client", true).await;
    for (id, filter, qos) in [(7, "a/b", QoS::AtMostOnce), (8, "a/#", QoS::AtLeastOnce)] {
        let properties = SubscribeProperties {
            id: Some(id),
            user_properties: Vec::new(),
        };
        let subscribe = Subscribe::new(Filter::new(filter, qos), Some(properties));
        client
            .send(Packet::Subscribe(Subscribe {
                pkid: 1,
                ..subscribe
            }))
            .await;
        assert!(matches!(client.receive().await, Packet::SubAck(_)));
    }
    assert_eq!(broker.inject(message("a/b", "first")), Ok(1));
    broker.inject(message("a/c", "second")).unwrap();
    let got = client.message().await;
    assert_eq!(
        (text(&got.payload).as_str(), got.qos),
        ("first", QoS::AtLeastOnce)
    );
    let mut ids = got.properties.unwrap().subscription_identifiers;
    ids.sort_unstable();
    assert_eq!(ids, [7, 8]);
    assert_eq!(text(&client.message().await.payload), "second");
}

#[tokio::test]
async fn each_filter_gets_its_own_answer() {
    let broker = broker().await;
    let mut client = Raw::connect(&broker, "client", true).await;
    let filters = ["ok/+", "not/#/ok", "$share/group/t"].map(|f| Filter::new(f, QoS::AtMostOnce));
    let subscribe = Subscribe {
        pkid: 5,
        ..Subscribe::new_many(filters, None)
    };
    client.send(Packet::Subscribe(subscribe)).await;
    let Packet::SubAck(suback) = client.receive().await else {
        panic!("no SUBACK")
    };
    assert_eq!(suback.pkid, 5);
    assert_eq!(
        suback.return_codes,
        [
            SubscribeReasonCode::Success(QoS::AtMostOnce),
            SubscribeReasonCode::TopicFilterInvalid,
            SubscribeReasonCode::SharedSubscriptionsNotSupported,
        ]
    );
    assert_eq!(broker.inject(message("ok/1", "x")), Ok(1));
    client.message().await;
    let filters = vec!["ok/+".to_owned(), "never".to_owned()];
    client
        .send(Packet::Unsubscribe(Unsubscribe {
            pkid: 6,
            filters,
            properties: None,
        }))
        .await;
    let Packet::UnsubAck(unsuback) = client.receive().await else {
        panic!("no UNSUBACK")
    };
    assert_eq!(
        unsuback.reasons,
        [
            UnsubAckReason::Success,
            UnsubAckReason::NoSubscriptionExisted
        ]
    );
    assert_eq!(broker.inject(message("ok/1", "x")), Ok(0));
}

#[tokio::test]
async fn a_qos_2_publish_sent_twice_is_delivered_once() {
    let broker = broker().await;
    let mut subscriber = V5::connect(&broker, "subscriber").await;
    subscriber.subscribe("t", QoS::ExactlyOnce).await;
    let mut publisher = Raw::connect(&broker, "publisher", true).await;
    let publish = |payload: &'static str, dup| {
        let publish = Publish::new("t", QoS::ExactlyOnce, payload, None);
        Packet::Publish(Publish {
            pkid: 9,
            dup,
            ..publish
        })
    };
    publisher.send(publish("once", false)).await;
    assert!(matches!(publisher.receive().await, Packet::PubRec(ack) if ack.pkid == 9));
    // Again, over a new connection of the same session.
    drop(publisher);
    let mut publisher = Raw::connect(&broker, "publisher", false).await;
    publisher.send(publish("once", true)).await;
    assert!(matches!(publisher.receive().await, Packet::PubRec(ack) if ack.pkid == 9));
    publisher.send(Packet::PubRel(PubRel::new(9, None))).await;
    assert!(matches!(publisher.receive().await, Packet::PubComp(ack) if ack.pkid == 9));
    // Released: the same identifier is a new message.
    publisher.send(publish("next", false)).await;
    assert_eq!(subscriber.payload().await, "once");
    assert_eq!(subscriber.payload().await, "next");
}

#[tokio::test]
async fn no_more_than_the_receive_maximum_is_in_flight() {
    let broker = broker().await;
    let two = |properties: &mut rumqttc::v5::mqttbytes::v5::ConnectProperties| {
        properties.receive_maximum = Some(2);
    };
    let mut client = Raw::connect_with(&broker, "client", true, two).await;
    client.subscribe(Filter::new("t", QoS::AtLeastOnce)).await;
    for payload in ["1", "2", "3"] {
        broker.inject(message("t", payload)).unwrap();
    }
    let first = client.message().await;
    client.message().await;
    // The third waits: the answer to a ping overtakes it.
    client.ping().await;
    let ack = rumqttc::v5::mqttbytes::v5::PubAck::new(first.pkid, None);
    client.send(Packet::PubAck(ack)).await;
    assert_eq!(text(&client.message().await.payload), "3");
}

#[tokio::test]
async fn thousands_of_messages_arrive_complete_and_in_order() {
    let broker = broker().await;
    let mut subscriber = V5::connect(&broker, "subscriber").await;
    subscriber.subscribe("t", QoS::AtLeastOnce).await;
    let publisher = V5::connect(&broker, "publisher").await;
    let client = publisher.client.clone();
    let publishing = tokio::spawn(async move {
        for number in 0..5000 {
            let sent = client.publish("t", QoS::AtLeastOnce, false, number.to_string());
            sent.await.expect("the client runs");
        }
    });
    for number in 0..5000 {
        assert_eq!(subscriber.payload().await, number.to_string());
    }
    publishing.await.unwrap();
}

#[tokio::test]
async fn what_is_too_large_for_a_subscriber_is_skipped() {
    let broker = broker().await;
    let small = |properties: &mut rumqttc::v5::mqttbytes::v5::ConnectProperties| {
        properties.max_packet_size = Some(100);
    };
    let mut client = Raw::connect_with(&broker, "client", true, small).await;
    client.subscribe(Filter::new("t", QoS::AtLeastOnce)).await;
    broker.inject(message("t", &"x".repeat(100))).unwrap();
    broker.inject(message("t", "small")).unwrap();
    assert_eq!(text(&client.message().await.payload), "small");
}
