//! The library as a judge of vector lines, without any program around it.

use super::domain::{Domain, NOW};
use data_encoding::BASE64;
use edgeseal_trust::clock::{ClockReading, Floor, Now};
use edgeseal_trust::id::{Audience, DeviceId, GroupName};
use edgeseal_trust::replay::{Bounds, ConsumerId, Past, ReplayMemory};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{
    AsPublished, Kind, LOGIN_TYP, Properties, ReceiveRule, Received, Receiver, Unsynchronized,
    Unverified, Verdict, verify, verify_login,
};
use serde_json::Value;

/// The device `pump`, receiving.
pub struct Judge {
    setting: Setting,
    memory: Option<ReplayMemory>,
    rule: ReceiveRule,
}

/// Who judges, by which trust data and clock.
struct Setting {
    domain: Domain,
    leeway_seconds: u64,
    synchronized: bool,
    unsynchronized: Unsynchronized,
    device: DeviceId,
    groups: [GroupName; 1],
}

impl Judge {
    /// A judge that remembers since `since`, under a rule.
    pub fn new(since: Option<u64>, rule: Option<&Value>) -> Self {
        let rule = rule.unwrap_or(&Value::Null);
        let setting = Setting {
            domain: Domain::new(),
            leeway_seconds: rule["leeway_seconds"].as_u64().unwrap_or(10),
            synchronized: rule["synchronized"] != false,
            unsynchronized: match rule["unsynchronized"] == "allow" {
                true => Unsynchronized::Allow,
                false => Unsynchronized::Refuse,
            },
            device: DeviceId::parse("pump").unwrap(),
            groups: [GroupName::parse("pumps").unwrap()],
        };
        Self {
            setting,
            memory: Some(memory(since, rule["start"].as_u64())),
            rule: receive_rule(rule),
        }
    }

    /// A judge that remembers nothing.
    pub fn forgetful() -> Self {
        Self {
            memory: None,
            ..Self::new(None, None)
        }
    }

    /// `verified`, or the code of the rejection or failure.
    pub fn judge(&mut self, line: &Value) -> &'static str {
        let token = line["token"].as_str().unwrap();
        self.judge_token(token.as_bytes(), line)
    }

    /// The same for another token than the line's, which need not be a text.
    pub fn judge_token(&mut self, token: &[u8], line: &Value) -> &'static str {
        let kind = match line["kind"].as_str() {
            None | Some("message") => Kind::Message,
            Some("retained") => Kind::Retained,
            Some("will") => Kind::Will,
            Some("login") => return self.setting.judge_login(token, line),
            Some(other) => panic!("no kind {other}"),
        };
        let token = match Unverified::parse(token, kind.typ()) {
            Ok(token) => token,
            Err(rejection) => return rejection.code(),
        };
        let payload = BASE64
            .decode(line["payload_b64"].as_str().unwrap().as_bytes())
            .unwrap();
        let correlation = line["properties"]["correlation_data_b64"].as_str();
        let correlation = correlation.map(|text| BASE64.decode(text.as_bytes()).unwrap());
        let user = user_properties(&line["properties"]["user"]);
        let properties = line.get("properties").map(|given| Properties {
            response_topic: given["response_topic"].as_str(),
            correlation_data: correlation.as_deref(),
            content_type: given["content_type"].as_str(),
            user: &user,
        });
        let rule = ReceiveRule {
            kind,
            ..self.rule.clone()
        };
        let received = Received {
            topic: line["topic"].as_str().unwrap().as_bytes(),
            payload: &payload,
            properties,
            retain: line["retain"] == true,
            consumer: &ConsumerId::from(line["consumer"].as_str().unwrap_or_default()),
            rule: &rule,
        };
        let (receiver, now) = (self.setting.receiver(), self.setting.now(line));
        let key = self.setting.domain.keys.get(&token.kid());
        match verify(
            &token,
            key,
            &received,
            &receiver,
            &now,
            self.memory.as_mut(),
            &mut (),
        ) {
            Ok(Verdict::Verified(_)) => "verified",
            Ok(Verdict::Rejected(rejection)) => rejection.code(),
            Err(failure) => failure.code(),
        }
    }
}

impl Setting {
    /// A service that is addressed by the line's `audience`, and asks for no message.
    fn judge_login(&self, token: &[u8], line: &Value) -> &'static str {
        let token = match Unverified::parse(token, LOGIN_TYP) {
            Ok(token) => token,
            Err(rejection) => return rejection.code(),
        };
        let audience = Audience::parse(line["audience"].as_str().unwrap()).unwrap();
        let key = self.domain.keys.get(&token.kid());
        match verify_login(&token, key, &audience, &self.receiver(), &self.now(line)) {
            Ok(Ok(_)) => "verified",
            Ok(Err(rejection)) => rejection.code(),
            Err(failure) => failure.code(),
        }
    }

    fn receiver(&self) -> Receiver<'_> {
        Receiver {
            trust: &self.domain.view,
            device: Some(&self.device),
            groups: &self.groups,
            leeway_seconds: self.leeway_seconds,
            grace_seconds: 604_800,
            unsynchronized: self.unsynchronized,
        }
    }

    fn now(&self, line: &Value) -> Now {
        let floor = Floor {
            manifest: Some(self.domain.view.issued_at),
            ..Floor::default()
        };
        let time = UnixTime::from_seconds(line["now"].as_u64().unwrap_or(NOW));
        let synchronized = self.synchronized;
        floor.judge(ClockReading { time, synchronized })
    }
}

fn receive_rule(rule: &Value) -> ReceiveRule {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    ReceiveRule {
        kind: Kind::Message,
        any_audience: rule["audience"] == "any",
        max_age_seconds: rule["max_age_seconds"].as_u64(),
        command: rule["command"] == true,
        after_power_loss: rule["after_power_loss"] == true,
        ignore_user_properties: rule["user_properties"] == "ignore",
        as_published: rule.get("as_published").map(|mapped| AsPublished {
            remove: text(&mapped["remove"]),
            add: text(&mapped["add"]),
        }),
    }
}

fn user_properties(given: &Value) -> Vec<(&str, &str)> {
    given
        .as_array()
        .into_iter()
        .flatten()
        .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .collect()
}

/// A memory that knows all that was accepted before a start, or nothing from before `since`.
fn memory(since: Option<u64>, start: Option<u64>) -> ReplayMemory {
    let bounds = Bounds {
        consumers: 64,
        windows: 1_024,
        statements: 1_024,
    };
    let start = UnixTime::from_seconds(since.or(start).unwrap_or_default());
    let past = since.map_or(Past::Known, |_| Past::UnknownUntil(start));
    ReplayMemory::new(bounds, past, start)
}
