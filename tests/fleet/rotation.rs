//! Many devices exchange their keys at once, in the hours that the agent's and the registrar's defaults give it.

use crate::member::Next;
use crate::operator::key;
use crate::{Fleet, PATIENCE};
use edgeseal_agent::wire::VerifyRequest;
use edgeseal_trust::enrollment::RotationDraft;
use edgeseal_trust::id::{DeviceId, TrustDomain};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

impl Fleet {
    /// Every fifth device exchanges its key; one of them is away from the moment that its request is at the broker until all
    /// others are done. Nobody refuses what any of them says, by the old key or the next.
    pub(crate) fn devices_rotate(&mut self) {
        let rotating: Vec<usize> = (1..self.members.len()).step_by(5).collect();
        let (first, away) = (rotating[0], rotating[rotating.len() - 1]);
        let statement = self.says(first, "retained", DAY);
        let lasting = self.says(first, "message", 6 * HOUR);
        for &number in &rotating {
            self.begins(number);
        }
        self.registrar_approves(rotating.len());
        self.reach(|number| number != away);
        self.publish();
        let newest = self.newest;
        self.wait("the next keys", |number, place| {
            number == away || place == newest
        });
        // In its hour of grace the old key signs, and the registry has both.
        assert_eq!(self.tally.rotated.load(Ordering::Relaxed), 0);
        assert_eq!(self.states(first), ["retiring", "active"]);
        let old = self.says(first, "message", 60);
        self.everybody_says("verified", &old);

        self.put_forward(1);
        self.have_rotated(rotating.len() - 1);
        // Whoever is away has no manifest that names this key; all others have.
        let new = self.says(first, "message", 60);
        self.everybody_but_says(away, "verified", &new);
        assert_eq!(self.members[away].judge(&new), "unknown-key");

        self.put_forward(1);
        self.publish();
        assert_eq!(self.states(first), ["retired", "active"]);
        self.reach(|_| true);
        self.everybody_gets("old keys that are retired");
        self.have_rotated(rotating.len());
        self.everybody_says("verified", &statement);
        self.everybody_says("key-retired", &lasting);
        for number in [first, away] {
            let new = self.says(number, "message", 60);
            self.everybody_says("verified", &new);
        }
    }

    /// It is told to, and signs its request by both keys.
    fn begins(&self, number: usize) {
        let device = u32::try_from(number).unwrap();
        let next = key(device | NEXT);
        let draft = RotationDraft {
            domain: TrustDomain::parse("farm").unwrap(),
            device: DeviceId::parse(&format!("d{number}")).unwrap(),
            issued_at: None,
        };
        let request = draft.sign(&key(device), &next).unwrap();
        self.members[number].rotate(Next { key: next, request });
    }

    fn registrar_approves(&self, count: usize) {
        let began = Instant::now();
        let mut left = u64::try_from(count).unwrap();
        while left > 0 {
            assert!(began.elapsed() < PATIENCE, "{left} requests did not come");
            left -= self.operator.fetch_rotations();
        }
    }

    fn have_rotated(&self, count: usize) {
        let (began, count) = (Instant::now(), u64::try_from(count).unwrap());
        loop {
            let rotated = self.tally.rotated.load(Ordering::Relaxed);
            if rotated == count {
                return;
            }
            assert!(rotated < count && began.elapsed() < PATIENCE, "{rotated}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn says(&self, number: usize, kind: &str, lifetime_seconds: u64) -> VerifyRequest {
        let topic = format!("site/d{number}/{kind}");
        let said = self.members[number].sign_as(&topic, kind, lifetime_seconds);
        said.unwrap()
    }

    fn states(&self, number: usize) -> Vec<String> {
        self.operator.key_states(&format!("d{number}"))
    }
}

/// Set in the number of a device, it gives its next key.
const NEXT: u32 = 1 << 31;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
