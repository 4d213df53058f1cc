//! What keeps a rule of approval from cutting devices off: roots that name too few keys.

use crate::approving::{farm, kid};
use crate::operator::Place;

#[test]
fn no_root_is_made_under_which_a_rule_could_not_be_met() {
    let place = farm();
    let rotate = |remove: &str| {
        let rotate = "root rotate --keys keys --passphrase-file pass --yes --remove-registrar";
        place.run(&format!("{rotate} {remove}"))
    };
    rotate(&kid(&place)).succeeded();
    let said = rotate(&newest_kid(&place)).refused(1, "approvals-impossible");
    assert!(
        said.contains("the role door asks for 2 approvals"),
        "{said}"
    );
    assert!(said.contains("edgeseal role approvals door 1"), "{said}");
    let shown = place.run("root show --json").json();
    assert_eq!(shown["roots"].as_array().unwrap().len(), 2);
    // A key that goes for one that comes is no key less.
    place
        .run(&format!(
            "registrar rotate --keys keys --passphrase-file pass --no-passphrase --yes --replace {}",
            newest_kid(&place)
        ))
        .succeeded();
}

#[test]
fn a_root_that_was_prepared_before_the_rule_is_judged_when_it_is_accepted() {
    let place = Place::farm_with("--registrar-keys 2 --root-keys 2 --root-threshold 2");
    std::fs::create_dir(place.path("anna")).unwrap();
    let names = ["keys/root-2.pem", "anna/root-2.pem"].map(|name| place.path(name));
    std::fs::rename(&names[0], &names[1]).unwrap();
    let rotate = "root rotate --keys keys --passphrase-file pass --yes --to next";
    place
        .run(&format!("{rotate} --remove-registrar {}", kid(&place)))
        .succeeded();
    place.run("role add door").succeeded();
    place.run("role approvals door 2").succeeded();
    place
        .run("root sign next --keys anna --passphrase-file pass --yes")
        .succeeded();
    place
        .run("root accept next")
        .refused(1, "approvals-impossible");
    let shown = place.run("root show --json").json();
    assert_eq!(shown["roots"].as_array().unwrap().len(), 1);
}

fn newest_kid(place: &Place) -> String {
    let shown = place.run("root show --json").json();
    let newest = shown["roots"].as_array().unwrap().iter();
    let newest = newest.max_by_key(|root| root["version"].as_u64()).unwrap();
    newest["registrar"]["keys"][0].as_str().unwrap().to_owned()
}
