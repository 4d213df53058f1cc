//! What recently accepted tokens said, to prove that a key is in two places.

use crate::key::KeyId;
use crate::limits;
use crate::token::TokenId;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};

/// The content of the newest accepted tokens, by key and id; the oldest leaves first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    contents: HashMap<(KeyId, TokenId), Content>,
    oldest_first: VecDeque<(KeyId, TokenId)>,
    /// The texts of the newest of them; the buffer of the oldest is used again.
    texts: VecDeque<((KeyId, TokenId), String)>,
}

/// SHA-256 over topic and payload hash.
pub(super) type Content = [u8; 32];

/// The content of a token. The payload hash has a fixed length, so no two pairs meet.
pub(super) fn content(topic: &str, payload_hash: &[u8; 32]) -> Content {
    let digest = Sha256::new().chain_update(topic).chain_update(payload_hash);
    digest.finalize().into()
}

impl Recent {
    /// Whether another content was accepted under this id.
    pub(super) fn contradicts(&self, kid: KeyId, id: TokenId, content: &Content) -> bool {
        self.contents
            .get(&(kid, id))
            .is_some_and(|known| known != content)
    }

    /// The text of the token that was accepted under this id, if it is still known.
    pub(super) fn text(&self, kid: KeyId, id: TokenId) -> Option<&str> {
        let mut texts = self.texts.iter();
        let found = texts.find(|(named, _)| *named == (kid, id));
        found.map(|(_, text)| text.as_str())
    }

    /// Remembers an accepted token.
    pub(super) fn remember(&mut self, kid: KeyId, id: TokenId, content: Content, text: &str) {
        if self.contents.insert((kid, id), content).is_some() {
            return;
        }
        self.keep(kid, id, text);
        self.oldest_first.push_back((kid, id));
        if self.oldest_first.len() > limits::RECENT_TOKENS
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.contents.remove(&oldest);
        }
    }

    fn keep(&mut self, kid: KeyId, id: TokenId, text: &str) {
        let oldest = match self.texts.len() >= limits::RECENT_TEXTS {
            true => self.texts.pop_front(),
            false => None,
        };
        let mut kept = oldest.map(|(_, text)| text).unwrap_or_default();
        kept.clear();
        kept.push_str(text);
        self.texts.push_back(((kid, id), kept));
    }
}

#[cfg(test)]
mod tests {
    use super::{Recent, content};
    use crate::key::KeyId;
    use crate::token::TokenId;

    #[test]
    fn the_newest_1024_are_remembered_and_the_texts_of_256() {
        let kid = KeyId::from_octets([1; 32]);
        let id = |text: &str| TokenId::parse(text).unwrap();
        let (one, other) = (content("a", &[0; 32]), content("a", &[1; 32]));
        let mut recent = Recent::default();
        for counter in 0..1025 {
            let text = counter.to_string();
            recent.remember(kid, id(&format!("1.1.{counter}")), one, &text);
            recent.remember(kid, id(&format!("1.1.{counter}")), one, "again");
        }
        assert_eq!(recent.contents.len(), 1024);
        assert_eq!(recent.oldest_first.len(), 1024);
        assert!(!recent.contradicts(kid, id("1.1.0"), &other), "forgotten");
        assert!(recent.contradicts(kid, id("1.1.1"), &other));
        assert!(!recent.contradicts(kid, id("1.1.1"), &one));
        assert!(!recent.contradicts(KeyId::from_octets([2; 32]), id("1.1.1"), &other));
        assert_ne!(one, content("b", &[0; 32]));
        assert_eq!(recent.texts.len(), 256);
        assert_eq!(recent.text(kid, id("1.1.768")), None);
        assert_eq!(recent.text(kid, id("1.1.769")), Some("769"));
        assert_eq!(recent.text(kid, id("1.1.1024")), Some("1024"));
        assert_eq!(
            recent.text(KeyId::from_octets([2; 32]), id("1.1.1024")),
            None
        );
    }
}
