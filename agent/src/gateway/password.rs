//! Passwords of local users: PBKDF2-HMAC-SHA256 (RFC 8018 section 5.2) in PHC string form,
//! `$pbkdf2-sha256$i=100000,l=32$SALT$HASH` with base64 without padding.

use data_encoding::BASE64_NOPAD;
use sha2::Sha256;
use std::fmt;
use subtle::ConstantTimeEq;

/// The stored form of one password. Its debug form shows neither salt nor hash.
#[derive(Clone, Eq, PartialEq)]
pub struct PasswordHash {
    iterations: u32,
    salt: Vec<u8>,
    hash: [u8; HASH_OCTETS],
}

/// Why a text is no password hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidPasswordHash {
    /// Not `$pbkdf2-sha256$i=...,l=32$SALT$HASH`.
    #[error("is no PBKDF2-HMAC-SHA256 hash in PHC form ($pbkdf2-sha256$i=100000,l=32$SALT$HASH)")]
    Form,
    /// Another hash function.
    #[error("is not pbkdf2-sha256, the one kind of hash that is known here")]
    Algorithm,
    /// Too few or too many iterations.
    #[error("must have from {MIN_ITERATIONS} to {MAX_ITERATIONS} iterations")]
    Iterations,
    /// Too short or too long a salt.
    #[error("must have a salt of {MIN_SALT_OCTETS} to {MAX_SALT_OCTETS} octets")]
    Salt,
    /// Another length than SHA-256 has.
    #[error("must have a hash of {HASH_OCTETS} octets")]
    Length,
}

impl PasswordHash {
    /// Hashes a password. Takes tens of milliseconds and more: not for the executor. Iterations are
    /// raised to [`MIN_ITERATIONS`] or lowered to [`MAX_ITERATIONS`].
    #[must_use]
    pub fn of(password: &[u8], salt: [u8; SALT_OCTETS], iterations: u32) -> Self {
        let iterations = iterations.clamp(MIN_ITERATIONS, MAX_ITERATIONS);
        Self {
            iterations,
            hash: pbkdf2::pbkdf2_hmac_array::<Sha256, HASH_OCTETS>(password, &salt, iterations),
            salt: salt.to_vec(),
        }
    }

    /// Reads the PHC form.
    ///
    /// # Errors
    /// [`InvalidPasswordHash`]. Never repeats the text.
    pub fn parse(text: &str) -> Result<Self, InvalidPasswordHash> {
        let fields: Vec<&str> = text.split('$').collect();
        let ["", algorithm, parameters, salt, hash] = fields.as_slice() else {
            return Err(InvalidPasswordHash::Form);
        };
        if *algorithm != ALGORITHM {
            return Err(InvalidPasswordHash::Algorithm);
        }
        let iterations = match parameters.split_once(',') {
            Some((iterations, "l=32")) => iterations,
            Some(_) => return Err(InvalidPasswordHash::Form),
            None => parameters,
        };
        let iterations = iterations
            .strip_prefix("i=")
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .filter(|digits| !digits.is_empty() && !digits.starts_with('0'))
            .ok_or(InvalidPasswordHash::Form)?
            .parse()
            .ok()
            .filter(|count| (MIN_ITERATIONS..=MAX_ITERATIONS).contains(count))
            .ok_or(InvalidPasswordHash::Iterations)?;
        let octets = |text: &str| {
            BASE64_NOPAD
                .decode(text.as_bytes())
                .map_err(|_| InvalidPasswordHash::Form)
        };
        let salt = octets(salt)?;
        if !(MIN_SALT_OCTETS..=MAX_SALT_OCTETS).contains(&salt.len()) {
            return Err(InvalidPasswordHash::Salt);
        }
        let hash = octets(hash)?
            .try_into()
            .map_err(|_| InvalidPasswordHash::Length)?;
        Ok(Self {
            iterations,
            salt,
            hash,
        })
    }

