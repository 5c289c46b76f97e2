//! The box's certificate: made at first start, read again when its files change, replaced by one from an authority.

mod facts;
mod proof;

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, Result};
pub use facts::Facts;
use facts::facts;
use proof::proof_config;

/// Hands out the current TLS configuration.
pub struct Certificates {
    /// Certificate and key as set, or self-signed.
    files: (PathBuf, PathBuf),
    /// What an authority gave: chain and key in one file, so that no crash can tear them apart.
    /// `None` where the owner's own files are in use.
    issued: Option<PathBuf>,
    state: RwLock<State>,
    seen: Mutex<Stamp>,
    /// While an authority asks for a proof over TLS.
    proof: RwLock<Option<Arc<ServerConfig>>>,
}

struct State {
    config: Arc<ServerConfig>,
    facts: Facts,
}

/// What the certificate says that a server uses, of these files; `None` where there is none yet.
/// One from an authority comes first.
pub fn in_use(set: &Path, issued: Option<&Path>) -> Option<Facts> {
    let path = issued.filter(|path| path.exists()).unwrap_or(set);
    facts(&CertificateDer::pem_file_iter(path).ok()?.next()?.ok()?).ok()
}

/// Whether the files that the settings name can be used; nothing is looked at where they name none.
pub fn examine(certificate: &Path, key: &Path) -> Result<()> {
    if certificate.as_os_str().is_empty() {
        return Ok(());
    }
    load(certificate, key).map(drop).map_err(|wrong| match &wrong {
        Error::File { path, .. } if path != certificate => Error::of_setting("tls.key")(wrong),
        _ => Error::of_setting("tls.certificate")(wrong),
    })
}

/// When the files were last changed.
type Stamp = Vec<Option<SystemTime>>;

impl Certificates {
    /// Loads the certificate, making a self-signed one for `names` where there is none.
    /// With `issued`, a certificate from an authority at that place comes first.
    pub fn open(
        certificate: PathBuf,
        key: PathBuf,
        issued: Option<PathBuf>,
        names: &[String],
    ) -> Result<Certificates> {
        if !certificate.exists() && !key.exists() {
            make_self_signed(&certificate, &key, names)?;
        }
        let files = (certificate, key);
        let state =
            match issued.as_deref().filter(|path| path.exists()).map(|path| load(path, path)) {
                Some(Ok(state)) => state,
                Some(Err(error)) => {
                    // Mail must go on with the other one.
                    tracing::error!(%error, "the certificate from the authority is not usable");
                    load(&files.0, &files.1)?
                }
                None => load(&files.0, &files.1)?,
            };
        let certificates = Certificates {
            files,
            issued,
            state: RwLock::new(state),
            seen: Mutex::default(),
            proof: RwLock::default(),
        };
        *certificates.seen.lock().unwrap_or_else(|e| e.into_inner()) = certificates.stamp();
        Ok(certificates)
    }

