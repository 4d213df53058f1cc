//! TLS towards a broker: rustls on ring, with this agent's own idea of the time.

use crate::config::{ClientCertificate, TlsConfig, UpstreamUrl};
use crate::daemon::Agent;
use rustls::RootCertStore;
use rustls::client::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
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
        let roots = match &config.ca_file {
            Some(path) => roots(path)?,
            None => system_roots()?,
        };
        let builder = ClientConfig::builder_with_details(
            Arc::new(ring::default_provider()),
            Arc::new(AgentTime(Arc::clone(agent))),
        );
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
        Ok(Self {
            connector: TlsConnector::from(Arc::new(made)),
            name: server_name(config, url)?,
        })
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
            Self::File { .. } => "tls-file",
            Self::NoRoots(_) | Self::NoBundle => "tls-roots",
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

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = BUNDLES.iter().map(Path::new).find(|path| path.exists());
    roots(found.ok_or(TlsError::NoBundle)?)
}

/// Certificates of the file that rustls can use; a bundle may hold some that it cannot.
fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates("ca_file", path)?);
    if roots.is_empty() {
        return Err(TlsError::NoRoots(path.to_owned()));
    }
    Ok(roots)
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
