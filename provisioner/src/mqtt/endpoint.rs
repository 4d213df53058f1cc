//! A broker: its address, its certificate authorities, and who asks.

use super::MqttError;
use crate::input;
use crate::keys::Passphrase;
use rumqttc::v5::MqttOptions;
use rumqttc::{TlsConfiguration, Transport};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A broker, by its address and how to reach it.
#[derive(Clone)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    tls: Option<Arc<rustls::ClientConfig>>,
    authorities: Option<PathBuf>,
    credentials: Option<Credentials>,
}

/// How a broker knows who asks. No `Debug`: it may hold a password.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// The name.
    pub(crate) username: String,
    /// The password, where there is one.
    pub(crate) password: Option<Passphrase>,
}

struct Address<'a> {
    host: &'a str,
    port: u16,
    is_tls: bool,
}

impl Endpoint {
    /// A broker on this machine, without TLS.
    pub(crate) fn local(port: u16) -> Self {
        let host = "127.0.0.1".to_owned();
        Self {
            host,
            port,
            tls: None,
            authorities: None,
            credentials: None,
        }
    }

    /// Reads `mqtt://HOST[:PORT]` or `mqtts://HOST[:PORT]`. The latter is believed if one of the certificate authorities in the
    /// PEM file vouches for it; without a file, those that the system trusts.
    ///
    /// # Errors
    /// [`MqttError::Address`] and [`MqttError::Authorities`].
    pub(crate) fn parse(url: &str, authorities: Option<&Path>) -> Result<Self, MqttError> {
        let address = Address::parse(url)?;
        let mut endpoint = Self::plain(&address);
        if address.is_tls {
            let file = authorities.unwrap_or(Path::new(SYSTEM_AUTHORITIES));
            let shown = file.display().to_string();
            let text = input::read(file, MAX_AUTHORITIES_OCTETS).map_err(|why| {
                MqttError::Authorities {
                    path: shown.clone(),
                    why: match authorities {
                        Some(_) => why.to_string(),
                        None => format!("{why}: name the file with --ca"),
                    },
                }
            })?;
            endpoint.tls = Some(client_config(&shown, &text)?);
            endpoint.authorities = Some(file.to_owned());
        }
        Ok(endpoint)
    }

    /// As [`Endpoint::parse`], with the certificate authorities at hand as PEM.
    ///
    /// # Errors
    /// As [`Endpoint::parse`].
    pub(crate) fn with_pem(url: &str, pem: &str) -> Result<Self, MqttError> {
        let address = Address::parse(url)?;
        let mut endpoint = Self::plain(&address);
        if address.is_tls {
            endpoint.tls = Some(client_config("the registry's broker.json", pem.as_bytes())?);
        }
        Ok(endpoint)
    }

    /// The same broker, told who asks.
    #[must_use]
    pub(crate) fn with_credentials(self, credentials: Option<Credentials>) -> Self {
        Self {
            credentials,
            ..self
        }
    }

    /// The broker's host.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The broker's port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The file of certificate authorities, where TLS is spoken and they came in a file.
    pub(crate) fn authorities(&self) -> Option<&Path> {
        self.authorities.as_deref()
    }

    /// Its address, always with the port: one broker, one form.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "mqtts" } else { "mqtt" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }

    /// What rumqttc is told of all this.
    pub(super) fn options(&self, client_id: &str) -> MqttOptions {
        let mut options = MqttOptions::new(client_id, &self.host, self.port);
        if let Some(config) = &self.tls {
            let config = TlsConfiguration::Rustls(Arc::clone(config));
            options.set_transport(Transport::Tls(config));
        }
        if let Some(Credentials { username, password }) = &self.credentials {
            let password = password.as_ref().map(|password| password.to_string());
            options.set_credentials(username.clone(), password.unwrap_or_default());
        }
        options
    }

    fn plain(address: &Address<'_>) -> Self {
        Self {
            host: address.host.to_owned(),
            ..Self::local(address.port)
        }
    }
}

impl<'a> Address<'a> {
    fn parse(url: &'a str) -> Result<Self, MqttError> {
        let refused = || MqttError::Address(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(refused)?;
        let (is_tls, default_port) = match scheme {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err(refused()),
        };
        let address = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| refused())?),
            None => (address, default_port),
        };
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
        if host.is_empty() || !host.bytes().all(valid) {
            return Err(refused());
        }
        Ok(Self { host, port, is_tls })
    }
}

fn client_config(path: &str, pem: &[u8]) -> Result<Arc<rustls::ClientConfig>, MqttError> {
    let refused = |why: String| MqttError::Authorities {
        path: path.to_owned(),
        why,
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|why| refused(why.to_string()))?;
        roots
            .add(certificate)
            .map_err(|why| refused(why.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| refused(why.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What Debian's ca-certificates keeps.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Ten times what operating systems come with.
pub(crate) const MAX_AUTHORITIES_OCTETS: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::{Endpoint, MqttError};
    use std::path::Path;

    #[test]
    fn only_urls_of_brokers_are_read() {
        let read = |url| Endpoint::parse(url, None).map(|at| (at.host, at.port));
        assert_eq!(read("mqtt://broker").unwrap(), ("broker".to_owned(), 1883));
        assert_eq!(
            read("mqtt://10.0.0.1:1884/").unwrap(),
            ("10.0.0.1".to_owned(), 1884)
        );
        for bad in [
            "",
            "broker",
            "http://broker",
            "mqtt://",
            "mqtt://:1",
            "mqtt://a:x",
            "mqtt://u@h",
            "mqtt://a:70000",
        ] {
            assert!(matches!(read(bad), Err(MqttError::Address(_))), "{bad}");
        }
        let absent = Endpoint::parse("mqtts://broker", Some(Path::new("/nowhere")));
        assert!(matches!(absent, Err(MqttError::Authorities { .. })));
        let empty = Endpoint::with_pem("mqtts://broker", "no certificate");
        assert!(matches!(empty, Err(MqttError::Authorities { .. })));
    }
}