    /// What new connections use.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.state.read().unwrap_or_else(|e| e.into_inner()).config.clone()
    }

    /// What new HTTPS connections use: an authority may ask for its proof there.
    pub fn current_for_https(&self) -> Arc<ServerConfig> {
        let proof = self.proof.read().unwrap_or_else(|e| e.into_inner()).clone();
        proof.unwrap_or_else(|| self.current())
    }

    /// What the certificate in use says.
    pub fn facts(&self) -> Facts {
        self.state.read().unwrap_or_else(|e| e.into_inner()).facts.clone()
    }

    /// Whether the owner's own files decide, and nothing is issued.
    pub fn is_from_files(&self) -> bool {
        self.issued.is_none()
    }

    /// Looks whether the files changed and loads them.
    /// On an error the old certificate stays in use.
    pub fn refresh(&self) -> Result<Refreshed> {
        let stamp = self.stamp();
        let mut seen = self.seen.lock().unwrap_or_else(|e| e.into_inner());
        if *seen == stamp {
            return Ok(Refreshed::Unchanged);
        }
        // Remembered also when loading fails, so that one mistake is reported once.
        *seen = stamp;
        let state = match self.issued.as_deref().filter(|path| path.exists()) {
            Some(path) => load(path, path)?,
            None => load(&self.files.0, &self.files.1)?,
        };
        *self.state.write().unwrap_or_else(|e| e.into_inner()) = state;
        Ok(Refreshed::Replaced)
    }

    /// Takes a certificate from an authority into use: its chain and its key, in PEM.
    pub fn install(&self, chain: &str, key: &str) -> Result<()> {
        let path = self.issued.as_deref().ok_or(Error::CertificateIsSet)?;
        let trial = path.with_extension("trial");
        write_private(&trial, &format!("{chain}\n{key}\n"))?;
        load(&trial, &trial)?;
        fs::rename(&trial, path).map_err(Error::file("", path))?;
        self.refresh().map(drop)
    }

    /// Makes a new self-signed certificate for these names, where a self-signed one of ours is in use.
    pub fn rename(&self, names: &[String]) -> Result<()> {
        if self.is_from_files() || !self.facts().is_self_signed {
            return Ok(());
        }
        make_self_signed(&self.files.0, &self.files.1, names)?;
        self.refresh().map(drop)
    }

    /// Answers an authority that asks over TLS (RFC 8737) for `name` with the digest of the key authorization; `None`
    /// ends that.
    pub fn prove(&self, proof: Option<(&str, &[u8])>) -> Result<()> {
        let config = match proof {
            Some((name, digest)) => Some(proof_config(builder()?, name, digest, self.current())?),
            None => None,
        };
        *self.proof.write().unwrap_or_else(|e| e.into_inner()) = config;
        Ok(())
    }

    fn stamp(&self) -> Stamp {
        let changed = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
        let issued = self.issued.as_deref().and_then(changed);
        vec![changed(&self.files.0), changed(&self.files.1), issued]
    }
}

/// What [`Certificates::refresh`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The files are as they were.
    Unchanged,
    /// The files have changed and are in use.
    Replaced,
}

fn load(certificate: &Path, key: &Path) -> Result<State> {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(Error::file("", certificate))?;
    let facts = chain
        .first()
        .ok_or(Error::NotACertificate { why: "no certificate in it".into() })
        .and_then(|first| facts(first));
    let facts = facts.map_err(Error::file("", certificate))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(Error::file("", key))?;
    let mut config =
        builder()?.with_single_cert(chain, private).map_err(Error::file("", certificate))?;
    // Resumption for clients that poll (RFC 8446 §2.2, RFC 5077): the client keeps the session, sealed with a key that
    // changes every few hours; here it takes no memory, however many clients there are.
    config.ticketer = rustls::crypto::ring::Ticketer::new()
        .map_err(Error::failed("making keys for TLS tickets"))?;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 2;
    Ok(State { config: Arc::new(config), facts })
}

fn builder() -> Result<rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(Error::failed("setting TLS up"))?.with_no_client_auth())
}

fn make_self_signed(certificate: &Path, key: &Path, names: &[String]) -> Result<()> {
    let made =
        rcgen::generate_simple_self_signed(names).map_err(Error::failed("making a certificate"))?;
    write_private(key, &made.signing_key.serialize_pem())?;
    write_private(certificate, &made.cert.pem())
}

/// Writes a file only we can read, whole or not at all; makes its folder where that is missing.
/// The error names the file.
/// Blocks.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let fail = Error::file("writing", path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(&fail)?;
    }
    let part = path.with_extension("part");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)
        .map_err(&fail)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(&fail)?;
    fs::rename(&part, path).map_err(fail)
}

#[cfg(test)]
mod tests {
    use pillarbox_vocabulary::Timestamp;

    use super::*;

