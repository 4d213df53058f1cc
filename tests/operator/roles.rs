//! Roles and groups.

use crate::support::{Place, key};

#[test]
fn roles_grant_and_withdraw() {
    let place = Place::farm();
    assert_eq!(
        place.run("role list").succeeded(),
        "no roles yet: edgeseal role add NAME\n"
    );
    place.run("role add sensor --manifest-age 7d").succeeded();
    place.run("role add sensor").refused(1, "role-exists");
    place
        .run("role grant absent --publish a --audience domain")
        .refused(1, "role-unknown");
    let unknown = "role grant sensor --publish a --audience group:pumps";
    place.run(unknown).refused(1, "group-unknown");
    place.run("group add pumps").succeeded();
    let grant = "role grant sensor --publish farm/{device}/temp farm/{device}/state \
                 --audience domain group:pumps --response farm/{device}/reply --lifetime 1h \
                 --retained 30d --will --vouch --json";
    assert_eq!(place.run(grant).json()["added"], true);
    assert_eq!(place.run(grant).json()["added"], false);
    assert_eq!(
        place.run("role list").succeeded(),
        "sensor (0 devices), manifest no older than 7d\n  \
         1. publish farm/{device}/temp farm/{device}/state to domain group:pumps, responses at \
         farm/{device}/reply, messages up to 1h, retained up to 30d, will up to 7d, may vouch for \
         others\n"
    );
    let listed = place.run("role list --json").json();
    let listed = &listed["roles"][0]["grants"][0];
    assert_eq!(listed["lifetime_seconds"], 3600);
    assert_eq!(listed["will_seconds"], 604_800);
    let long = place.run("role grant sensor --publish a --audience domain --will 31d");
    assert!(long.code == 2 && long.stderr.contains("[lifetime-ceiling]"));
    place.run("group remove pumps").refused(1, "group-in-use");
    place
        .run("role withdraw sensor 2")
        .refused(1, "grant-unknown");
    place
        .run("role withdraw sensor 0")
        .refused(1, "grant-unknown");
    place.run("role withdraw sensor 1").succeeded();
    assert_eq!(
        place.run("role list").succeeded(),
        "sensor (0 devices), manifest no older than 7d\n"
    );
    place.run("group remove pumps").succeeded();
    place.run("role remove sensor").succeeded();
    place.run("role remove sensor").refused(1, "role-unknown");
}

#[test]
fn devices_get_roles_and_groups_all_or_none() {
    let place = Place::farm();
    place.run("role add sensor").succeeded();
    place.run("group add pumps").succeeded();
    for number in 1..=2 {
        place.write_jwk("jwk", &key(number));
        place
            .run(&format!("device add d-{number} --jwk jwk"))
            .succeeded();
    }
    place
        .run("role assign sensor d-1 d-3")
        .refused(1, "device-unknown");
    place
        .run("group join pumps d-1 d-3")
        .refused(1, "device-unknown");
    assert_eq!(place.device("d-1")["roles"], serde_json::json!([]));
    assert_eq!(
        place.run("role assign sensor d-1 d-2 --json").json()["changed"],
        2
    );
    assert_eq!(
        place.run("role assign sensor d-1 --json").json()["changed"],
        0
    );
    assert_eq!(
        place.run("group join pumps d-2 --json").json()["changed"],
        1
    );
    assert_eq!(
        place.run("device list").succeeded(),
        "d-1  active    sensor\nd-2  active    sensor group:pumps\n2 of 2 devices\n"
    );
    assert_eq!(
        place.run("device list --group pumps").succeeded(),
        "d-2  active    sensor group:pumps\n1 of 2 devices\n"
    );
    place.run("role remove sensor").refused(1, "role-in-use");
    place.run("group remove pumps").refused(1, "group-in-use");
    place.run("group leave pumps d-2").succeeded();
    place.run("role unassign sensor d-1 d-2").succeeded();
    assert_eq!(place.run("group list").succeeded(), "pumps (0 devices)\n");
    place.run("role remove sensor").succeeded();
}