    /// Whether this is the password, compared in constant time. Takes tens of milliseconds and more:
    /// not for the executor.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        let hash: [u8; HASH_OCTETS] =
            pbkdf2::pbkdf2_hmac_array::<Sha256, HASH_OCTETS>(password, &self.salt, self.iterations);
        hash.ct_eq(&self.hash).into()
    }

    /// The PHC form.
    #[must_use]
    pub fn to_phc(&self) -> String {
        format!(
            "${ALGORITHM}$i={},l={HASH_OCTETS}${}${}",
            self.iterations,
            BASE64_NOPAD.encode(&self.salt),
            BASE64_NOPAD.encode(&self.hash)
        )
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PasswordHash")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// Fewest iterations that are accepted; also what `hash-password` does unless told otherwise.
pub const MIN_ITERATIONS: u32 = 100_000;
/// Most iterations that are accepted: some seconds on the smallest device.
pub const MAX_ITERATIONS: u32 = 2_000_000;
/// Octets of the salts we make.
pub const SALT_OCTETS: usize = 16;

const ALGORITHM: &str = "pbkdf2-sha256";
const HASH_OCTETS: usize = 32;
const MIN_SALT_OCTETS: usize = 8;
const MAX_SALT_OCTETS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const HASHED: &str = "$pbkdf2-sha256$i=100000,l=32$AAECAwQFBgcICQoLDA0ODw$";

    #[test]
    fn what_was_hashed_is_recognized_and_nothing_else() {
        let hash = PasswordHash::of(b"secret", [7; 16], 0);
        let read = PasswordHash::parse(&hash.to_phc()).unwrap();
        assert_eq!(read, hash);
        assert!(read.verify(b"secret"));
        for other in [&b"Secret"[..], b"", b"secret\n"] {
            assert!(!read.verify(other));
        }
        assert_ne!(hash, PasswordHash::of(b"secret", [8; 16], 0));
        assert!(!format!("{hash:?}").contains("hash:"));
    }

    /// Made with Python: `hashlib.pbkdf2_hmac("sha256", b"correct horse", bytes(range(16)),
    /// 100000)`.
    #[test]
    fn a_hash_made_elsewhere_is_read() {
        let text = format!("{HASHED}{ELSEWHERE}");
        assert!(PasswordHash::parse(&text).unwrap().verify(b"correct horse"));
        let short = text.replace(",l=32", "");
        assert!(
            PasswordHash::parse(&short)
                .unwrap()
                .verify(b"correct horse")
        );
    }

    #[test]
    fn other_texts_are_refused_by_reason() {
        use InvalidPasswordHash::{Algorithm, Form, Iterations, Length, Salt};
        let text = format!("{HASHED}{ELSEWHERE}");
        for (from, to, why) in [
            ("$pbkdf2", "pbkdf2", Form),
            ("sha256", "sha512", Algorithm),
            ("pbkdf2-sha256", "argon2id", Algorithm),
            ("i=100000", "i=99999", Iterations),
            ("i=100000", "i=2000001", Iterations),
            ("i=100000", "i=99999999999", Iterations),
            ("i=100000", "i=0100000", Form),
            ("i=100000", "i=+100000", Form),
            ("i=100000", "100000", Form),
            ("i=100000", "i=", Form),
            ("l=32", "l=16", Form),
            ("AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBg", Salt),
            ("AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0ODw==", Form),
            ("AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0ODx", Form),
            (ELSEWHERE, "AAECAwQFBgcICQoLDA0ODw", Length),
            (ELSEWHERE, "", Length),
        ] {
            let bad = text.replace(from, to);
            assert_eq!(PasswordHash::parse(&bad), Err(why), "{bad}");
        }
        assert_eq!(PasswordHash::parse("secret"), Err(Form));
        assert_eq!(PasswordHash::parse(&format!("{text}$")), Err(Form));
    }

    const ELSEWHERE: &str = "V/LC8HOXSNUWQZsGKohGZjI8WD6krhZVBKgfe1PGKgk";
}