    #[test]
    fn a_changed_certificate_is_taken_and_a_broken_one_leaves_the_old() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let names = ["box.example".to_string()];
        let certificates = Certificates::open(
            cert.clone(),
            key.clone(),
            Some(dir.path().join("issued.pem")),
            &names,
        )
        .unwrap();
        let first = certificates.current();
        assert_eq!(certificates.refresh(), Ok(Refreshed::Unchanged));
        fs::write(&cert, "nonsense").unwrap();
        assert!(certificates.refresh().is_err());
        assert!(Arc::ptr_eq(&first, &certificates.current()));
        make_self_signed(&cert, &key, &names).unwrap();
        assert_eq!(certificates.refresh(), Ok(Refreshed::Replaced));
        assert!(!Arc::ptr_eq(&first, &certificates.current()));
    }

    #[test]
    fn what_is_in_use_is_known_without_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (set, issued) = (path("cert.pem"), path("issued.pem"));
        assert_eq!(in_use(&set, Some(&issued)), None);
        let server = |issued: Option<PathBuf>| {
            Certificates::open(
                path("cert.pem"),
                path("key.pem"),
                issued,
                &["mail.box.example".into()],
            )
            .unwrap()
            .facts()
        };
        let own = server(Some(issued.clone()));
        assert_eq!(in_use(&set, Some(&issued)).as_ref(), Some(&own));
        assert!(!own.is_believed("mail.box.example", Timestamp(1)));
        let issuer = rcgen::Issuer::new(
            rcgen::CertificateParams::default(),
            rcgen::KeyPair::generate().unwrap(),
        );
        let issue = |name: &str| {
            let mut params = rcgen::CertificateParams::new(vec![name.to_string()]).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            let key = rcgen::KeyPair::generate().unwrap();
            (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
        };
        let (chain, key) = issue("mail.box.example");
        write_private(&issued, &format!("{chain}{key}")).unwrap();
        let found = in_use(&set, Some(&issued)).unwrap();
        assert_eq!(found, server(Some(issued.clone())));
        assert!(
            found.is_believed("mail.box.example", Timestamp(1))
                && !found.is_believed("other.example", Timestamp(1))
                && !found.is_believed("mail.box.example", Timestamp::MAX)
        );
        // Where the settings name the files, nothing that was issued counts.
        let (chain, key) = issue("set.example");
        write_private(&set, &chain).unwrap();
        write_private(&path("key.pem"), &key).unwrap();
        let found = in_use(&set, None).unwrap();
        assert_eq!(found, server(None));
        assert!(found.is_believed("set.example", Timestamp(1)));
    }

    #[test]
    fn an_issued_certificate_comes_first_and_its_loss_leaves_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let names = ["box.example".to_string()];
        let open = || {
            Certificates::open(path("cert.pem"), path("key.pem"), Some(path("issued.pem")), &names)
                .unwrap()
        };
        let certificates = open();
        assert!(certificates.facts().is_self_signed && certificates.facts().names("Box.example"));
        certificates.rename(&["mail.example".into()]).unwrap();
        assert_eq!(certificates.facts().names, ["mail.example"]);
        let authority = rcgen::CertificateParams::new(vec![]).unwrap();
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params =
            rcgen::CertificateParams::new(vec!["mail.example".into(), "*.example".into()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "mail.example");
        let issued = params.signed_by(&key, &issuer).unwrap();
        assert!(certificates.install("nonsense", &key.serialize_pem()).is_err());
        certificates.install(&issued.pem(), &key.serialize_pem()).unwrap();
        let facts = open().facts();
        assert!(
            !facts.is_self_signed && facts.names("x.example") && !facts.names("a.b.example"),
            "{facts:?}"
        );
        assert_eq!(facts.fingerprint.len(), 95);
        certificates.rename(&names).unwrap();
        assert_eq!(certificates.facts(), facts, "an issued one keeps its names");
        fs::write(path("issued.pem"), "torn").unwrap();
        assert!(open().facts().is_self_signed);
        certificates.prove(Some(("mail.example", &[7; 32]))).unwrap();
        assert!(!Arc::ptr_eq(&certificates.current(), &certificates.current_for_https()));
        certificates.prove(None).unwrap();
        assert!(Arc::ptr_eq(&certificates.current(), &certificates.current_for_https()));
    }
}
