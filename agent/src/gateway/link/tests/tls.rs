//! TLS towards the broker, with certificates that openssl makes.

use super::rig::{Broker, Rig, Talk, agent_with};
use crate::clock::{Synchronization, SystemClock};
use crate::config::{ClientCertificate, TlsConfig, UpstreamUrl};
use crate::engine::Settings;
use crate::gateway::packet::Version;
use edgeseal_trust::time::UnixTime;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// A directory with an authority, and certificates that it signed.
struct Authority(TempDir);

impl Authority {
    fn new() -> Self {
        let authority = Self(tempfile::tempdir().unwrap());
        authority.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test \
             -keyout ca.key -out ca.pem",
        );
        authority
    }

    /// A certificate for these names (`DNS:x,IP:y`), and its key.
    fn certify(&self, file: &str, names: &str) {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={file} -keyout {file}.key -out {file}.csr"
        ));
        std::fs::write(self.path("names"), format!("subjectAltName={names}\n")).unwrap();
        self.openssl(&format!(
            "x509 -req -in {file}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out {file}.pem"
        ));
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn acceptor(&self, file: &str, alpn: &[&str], asks_for_certificate: bool) -> TlsAcceptor {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if asks_for_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(&self.path("ca.pem"))).unwrap();
            let provider = Arc::new(ring::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![certificate(&self.path(&format!("{file}.pem")))];
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{file}.key"))).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

fn rig(broker: &Broker, host: &str, tls: TlsConfig) -> Rig {
    Rig::with(broker.port, |config| {
        config.upstreams[0].url = UpstreamUrl::Mqtts {
            host: host.to_owned(),
            port: broker.port,
        };
        config.upstreams[0].tls = Some(tls);
    })
}

/// What becomes of a program whose broker is asked for TLS: the CONNACK code, and why.
async fn outcome(rig: &Rig, broker: &Broker, acceptor: &TlsAcceptor) -> (Option<u8>, String) {
    let mut program = rig.program(Version::V5).await;
    program.connect("a").await;
    let (stream, _) = broker.listener.accept().await.unwrap();
    let serving = async {
        if let Ok(stream) = acceptor.accept(stream).await {
            let mut remote = Talk::new(stream, Version::V5);
            if remote.next().await.is_some() {
                remote.accept_connect().await;
                program_octets(&mut remote).await;
            }
        }
    };
    let asking = async {
        let code = program.next().await.map(|answer| answer.octets()[3]);
        if code == Some(0) {
            program.publish("site/x", b"through TLS").await;
            assert_eq!(program.payload().await, b"and back");
        }
        code
    };
    let ((), code) = tokio::join!(serving, asking);
    let why = rig.status().upstreams.remove(0).why.unwrap_or_default();
    (code, why)
}

async fn program_octets(remote: &mut Talk) {
    assert_eq!(remote.payload().await, b"through TLS");
    remote.publish("site/y", b"and back").await;
}

#[tokio::test]
async fn a_broker_is_believed_that_the_authority_vouches_for_under_its_name_alone() {
    let authority = Authority::new();
    authority.certify("broker", "DNS:broker.example,IP:127.0.0.1");
    let other = Authority::new();
    let acceptor = authority.acceptor("broker", &[], false);
    let tls = |authority: &Authority, name: Option<&str>| TlsConfig {
        ca_file: Some(authority.path("ca.pem")),
        server_name: name.map(str::to_owned),
        ..TlsConfig::default()
    };
    for (host, tls, expected) in [
        ("127.0.0.1", tls(&authority, None), Ok(())),
        ("localhost", tls(&authority, Some("broker.example")), Ok(())),
        (
            "127.0.0.1",
            tls(&authority, Some("other.example")),
            Err("other.example"),
        ),
        ("localhost", tls(&authority, None), Err("localhost")),
        (
            "127.0.0.1",
            tls(&other, None),
            Err("invalid peer certificate"),
        ),
    ] {
        let broker = Broker::open().await;
        let rig = rig(&broker, host, tls);
        let (code, why) = outcome(&rig, &broker, &acceptor).await;
        match expected {
            Ok(()) => assert_eq!((code, &*why), (Some(0), "")),
            Err(part) => {
                assert_eq!(code, None, "closed without CONNACK");
                assert!(why.contains(part), "{why}");
            }
        }
    }
}

#[tokio::test]
async fn a_broker_that_asks_for_a_certificate_and_a_protocol_gets_both() {
    let authority = Authority::new();
    authority.certify("broker", "IP:127.0.0.1");
    authority.certify("device", "DNS:device");
    let acceptor = authority.acceptor("broker", &["mqtt"], true);
    let client = ClientCertificate {
        certificate_file: authority.path("device.pem"),
        key_file: authority.path("device.key"),
    };
    let tls = |client: Option<&ClientCertificate>, alpn: &str| TlsConfig {
        ca_file: Some(authority.path("ca.pem")),
        client: client.cloned(),
        alpn: vec![alpn.to_owned()],
        server_name: None,
    };
    for (client, alpn, code) in [
        (Some(&client), "mqtt", Some(0)),
        (None, "mqtt", None),
        (Some(&client), "other", None),
    ] {
        let broker = Broker::open().await;
        let rig = rig(&broker, "127.0.0.1", tls(client, alpn));
        let (found, why) = outcome(&rig, &broker, &acceptor).await;
        assert_eq!(found, code, "{why}");
    }
}

#[tokio::test]
async fn files_that_are_no_certificates_are_named() {
    let authority = Authority::new();
    authority.certify("device", "DNS:device");
    let empty = authority.path("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let with = |ca: &str, key: &str| TlsConfig {
        ca_file: Some(authority.path(ca)),
        client: Some(ClientCertificate {
            certificate_file: authority.path("device.pem"),
            key_file: authority.path(key),
        }),
        ..TlsConfig::default()
    };
    for (tls, code) in [
        (with("missing.pem", "device.key"), "tls-file"),
        (with("empty.pem", "device.key"), "tls-roots"),
        (with("ca.pem", "empty.pem"), "tls-file"),
        (with("ca.pem", "ca.key"), "tls-client"),
    ] {
        let (_, started) = Rig::try_with(1, |config| config.upstreams[0].tls = Some(tls));
        assert_eq!(started.unwrap_err().code(), code);
    }
}

#[test]
fn a_certificate_is_judged_by_a_synchronized_clock_or_not_before_the_floor() {
    let directory = tempfile::tempdir().unwrap();
    let release = UnixTime::from_seconds(1 << 40);
    let settings = Settings {
        release,
        ..Settings::default()
    };
    let judged = agent_with(directory.path(), settings).certificate_time();
    match SystemClock::synchronization() {
        Ok(Synchronization::Synchronized { .. }) => assert!(judged < release),
        _ => assert_eq!(judged, release),
    }
}
