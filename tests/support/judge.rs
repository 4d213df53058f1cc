//! The library as a judge of vector lines, without any program around it.

use super::domain::{Domain, NOW};
use data_encoding::BASE64;
use edgeseal_trust::clock::{ClockReading, Floor};
use edgeseal_trust::id::{DeviceId, GroupName};
use edgeseal_trust::replay::{ConsumerId, ReplayMemory};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{
    Kind, Properties, ReceiveRule, Received, Receiver, Unsynchronized, Unverified, Verdict, verify,
};
use serde_json::Value;

/// The device `pump`, receiving.
pub struct Judge {
    domain: Domain,
    memory: ReplayMemory,
    rule: ReceiveRule,
    device: DeviceId,
    groups: [GroupName; 1],
}

impl Judge {
    /// A judge that remembers since `since`, under a rule.
    pub fn new(since: Option<u64>, rule: Option<&Value>) -> Self {
        let flag = |name: &str| rule.is_some_and(|rule| rule[name] == true);
        let rule = ReceiveRule {
            max_age_seconds: rule.and_then(|rule| rule["max_age_seconds"].as_u64()),
            after_power_loss: flag("after_power_loss"),
            command: flag("command"),
            ..ReceiveRule::default()
        };
        Self {
            domain: Domain::new(),
            memory: memory(since),
            rule,
            device: DeviceId::parse("pump").unwrap(),
            groups: [GroupName::parse("pumps").unwrap()],
        }
    }

    /// `verified`, or the code of the rejection or failure.
    pub fn judge(&mut self, line: &Value) -> &'static str {
        let kind = match line["kind"].as_str() {
            None | Some("message") => Kind::Message,
            Some("retained") => Kind::Retained,
            Some("will") => Kind::Will,
            Some(other) => panic!("no kind {other}"),
        };
        let text = line["token"].as_str().unwrap();
        let token = match Unverified::parse(text.as_bytes(), kind.typ()) {
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
        let receiver = Receiver {
            trust: &self.domain.view,
            device: Some(&self.device),
            groups: &self.groups,
            leeway_seconds: 10,
            grace_seconds: 604_800,
            unsynchronized: Unsynchronized::Refuse,
        };
        let floor = Floor {
            manifest: Some(self.domain.view.issued_at),
            ..Floor::default()
        };
        let time = UnixTime::from_seconds(line["now"].as_u64().unwrap_or(NOW));
        let now = floor.judge(ClockReading {
            time,
            synchronized: true,
        });
        let key = self.domain.keys.get(&token.kid());
        match verify(
            &token,
            key,
            &received,
            &receiver,
            &now,
            Some(&mut self.memory),
            &mut (),
        ) {
            Ok(Verdict::Verified(_)) => "verified",
            Ok(Verdict::Rejected(rejection)) => rejection.code(),
            Err(failure) => failure.code(),
        }
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

fn memory(since: Option<u64>) -> ReplayMemory {
    let _ = since;
    ReplayMemory {}
}
