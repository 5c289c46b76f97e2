//! The box's certificate: made at first start, read again when its files change.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Hands out the current TLS configuration.
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
    seen: Mutex<Stamp>,
}

/// When the two files were last changed.
type Stamp = (Option<SystemTime>, Option<SystemTime>);

impl Certificates {
    /// Loads the certificate, making a self-signed one for `names` where there is none.
    pub fn open(certificate: PathBuf, key: PathBuf, names: &[String]) -> Result<Certificates, String> {
        if !certificate.exists() && !key.exists() {
            make_self_signed(&certificate, &key, names)?;
        }
        let seen = stamp(&certificate, &key);
        let config = load(&certificate, &key)?;
        Ok(Certificates { certificate, key, current: RwLock::new(config), seen: Mutex::new(seen) })
    }

    /// What new connections use.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Looks whether the files changed and loads them. On an error the old certificate stays in use.
    pub fn refresh(&self) -> Result<Refreshed, String> {
        let stamp = stamp(&self.certificate, &self.key);
        let mut seen = self.seen.lock().unwrap_or_else(|e| e.into_inner());
        if *seen == stamp {
            return Ok(Refreshed::Unchanged);
        }
        // Remembered also when loading fails, so that one mistake is reported once.
        *seen = stamp;
        let config = load(&self.certificate, &self.key)?;
        *self.current.write().unwrap_or_else(|e| e.into_inner()) = config;
        Ok(Refreshed::Replaced)
    }
}

/// What [`Certificates::refresh`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    Unchanged,
    Replaced,
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    let changed = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    (changed(certificate), changed(key))
}

fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let fail = |path: &Path, e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|e| fail(certificate, &e))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| fail(key, &e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|e| fail(certificate, &e))?;
    // Resumption for clients that poll, in bounded memory.
    config.session_storage = rustls::server::ServerSessionMemoryCache::new(256);
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

fn make_self_signed(certificate: &Path, key: &Path, names: &[String]) -> Result<(), String> {
    let made = rcgen::generate_simple_self_signed(names).map_err(|e| format!("making a certificate: {e}"))?;
    write_private(key, &made.signing_key.serialize_pem())?;
    write_private(certificate, &made.cert.pem())
}

/// Writes a file only we can read, whole or not at all.
pub fn write_private(path: &Path, text: &str) -> Result<(), String> {
    let fail = |e: std::io::Error| format!("writing {}: {e}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    let part = path.with_extension("part");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part).map_err(fail)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
    fs::rename(&part, path).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_certificate_is_taken_and_a_broken_one_leaves_the_old() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let names = ["box.example".to_string()];
        let certificates = Certificates::open(cert.clone(), key.clone(), &names).unwrap();
        let first = certificates.current();
        assert_eq!(certificates.refresh(), Ok(Refreshed::Unchanged));
        fs::write(&cert, "nonsense").unwrap();
        assert!(certificates.refresh().is_err());
        assert!(Arc::ptr_eq(&first, &certificates.current()));
        make_self_signed(&cert, &key, &names).unwrap();
        assert_eq!(certificates.refresh(), Ok(Refreshed::Replaced));
        assert!(!Arc::ptr_eq(&first, &certificates.current()));
    }
}
