//! What a local program may publish and subscribe to.

use super::filter::{Subscription, covers};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::topic::{Topic, TopicFilter};

/// The lists of a listener or of a local user. Empty: nothing at all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Permissions {
    /// Topics that it may publish to.
    pub publish: Vec<TopicFilter>,
    /// Topics that it may receive.
    pub subscribe: Vec<TopicFilter>,
}

impl Permissions {
    /// Whether it may publish to a topic. `{device}` in the list stands for `device`; without one it
    /// matches nothing. Never true below `edgeseal/`.
    #[must_use]
    pub fn may_publish(&self, topic: Topic<'_>, device: Option<&DeviceId>) -> bool {
        self.publish
            .iter()
            .any(|allowed| allowed.matches(topic, device))
    }

    /// Whether it may subscribe with a filter, `$share/group/filter` included: when one filter of
    /// the list matches every topic that it can match. Two filters of the list that only together
    /// match them all do not allow it.
    ///
    /// Topics below `edgeseal/` do not count: `#` is allowed where the list has `#`, what is
    /// delivered below `edgeseal/` is refused ([`Permissions::may_receive`]), and a filter that can
    /// match nothing else is not allowed.
    #[must_use]
    pub fn may_subscribe(&self, filter: &str, device: Option<&DeviceId>) -> bool {
        let Ok(subscription) = Subscription::parse(filter) else {
            return false;
        };
        !subscription.is_reserved()
            && self.subscribe.iter().any(|allowed| {
                expanded(allowed, device)
                    .is_some_and(|allowed| covers(&allowed, subscription.filter))
            })
    }

    /// Whether a message on `topic` may be delivered to it: never below `edgeseal/`.
    #[must_use]
    pub fn may_receive(&self, topic: Topic<'_>, device: Option<&DeviceId>) -> bool {
        self.subscribe
            .iter()
            .any(|allowed| allowed.matches(topic, device))
    }

    /// What both lists grant together.
    #[must_use]
    pub fn added_to(mut self, other: &Self) -> Self {
        self.publish.extend(other.publish.iter().cloned());
        self.subscribe.extend(other.subscribe.iter().cloned());
        self
    }
}

/// The filter with `+` for `{device}`.
pub(super) fn for_any_device(filter: &TopicFilter) -> String {
    filter.as_str().replace(DEVICE, "+")
}

/// The filter with `{device}` replaced; nothing without a device. A device id has no wildcard and no
/// `/` in it.
fn expanded<'a>(
    filter: &'a TopicFilter,
    device: Option<&DeviceId>,
) -> Option<std::borrow::Cow<'a, str>> {
    if filter.as_str().contains(DEVICE) {
        device.map(|device| filter.as_str().replace(DEVICE, device.as_str()).into())
    } else {
        Some(filter.as_str().into())
    }
}

const DEVICE: &str = "{device}";
