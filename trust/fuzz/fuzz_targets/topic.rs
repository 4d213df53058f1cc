//! A filter, a NUL, a topic: matching agrees with a plain reading of MQTT 5.0 section 4.7.
#![no_main]

use edgeseal_trust::id::DeviceId;
use edgeseal_trust::topic::{Topic, TopicFilter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |octet| *octet == 0);
    let (Some(filter), Some(topic)) = (parts.next(), parts.next()) else {
        let _ = Topic::parse(data);
        return;
    };
    let filter = std::str::from_utf8(filter).ok().and_then(|text| TopicFilter::parse(text).ok());
    let (Some(filter), Ok(topic)) = (filter, Topic::parse(topic)) else {
        return;
    };
    let device = DeviceId::parse("pump-1").expect("a name");
    let (wanted, have): (Vec<_>, Vec<_>) = (
        filter.as_str().split('/').collect(),
        topic.as_str().split('/').collect(),
    );
    let expected = have[0] != "edgeseal"
        && !(have[0].starts_with('$') && matches!(wanted[0], "+" | "#"))
        && plain(&wanted, &have);
    assert_eq!(filter.matches(topic, Some(&device)), expected, "{filter} {topic:?}");
});

fn plain(wanted: &[&str], have: &[&str]) -> bool {
    match (wanted, have) {
        (["#"], _) => true,
        ([], []) => true,
        (["+", wanted @ ..], [_, have @ ..]) => plain(wanted, have),
        (["{device}", wanted @ ..], ["pump-1", have @ ..]) => plain(wanted, have),
        ([first, wanted @ ..], [level, have @ ..]) => first == level && *first != "{device}" && plain(wanted, have),
        _ => false,
    }
}
