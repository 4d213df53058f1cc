//! TLS towards a broker: rustls on ring, with this agent's own idea of the time.

use crate::config::{ClientCertificate, TlsConfig, UpstreamUrl};
use crate::daemon::Agent;
use rustls::RootCertStore;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, WebPkiServerVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{DigitallySignedStruct, SignatureScheme};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsConnector;

/// What is needed to speak TLS with one broker.
pub struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// Why TLS cannot be spoken with a broker.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file with certificates or a key cannot be used.
    #[error("{what} {}: {error}", path.display())]
    File {
        /// What it is for.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// No certificate to go back to.
    #[error("{} has no certificate that can be used", .0.display())]
    NoRoots(PathBuf),
    /// The certificates of the join file cannot be read.
    #[error("the broker's certificates in the join file: {0}")]
    Pem(pem::Error),
    /// None of them can be used.
    #[error("the join file has no certificate of the broker that can be used")]
    NoPemRoots,
    /// The system has none either.
    #[error("this system has no bundle of certificates: install ca-certificates, or state ca_file")]
    NoBundle,
    /// Certificate and key do not fit, or rustls refuses them.
    #[error("the client certificate cannot be used: {0}")]
    Client(rustls::Error),
    /// Not a name that a certificate can have.
    #[error("{0:?} is no name that a certificate can have")]
    Name(String),
}

/// When a certificate is judged: at the clock where it is synchronized, else not before the floor.
struct AgentTime(Arc<Agent>);

impl Tls {
    /// Reads all files. Blocks.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(
        config: &TlsConfig,
        url: &UpstreamUrl,
        agent: &Arc<Agent>,
    ) -> Result<Self, TlsError> {
        Self::with_time(config, url, judge(agent))
    }

    /// As [`Tls::new`], where no agent is at hand to say what time it is.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn with_time(
        config: &TlsConfig,
        url: &UpstreamUrl,
        time: Arc<dyn TimeProvider>,
    ) -> Result<Self, TlsError> {
        let roots = match &config.ca_file {
            Some(path) => roots(path)?,
            None => system_roots()?,
        };
        let made = client_config(config, roots, time)?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(made)),
            name: server_name(config, url)?,
        })
    }

    /// The same with certificates (PEM) that lie in no file; the system's where there are none. Blocks.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn with_pem(
        pem: Option<&str>,
        url: &UpstreamUrl,
        agent: &Arc<Agent>,
    ) -> Result<Self, TlsError> {
        let config = TlsConfig::default();
        let roots = match pem {
            Some(pem) => {
                let read: Result<Vec<_>, _> =
                    CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
                usable(read.map_err(TlsError::Pem)?).ok_or(TlsError::NoPemRoots)?
            }
            None => system_roots()?,
        };
        let made = client_config(&config, roots, judge(agent))?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(made)),
            name: server_name(&config, url)?,
        })
    }

    /// As [`Tls::new`], for a library that makes the connection itself and knows the host alone: the
    /// certificate must have the name that the configuration states. Blocks.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn named(
        config: &TlsConfig,
        url: &UpstreamUrl,
        agent: &Arc<Agent>,
    ) -> Result<Self, TlsError> {
        let plain = Self::new(config, url, agent)?;
        if config.server_name.is_none() {
            return Ok(plain);
        }
        let roots = match &config.ca_file {
            Some(path) => roots(path)?,
            None => system_roots()?,
        };
        let provider = Arc::new(ring::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let inner = inner.map_err(|error| TlsError::Name(error.to_string()))?;
        let mut made = ClientConfig::clone(plain.connector.config());
        let name = plain.name.clone();
        made.dangerous()
            .set_certificate_verifier(Arc::new(Named { name, inner }));
        Ok(Self {
            connector: TlsConnector::from(Arc::new(made)),
            ..plain
        })
    }

    /// What a library needs that makes the connection itself.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(self.connector.config())
    }

    /// What makes a connection over a socket.
    pub const fn connector(&self) -> &TlsConnector {
        &self.connector
    }

    /// The name that the broker's certificate must have.
    pub fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }
}

impl TlsError {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Pem(_) => "tls-file",
            Self::NoRoots(_) | Self::NoBundle | Self::NoPemRoots => "tls-roots",
            Self::Client(_) => "tls-client",
            Self::Name(_) => "tls-name",
        }
    }
}

impl TimeProvider for AgentTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = self.0.certificate_time().seconds();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Judges a certificate as rustls does, by another name than the host's.
#[derive(Debug)]
struct Named {
    name: ServerName<'static>,
    inner: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (inner, name) = (&self.inner, &self.name);
        inner.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl fmt::Debug for AgentTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentTime")
    }
}

fn server_name(config: &TlsConfig, url: &UpstreamUrl) -> Result<ServerName<'static>, TlsError> {
    let host = match url {
        UpstreamUrl::Mqtt { host, .. } | UpstreamUrl::Mqtts { host, .. } => host.as_str(),
        UpstreamUrl::Unix(_) => "localhost",
    };
    let name = config.server_name.as_deref().unwrap_or(host);
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))
}

fn judge(agent: &Arc<Agent>) -> Arc<dyn TimeProvider> {
    Arc::new(AgentTime(Arc::clone(agent)))
}

fn client_config(
    config: &TlsConfig,
    roots: RootCertStore,
    time: Arc<dyn TimeProvider>,
) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_details(provider, time);
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Client)?
        .with_root_certificates(roots);
    let mut made = match &config.client {
        Some(files) => {
            let (chain, key) = client_certificate(files)?;
            let made = builder.with_client_auth_cert(chain, key);
            made.map_err(TlsError::Client)?
        }
        None => builder.with_no_client_auth(),
    };
    made.alpn_protocols = config
        .alpn
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Ok(made)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = BUNDLES.iter().map(Path::new).find(|path| path.exists());
    roots(found.ok_or(TlsError::NoBundle)?)
}

/// Certificates of the file that rustls can use; a bundle may hold some that it cannot.
fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let roots = usable(certificates("ca_file", path)?);
    roots.ok_or_else(|| TlsError::NoRoots(path.to_owned()))
}

fn usable(certificates: Vec<CertificateDer<'static>>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    (!roots.is_empty()).then_some(roots)
}

fn client_certificate(
    files: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = certificates("certificate_file", &files.certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file);
    let key = key.map_err(unusable("key_file", &files.key_file))?;
    Ok((chain, key))
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(unusable(what, path))
}

fn unusable<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl FnOnce(pem::Error) -> TlsError + use<'a> {
    move |error| TlsError::File {
        what,
        path: path.to_owned(),
        error,
    }
}

/// Debian and Raspberry Pi OS; Fedora; Alpine.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
