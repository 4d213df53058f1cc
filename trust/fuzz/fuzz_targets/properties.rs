//! User properties: two lists have one hash only if they are the same to an application.
#![no_main]

use edgeseal_trust::token::Properties;
use libfuzzer_sys::fuzz_target;

// Two lists, split by an octet 0xff; texts split by 0xfe.
fuzz_target!(|data: &[u8]| {
    let mut lists = data.splitn(2, |octet| *octet == 0xff).map(list);
    let (first, second) = (lists.next().unwrap_or_default(), lists.next().unwrap_or_default());
    let same_hash = hash(&first) == hash(&second);
    let same = ours_left_out(&first) == ours_left_out(&second);
    assert_eq!(same_hash, same);
});

fn list(octets: &[u8]) -> Vec<(&str, &str)> {
    let mut texts = octets.split(|octet| *octet == 0xfe).map_while(|text| std::str::from_utf8(text).ok());
    std::iter::from_fn(|| Some((texts.next()?, texts.next()?))).collect()
}

fn hash(user: &[(&str, &str)]) -> Option<[u8; 32]> {
    let properties = Properties { user, ..Properties::default() };
    properties.hashes().user
}

fn ours_left_out<'a>(user: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let ours = |name: &str| name == "edgeseal" || name.starts_with("edgeseal-");
    user.iter().filter(|(name, _)| !ours(name)).copied().collect()
}
