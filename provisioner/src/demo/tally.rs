//! What a gateway has counted, read from its agent's metrics.

use std::collections::BTreeMap;

/// How many messages there were, by what was done with them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Tally(BTreeMap<Fate, u64>);

/// What was done with a message.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Fate {
    /// Of a program, or of the broker.
    pub(super) way: Way,
    /// The word of the metric: `delivered`, `rejected`, and so on.
    pub(super) outcome: String,
    /// Why, where there is a reason.
    pub(super) code: String,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Way {
    /// From the broker to a program.
    Received,
    /// From a program to the broker.
    Sent,
}

impl Tally {
    /// Reads the page of `/metrics`.
    pub(super) fn read(page: &str) -> Self {
        let mut counts = BTreeMap::new();
        for (fate, count) in page.lines().filter_map(sample) {
            let sum: &mut u64 = counts.entry(fate).or_default();
            *sum = sum.saturating_add(count);
        }
        Self(counts)
    }

    /// What happened one way since `earlier`, each as often as it happened. What is observed is counted as delivered
    /// too, and told once.
    pub(super) fn since(&self, earlier: &Self, way: Way) -> Vec<Fate> {
        let mut happened = Vec::new();
        for (fate, count) in self.0.iter().filter(|(fate, _)| fate.way == way) {
            let before = earlier.0.get(fate).copied().unwrap_or_default();
            for _ in before..*count {
                happened.push(fate.clone());
            }
        }
        let observed = happened.iter().filter(|fate| fate.outcome == "observed");
        for _ in 0..observed.count() {
            let delivered = happened.iter().position(|fate| fate.outcome == "delivered");
            delivered.map(|at| happened.remove(at));
        }
        happened
    }

    /// Takes over what `later` says of one way.
    pub(super) fn adopt(&mut self, later: &Self, way: Way) {
        let counts = later.0.iter().filter(|(fate, _)| fate.way == way);
        self.0
            .extend(counts.map(|(fate, count)| (fate.clone(), *count)));
    }
}

fn sample(line: &str) -> Option<(Fate, u64)> {
    let (name, rest) = line.split_once('{')?;
    let way = match name {
        "edgeseal_gateway_received_total" => Way::Received,
        "edgeseal_gateway_sent_total" => Way::Sent,
        _ => return None,
    };
    let (labels, count) = rest.rsplit_once("} ")?;
    let label = |name: &str| {
        let (_, value) = labels.split_once(&format!("{name}=\""))?;
        value.split('"').next().map(str::to_owned)
    };
    let fate = Fate {
        way,
        outcome: label("outcome")?,
        code: label("code")?,
    };
    Some((fate, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_since_is_what_was_counted_since() {
        let page = |replays: u64| {
            format!(
                "# TYPE edgeseal_gateway_received_total counter\n\
                 edgeseal_gateway_received_total{{listener=\"apps\",rule=\"rule 1 (a/+)\",outcome=\"delivered\",code=\"\"}} 4\n\
                 edgeseal_gateway_received_total{{listener=\"apps\",rule=\"rule 1 (a/+)\",outcome=\"rejected\",code=\"replay\"}} {replays}\n\
                 edgeseal_gateway_received_total{{listener=\"apps\",rule=\"rule 2 (#)\",outcome=\"rejected\",code=\"replay\"}} 1\n\
                 edgeseal_gateway_sent_total{{listener=\"apps\",rule=\"rule 1 (a/+)\",outcome=\"signed\",code=\"\"}} 7\n"
            )
        };
        let (earlier, later) = (Tally::read(&page(1)), Tally::read(&page(3)));
        let happened = later.since(&earlier, Way::Received);
        let replay = Fate {
            way: Way::Received,
            outcome: "rejected".to_owned(),
            code: "replay".to_owned(),
        };
        assert_eq!(happened, [replay.clone(), replay]);
        assert!(later.since(&earlier, Way::Sent).is_empty());
        assert_eq!(later.since(&Tally::default(), Way::Sent).len(), 7);
    }

    #[test]
    fn what_is_observed_is_told_once() {
        let counted = |outcome: &str, code: &str, count: u64| {
            format!(
                "edgeseal_gateway_received_total{{listener=\"apps\",rule=\"rule 1 (a)\",outcome=\"{outcome}\",code=\"{code}\"}} {count}\n"
            )
        };
        let page = counted("delivered", "", 3) + &counted("observed", "unsigned", 2);
        let happened = Tally::read(&page).since(&Tally::default(), Way::Received);
        let outcomes: Vec<&str> = happened.iter().map(|fate| fate.outcome.as_str()).collect();
        assert_eq!(outcomes, ["delivered", "observed", "observed"]);
    }
}
