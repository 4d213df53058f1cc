use super::{
    BATCH_ELEMENTS, ErrorBody, ErrorClass, LoginRequest, OneOrMany, PROPERTY_OCTETS, Qos,
    SignRequest, VerifyRequest,
};
use serde_json::{from_str, json};

fn refused<T: serde::de::DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
    from_str::<T>(text).unwrap_err().to_string()
}

#[test]
fn the_smallest_and_the_largest_request_are_read() {
    let smallest: SignRequest = from_str(r#"{"topic":"a","payload_b64":""}"#).unwrap();
    assert_eq!(smallest.qos, None);
    let text = json!({
        "topic": "a", "payload_b64": "AAE=", "audience": "device:b", "kind": "will",
        "lifetime_seconds": 5, "qos": 2, "captured_at": 9, "vouched": true, "resend": "5.1.7",
        "properties": {
            "response_topic": "r", "correlation_data_b64": "/w==", "content_type": "c",
            "user": [["n", "v"], ["n", "w"]],
        },
    });
    let largest: SignRequest = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(largest.payload_b64.as_slice(), [0, 1]);
    assert_eq!(largest.qos, Some(Qos::ExactlyOnce));
    assert_eq!(serde_json::to_value(&largest).unwrap(), text);
    let text = json!({
        "token": "t", "topic": "a", "payload_b64": "", "kind": "retained", "qos": 1,
        "retain": true, "consumer": "panel", "properties": {},
    });
    let request: VerifyRequest = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(serde_json::to_value(&request).unwrap(), text);
}

#[test]
fn what_is_unknown_or_occurs_twice_or_is_no_such_value_is_refused() {
    let sign = |members: &str| {
        refused::<SignRequest>(&format!(r#"{{"topic":"a","payload_b64":""{members}}}"#))
    };
    for (members, why) in [
        (r#","iss":"x""#, "unknown field `iss`"),
        (r#","topic":"b""#, "duplicate field `topic`"),
        (r#","qos":3"#, "qos is 0, 1 or 2"),
        (r#","qos":"1""#, "invalid type"),
        (r#","kind":"Message""#, "unknown variant `Message`"),
        (r#","audience":"everybody""#, "an audience is"),
        (r#","lifetime_seconds":-1"#, "invalid value"),
        (r#","lifetime_seconds":1.5"#, "invalid type"),
        (r#","resend":"5.1.07""#, "a jti is"),
        (
            r#","properties":{"topic_alias":1}"#,
            "unknown field `topic_alias`",
        ),
        (
            r#","properties":{"user":[["only one"]]}"#,
            "invalid length 1",
        ),
        (r#","properties":{"user":{"n":"v"}}"#, "invalid type"),
    ] {
        let error = sign(members);
        assert!(error.contains(why), "{members}: {error}");
    }
    assert!(refused::<LoginRequest>(r#"{"audience":"login:"}"#).contains("an audience is"));
    let consumer = r#"{"token":"","topic":"","payload_b64":"","consumer":"../x"}"#;
    assert!(refused::<VerifyRequest>(consumer).contains("a name is"));
}

#[test]
fn octets_have_one_text() {
    for text in [
        "AA", "AA=", "AB==", "A A=", "AA==\n", "_w==", "AAAA=", "=", "A",
    ] {
        let text = json!({ "topic": "a", "payload_b64": text }).to_string();
        let error = refused::<SignRequest>(&text);
        assert!(error.contains("not standard base64"), "{text}: {error}");
    }
}

#[test]
fn properties_are_bounded_as_in_mqtt() {
    let with = |octets: usize, of: fn(String) -> serde_json::Value| {
        let text = json!({
            "topic": "a", "payload_b64": "", "properties": of("x".repeat(octets)),
        });
        from_str::<SignRequest>(&text.to_string())
    };
    let places: [fn(String) -> serde_json::Value; 4] = [
        |long| json!({ "user": [[long, ""]] }),
        |long| json!({ "user": [["", long]] }),
        |long| json!({ "content_type": long }),
        |long| json!({ "response_topic": long }),
    ];
    for of in places {
        with(PROPERTY_OCTETS, of).unwrap();
        let error = with(PROPERTY_OCTETS + 1, of).unwrap_err().to_string();
        assert!(error.contains("MQTT carries at most 65535"), "{error}");
    }
    let long = data_encoding::BASE64.encode(&vec![0; PROPERTY_OCTETS + 1]);
    let text = json!({
        "topic": "a", "payload_b64": "", "properties": { "correlation_data_b64": long },
    });
    assert!(refused::<SignRequest>(&text.to_string()).contains("MQTT carries"));
}

#[test]
fn an_array_is_answered_by_an_array() {
    let element = r#"{"audience":"login:x"}"#;
    let one: OneOrMany<LoginRequest> = from_str(element).unwrap();
    assert!(matches!(one, OneOrMany::One(_)));
    assert_eq!(one.as_slice().len(), 1);
    assert_eq!(serde_json::to_string(&one.map(|_| 7)).unwrap(), "7");
    let array = |length: usize| format!("[{}]", vec![element; length].join(","));
    let many: OneOrMany<LoginRequest> = from_str(&array(BATCH_ELEMENTS)).unwrap();
    assert_eq!(many.as_slice().len(), BATCH_ELEMENTS);
    let short: OneOrMany<LoginRequest> = from_str(&array(2)).unwrap();
    assert_eq!(serde_json::to_string(&short.map(|_| 7)).unwrap(), "[7,7]");
    for (text, why) in [
        ("[]".to_owned(), "invalid length 0"),
        (array(BATCH_ELEMENTS + 1), "invalid length 257"),
        (format!(r#"[{element},{{"audience":1}}]"#), "[1]: "),
        (format!("[{element},[{element}]]"), "[1]: "),
        ("7".to_owned(), "an object, or an array of 1 to 256"),
    ] {
        let error = refused::<OneOrMany<LoginRequest>>(&text);
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[test]
fn an_error_has_class_code_sentence_and_hint() {
    let body = ErrorBody::new(ErrorClass::BadRequest, "body", "no").with_hint("do");
    assert_eq!(
        serde_json::to_value(&body).unwrap(),
        json!({ "error": "bad-request", "code": "body", "reason": "no", "hint": "do" })
    );
}
