//! Who is at the other end of the socket, and what the configuration lets it ask for.

use crate::config::{Api, Audiences, Caller, NameDatabase, Peer, Rate, Verb};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::topic::{Topic, TopicFilter};
use std::collections::{BTreeMap, BTreeSet};

/// The authorisation table, made once for each configuration.
#[derive(Debug)]
pub struct Callers {
    api: Api,
    own_uid: u32,
    /// Members by group, for the groups that the configuration names.
    members: BTreeMap<u32, BTreeSet<u32>>,
}

/// What one caller may do. Nothing at all for a caller that no entry names.
#[derive(Debug)]
pub struct Access {
    verbs: BTreeSet<Verb>,
    publish: Box<[TopicFilter]>,
    login: Audiences,
    /// Its throttle; nothing for root and the agent's own user.
    pub rate: Option<Rate>,
    /// Root or the agent's own user.
    pub privileged: bool,
}

impl Callers {
    /// Makes the table. Members of groups are looked up in the text of `/etc/group`, as the names in
    /// the configuration are: the agent may start before any directory service.
    pub fn new(api: &Api, own_uid: u32, names: &NameDatabase) -> Self {
        let members = api
            .callers
            .iter()
            .filter_map(|caller: &Caller| caller.gid)
            .map(|gid| (gid, names.members(gid)))
            .collect();
        Self {
            api: api.clone(),
            own_uid,
            members,
        }
    }

    /// What the user may do whose process is at the other end (`SO_PEERCRED`, unix(7)).
    pub fn access(&self, uid: u32, gid: u32) -> Access {
        let groups: Vec<u32> = self
            .members
            .iter()
            .filter(|(_, uids)| uids.contains(&uid))
            .map(|(gid, _)| *gid)
            .collect();
        let peer = Peer {
            uid,
            gid,
            groups: &groups,
        };
        let Some(permissions) = self.api.permissions(peer, self.own_uid) else {
            return Access::none();
        };
        Access {
            verbs: permissions.verbs,
            publish: permissions
                .publish
                .iter()
                .filter_map(|filter| TopicFilter::parse(filter).ok())
                .collect(),
            login: permissions.login,
            privileged: permissions.rate.is_none(),
            rate: permissions.rate,
        }
    }
}

impl Access {
    /// Whether the caller may ask for this.
    pub fn may(&self, verb: Verb) -> bool {
        self.verbs.contains(&verb)
    }

    /// Whether the configuration names this caller at all.
    pub fn is_known(&self) -> bool {
        !self.verbs.is_empty()
    }

    /// Whether the caller may have a message for `topic` signed. `{device}` stands for this device.
    /// What is no topic name passes: the refusal that names the fault says more.
    pub fn may_publish(&self, topic: &str, device: Option<&DeviceId>) -> bool {
        Topic::parse(topic.as_bytes()).map_or(true, |topic| {
            self.publish
                .iter()
                .any(|filter| filter.matches(topic, device))
        })
    }

    /// Whether the caller may mint a login token for `audience`.
    pub fn may_log_in_at(&self, audience: &str) -> bool {
        match &self.login {
            Audiences::AnyLogin => true,
            Audiences::Listed(listed) => listed.iter().any(|allowed| allowed == audience),
        }
    }

    fn none() -> Self {
        Self {
            verbs: BTreeSet::new(),
            publish: Box::new([]),
            login: Audiences::Listed(Vec::new()),
            rate: Some(STRANGERS),
            privileged: false,
        }
    }
}

/// Callers that may do nothing are told so at this rate.
const STRANGERS: Rate = Rate {
    requests_per_second: 10,
    burst: 20,
};

#[cfg(test)]
mod tests {
    use super::Callers;
    use crate::config::{Api, Caller, NameDatabase, Origin, Rate, Verb};
    use edgeseal_trust::id::DeviceId;
    use std::collections::BTreeSet;

    fn caller(uid: Option<u32>, gid: Option<u32>, verbs: &[Verb]) -> Caller {
        Caller {
            uid,
            gid,
            verbs: verbs.iter().copied().collect::<BTreeSet<_>>(),
            publish: vec!["site/{device}/#".to_owned(), "#".to_owned()],
            login: vec!["login:broker".to_owned()],
            rate: Rate {
                requests_per_second: 5,
                burst: 5,
            },
            origin: Origin::Default,
        }
    }

    fn table(callers: Vec<Caller>) -> Callers {
        let api = Api {
            callers,
            ..Api::default()
        };
        let names = NameDatabase {
            passwd: "root:x:0:0::/:/\npi:x:1000:1000::/:/\nmqtt:x:110:110::/:/\n".to_owned(),
            group: "dialout:x:20:pi,ghost\nbroken:x\nempty:x:21:\n".to_owned(),
        };
        Callers::new(&api, 999, &names)
    }

    #[test]
    fn nobody_may_anything_but_root_and_the_agents_own_user() {
        let table = table(Vec::new());
        for uid in [0, 999] {
            let access = table.access(uid, 5);
            assert!(Verb::ALL.iter().all(|(_, verb)| access.may(*verb)));
            assert!(access.privileged && access.rate.is_none());
            assert!(access.may_publish("a/b", None));
            assert!(access.may_log_in_at("login:anything"));
        }
        let stranger = table.access(1000, 1000);
        assert!(!stranger.is_known() && !stranger.privileged && stranger.rate.is_some());
        assert!(!stranger.may_publish("a/b", None));
        assert!(!stranger.may_log_in_at("login:broker"));
    }

    #[test]
    fn a_supplementary_group_counts_as_the_primary_one_does() {
        let table = table(vec![caller(None, Some(20), &[Verb::Verify])]);
        assert!(table.access(1000, 1000).may(Verb::Verify));
        assert!(table.access(5, 20).may(Verb::Verify));
        assert!(!table.access(110, 110).is_known());
        assert!(!table.access(1000, 1000).may(Verb::Sign));
    }

    #[test]
    fn nothing_below_the_agents_own_topics_even_for_root() {
        let table = table(vec![caller(Some(7), None, &[Verb::Sign, Verb::Login])]);
        let device = DeviceId::parse("pump-1").unwrap();
        for uid in [0, 7, 999] {
            let access = table.access(uid, 7);
            assert!(access.may_publish("site/pump-1/x", Some(&device)));
            assert!(!access.may_publish("edgeseal/farm/manifest", Some(&device)));
            assert!(!access.may_publish("edgeseal", Some(&device)));
            assert!(access.may_log_in_at("login:broker"));
        }
        assert!(!table.access(7, 7).may_log_in_at("login:other"));
    }
}
