//! A key as PKCS#8 in PEM form (RFC 5958, RFC 7468, RFC 8410), in the clear or under a passphrase by PBES2
//! (RFC 8018) with scrypt (RFC 7914) and AES-256-CBC, which OpenSSL reads.

use super::IdentityError;
use edgeseal_trust::key::SigningKey;
use pkcs8::pkcs5::pbes2::{self, Kdf};
use pkcs8::pkcs5::scrypt;
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use std::path::Path;
use zeroize::Zeroizing;

type Passphrase = Zeroizing<Vec<u8>>;

/// The text of a key, encrypted where there is a passphrase.
pub(super) fn encode(
    key: &SigningKey,
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<String>, IdentityError> {
    let der = key.to_pkcs8_der();
    let text = match passphrase {
        Some(passphrase) => encrypt(&der, passphrase)?.to_pem(ENCRYPTED, LineEnding::LF),
        None => SecretDocument::try_from(der.as_slice())
            .and_then(|document| document.to_pem(PLAIN, LineEnding::LF)),
    };
    text.map_err(|_| IdentityError::Encoding)
}

/// Whether a key is under a passphrase, as its label says.
pub(super) fn is_encrypted(octets: &[u8]) -> bool {
    std::str::from_utf8(octets).is_ok_and(|text| text.contains(ENCRYPTED))
}

/// The key of a text that was read at `path`; `passphrase` is asked for only where one is needed.
pub(super) fn decode(
    path: &Path,
    octets: &[u8],
    passphrase: impl FnOnce() -> Result<Option<Passphrase>, IdentityError>,
) -> Result<SigningKey, IdentityError> {
    let malformed = |what: &str| IdentityError::Malformed {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    let text = std::str::from_utf8(octets).map_err(|_| malformed("it is not text"))?;
    let no_key = "not an Ed25519 private key in PKCS#8 form";
    if !is_encrypted(octets) {
        return SigningKey::from_pkcs8_pem(text).map_err(|_| malformed(no_key));
    }
    let (label, document) = SecretDocument::from_pem(text).map_err(|_| malformed(no_key))?;
    let info = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes());
    let info = info.map_err(|_| malformed(no_key))?;
    if label != ENCRYPTED {
        return Err(malformed(no_key));
    }
    let parameters = info.encryption_algorithm.pbes2();
    if !parameters.is_some_and(|parameters| is_affordable(&parameters.kdf)) {
        return Err(malformed(
            "its encryption needs more memory or time than a board has, or is not PBES2",
        ));
    }
    let locked = |given| IdentityError::Locked {
        path: path.to_owned(),
        given,
    };
    let passphrase = passphrase()?.ok_or_else(|| locked(false))?;
    let plain = info.decrypt(&*passphrase).map_err(|_| locked(true))?;
    SigningKey::from_pkcs8_der(plain.as_bytes()).map_err(|_| malformed(no_key))
}

fn encrypt(der: &[u8], passphrase: &Passphrase) -> Result<SecretDocument, IdentityError> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    getrandom::fill(&mut salt).map_err(IdentityError::Random)?;
    getrandom::fill(&mut iv).map_err(IdentityError::Random)?;
    let encrypted = || {
        let cost = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).ok()?;
        let parameters = pbes2::Parameters::generate_scrypt_aes256cbc(cost, &salt, iv).ok()?;
        let info = PrivateKeyInfoRef::try_from(der).ok()?;
        info.encrypt_with_params(parameters, &**passphrase).ok()
    };
    encrypted().ok_or(IdentityError::Encoding)
}

/// Whoever wrote the file chose what opening it costs.
fn is_affordable(kdf: &Kdf) -> bool {
    match kdf {
        Kdf::Pbkdf2(cost) => cost.iteration_count <= ITERATIONS_AT_MOST,
        Kdf::Scrypt(cost) => {
            let block = u64::from(cost.block_size).saturating_mul(128);
            let octets = cost.cost_parameter.saturating_mul(block);
            octets <= SCRYPT_OCTETS_AT_MOST && cost.parallelization <= 16
        }
        _ => false,
    }
}

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
/// N = 2^13, r = 8, p = 1: 8 MiB, which the service has to spare on the smallest board. The passphrase is a
/// machine's, of 32 random octets: its strength is its length, not what a guess costs.
const SCRYPT_LOG_N: u8 = 13;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 1;
/// What OpenSSL's own default (N = 2^14) needs.
const SCRYPT_OCTETS_AT_MOST: u64 = 16 << 20;
const ITERATIONS_AT_MOST: u32 = 2_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Zeroizing::new(text.as_bytes().to_vec())
    }

    fn open(text: &str, given: Option<&str>) -> Result<SigningKey, IdentityError> {
        decode(Path::new("identity.pem"), text.as_bytes(), || {
            Ok(given.map(passphrase))
        })
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_alone() {
        let key = SigningKey::from_seed(&[7; 32]);
        let text = encode(&key, Some(&passphrase("right"))).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        assert_eq!(open(&text, Some("right")).unwrap().public(), key.public());
        let wrong = open(&text, Some("wrong")).err().unwrap();
        assert_eq!(wrong.code(), "identity-passphrase-wrong");
        let without = open(&text, None).err().unwrap();
        assert_eq!(without.code(), "identity-passphrase");
        let plain = encode(&key, None).unwrap();
        assert!(plain.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert_eq!(open(&plain, None).unwrap().public(), key.public());
    }

    /// The encryption hides and does not seal, as OpenSSL reads no other: damage may make another key, which nobody
    /// knows, or a refusal.
    #[test]
    fn damage_is_borne() {
        let key = SigningKey::from_seed(&[7; 32]);
        let text = encode(&key, Some(&passphrase("right"))).unwrap();
        let mut refused = 0;
        for place in (0..text.len()).step_by(11) {
            let mut damaged = text.as_bytes().to_vec();
            damaged[place] ^= 1;
            let opened = decode(Path::new("k"), &damaged, || Ok(Some(passphrase("right"))));
            refused += usize::from(opened.is_err());
        }
        assert!(refused > 10, "{refused}");
    }

    /// N = 2^14 is what `openssl pkcs8 -topk8 -scrypt` does by default.
    #[test]
    fn what_opening_costs_is_bounded() {
        let affordable = |log_n, r, p| {
            let cost = scrypt::Params::new(log_n, r, p).unwrap();
            let parameters = pbes2::Parameters::generate_scrypt_aes256cbc(cost, &[0; 16], [0; 16]);
            is_affordable(&parameters.unwrap().kdf)
        };
        assert!(affordable(14, 8, 1));
        assert!(!affordable(16, 8, 1));
        assert!(!affordable(14, 8, 64));
    }
}
