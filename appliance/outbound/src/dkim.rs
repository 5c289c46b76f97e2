//! Signing what leaves (RFC 6376, RFC 8463): keys per domain, made here, sealed at rest; rotation by selector.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::generate::DkimKeyPair;
use mail_auth::dkim::{Canonicalization, DkimSigner, Done};
use pillarbox_message::blanks::Blanks;
use pillarbox_platform::secrets::Secrets;
use pillarbox_store::{
    AddFirstKey, AnyChange, KeyKind, PutKey, Reader, RemoveKey, SigningKey, Store,
};
use pillarbox_vocabulary::Timestamp;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer};

use crate::error::{Error, Result};

/// Fields that are signed where they are there, and whose later addition breaks the signature where they are not.
/// Those that are here twice are named once more than they occur: a second one put in front of them, which many
/// programs would show, breaks it, too (RFC 6376 §5.4.2, §8.15).
const FIELDS: [&str; 24] = [
    "From", "From", "Sender", "Sender", "Reply-To", "Reply-To", "To", "To", "Cc", "Cc", "Subject",
    "Subject", "Date", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version",
    "MIME-Version", "Content-Type", "Content-Type", "Content-Transfer-Encoding",
    "List-Unsubscribe", "List-Unsubscribe-Post",
];
/// Bits of an RSA key: what every verifier takes and what fits a DNS record (RFC 8301 §3.2).
const RSA_BITS: usize = 2048;
/// How long keys are remembered ready for use.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How long a retired key's record must stay published: messages signed with it may be under way.
pub const PUBLISHED_FOR: Duration = Duration::from_secs(30 * 86_400);
/// What fails when a stored key can't be used.
const READING: &str = "reading a signing key";
/// What sealed keys are for.
const PURPOSE: &str = "dkim";

/// The signing keys of one domain, ready for use.
#[derive(Default)]
pub struct Keys {
    rsa: Vec<DkimSigner<RsaKey<Sha256>, Done>>,
    ed25519: Vec<DkimSigner<Ed25519Key, Done>>,
}

impl Keys {
    pub fn is_empty(&self) -> bool {
        self.rsa.is_empty() && self.ed25519.is_empty()
    }

    /// Signs a message whose pieces `feed` gives in order; returns the header fields to put in front.
    pub fn sign<E: Into<Error>>(
        &self,
        feed: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<(), E>,
    ) -> Result<Vec<u8>> {
        let mut rsa: Vec<_> = self.rsa.iter().map(|key| key.sign_streaming()).collect();
        let mut ed25519: Vec<_> = self.ed25519.iter().map(|key| key.sign_streaming()).collect();
        let mut blanks = Blanks::default();
        feed(&mut |piece| {
            let piece = blanks.push(piece);
            rsa.iter_mut().for_each(|stream| stream.write(piece));
            ed25519.iter_mut().for_each(|stream| stream.write(piece));
        })
        .map_err(Into::into)?;
        let mut fields = String::new();
        for signature in
            rsa.into_iter().map(|s| s.finish()).chain(ed25519.into_iter().map(|s| s.finish()))
        {
            let field = signature.map_err(Error::failed("signing"))?.to_header();
            // A fold between the signature's last letter and its semicolon is allowed (RFC 6376 §3.7), and some
            // verifiers stumble over it.
            match field.strip_suffix("\r\n\t;\r\n") {
                Some(start) => fields.push_str(&format!("{start};\r\n")),
                None => fields.push_str(&field),
            }
        }
        Ok(fields.into_bytes())
    }
}

/// Hands out signing keys by domain.
pub struct Signer {
    secrets: Arc<Secrets>,
    ready: Mutex<HashMap<String, (Instant, Arc<Keys>)>>,
}

impl Signer {
    pub fn new(secrets: Arc<Secrets>) -> Signer {
        Signer { secrets, ready: Mutex::new(HashMap::new()) }
    }

    /// The keys that sign for a domain now; none is no error.
    /// Reads the store.
    pub fn keys(&self, store: &Store, domain: &str) -> Result<Arc<Keys>> {
        let mut ready = self.ready.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((since, keys)) = ready.get(domain)
            && since.elapsed() < REMEMBERED
        {
            return Ok(keys.clone());
        }
        let stored = store.read(|r| r.signing_keys(domain))?;
        let mut keys = Keys::default();
        for (selector, key) in stored.iter().filter(|(_, key)| key.retired.is_none()) {
            let private = self.secrets.open_sealed(PURPOSE, &key.sealed)?;
            match key.kind {
                KeyKind::Rsa => {
                    let private = PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(private));
                    let key =
                        RsaKey::<Sha256>::from_key_der(private).map_err(Error::failed(READING))?;
                    keys.rsa.push(signer(
                        DkimSigner::from_key(key).domain(domain).selector(selector).headers(FIELDS),
                    ));
                }
                KeyKind::Ed25519 => {
                    let key =
                        Ed25519Key::from_pkcs8_der(&private).map_err(Error::failed(READING))?;
                    keys.ed25519.push(signer(
                        DkimSigner::from_key(key).domain(domain).selector(selector).headers(FIELDS),
                    ));
                }
            }
        }
        let keys = Arc::new(keys);
        ready.insert(domain.to_string(), (Instant::now(), keys.clone()));
        Ok(keys)
    }

    /// Forgets keys ready for use, after a change.
    pub fn forget(&self) {
        self.ready.lock().unwrap_or_else(|e| e.into_inner()).clear();
    }
}

fn signer<T: mail_auth::common::crypto::SigningKey>(
    signer: DkimSigner<T, Done>,
) -> DkimSigner<T, Done> {
    signer
        .header_canonicalization(Canonicalization::Relaxed)
        .body_canonicalization(Canonicalization::Relaxed)
}

/// Whether a stored key can be opened.
pub fn opens(secrets: &Secrets, key: &SigningKey) -> bool {
    secrets.open_sealed(PURPOSE, &key.sealed).is_ok()
}

/// Makes what a domain lacks: a key of each kind.
/// Takes seconds on a small board.
/// Returns whether any was made.
pub fn ensure_keys(store: &Store, secrets: &Secrets, domain: &str, now: Timestamp) -> Result<bool> {
    let stored = store.read(|r| r.signing_keys(domain))?;
    let mut made = false;
    for kind in [KeyKind::Rsa, KeyKind::Ed25519] {
        if !stored.iter().any(|(_, key)| key.kind == kind && key.retired.is_none()) {
            let (selector, key) = make_key(secrets, kind, now)?;
            match store.change(AddFirstKey { domain: domain.into(), selector, key }).wait() {
                Ok(_) => made = true,
                // Somebody else was faster: the server, or the command line.
                Err(pillarbox_store::Error::Exists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(made)
}

/// Makes new keys; the old ones sign no more, and their records stay published for a while.
pub fn rotate(store: &Store, secrets: &Secrets, domain: &str, now: Timestamp) -> Result<()> {
    let stored = store.read(|r| r.signing_keys(domain))?;
    for kind in [KeyKind::Rsa, KeyKind::Ed25519] {
        let (selector, key) = make_key(secrets, kind, now)?;
        store.change(PutKey { domain: domain.into(), selector, key }).wait()?;
    }
    for (selector, key) in stored {
        let change = match key.retired {
            None => AnyChange::of(PutKey {
                domain: domain.into(),
                selector,
                key: SigningKey { retired: Some(now.max(Timestamp(1))), ..key },
            }),
            Some(at) if at.plus(PUBLISHED_FOR) < now => {
                AnyChange::of(RemoveKey { domain: domain.into(), selector })
            }
            Some(_) => continue,
        };
        store.change(change).wait()?;
    }
    Ok(())
}

/// A new key and its selector.
fn make_key(secrets: &Secrets, kind: KeyKind, now: Timestamp) -> Result<(String, SigningKey)> {
    let (pair, letter) = match kind {
        KeyKind::Rsa => (DkimKeyPair::generate_rsa(RSA_BITS), 'r'),
        KeyKind::Ed25519 => (DkimKeyPair::generate_ed25519(), 'e'),
    };
    let pair = pair.map_err(Error::failed("making a signing key"))?;
    let public = match kind {
        KeyKind::Rsa => pillarbox_proto::smtp::encode_base64(&spki_of_rsa(pair.public_key())),
        KeyKind::Ed25519 => pair.encoded_public_key(),
    };
    let sealed = secrets.seal(PURPOSE, pair.private_key())?;
    let key = SigningKey { kind, sealed, public, created: now, retired: None };
    let tail = getrandom::u32().map_err(Error::failed("choosing a selector"))? & 0xffff;
    Ok((format!("pb{letter}{}{tail:04x}", pillarbox_platform::clock::day(now)), key))
}

/// SubjectPublicKeyInfo around an RSA public key (RFC 5280 §4.1, RFC 3279 §2.3.1): the form that RFC 6376 §3.6.1
/// verifiers all read.
fn spki_of_rsa(pkcs1: &[u8]) -> Vec<u8> {
    const ALGORITHM: [u8; 15] =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let mut bits = vec![0x03];
    der_length(pkcs1.len() + 1, &mut bits);
    bits.push(0);
    bits.extend_from_slice(pkcs1);
    let mut out = vec![0x30];
    der_length(ALGORITHM.len() + bits.len(), &mut out);
    out.extend_from_slice(&ALGORITHM);
    out.extend_from_slice(&bits);
    out
}

fn der_length(length: usize, out: &mut Vec<u8>) {
    match length {
        0..0x80 => out.push(length as u8),
        0x80..0x100 => out.extend_from_slice(&[0x81, length as u8]),
        _ => out.extend_from_slice(&[0x82, (length >> 8) as u8, length as u8]),
    }
}

/// Selector, kind and public key of the records that a domain should publish, and whether it signs no more.
pub fn published(
    reader: &Reader,
    domain: &str,
    now: Timestamp,
) -> pillarbox_store::Result<Vec<(String, String, bool)>> {
    let keys = reader
        .signing_keys(domain)?
        .into_iter()
        .filter(|(_, key)| key.retired.is_none_or(|at| at.plus(PUBLISHED_FOR) >= now));
    let value = |(selector, key): (String, SigningKey)| {
        let kind = match key.kind {
            KeyKind::Rsa => "rsa",
            KeyKind::Ed25519 => "ed25519",
        };
        (
            format!("{selector}._domainkey.{domain}"),
            format!("v=DKIM1; k={kind}; p={}", key.public),
            key.retired.is_some(),
        )
    };
    Ok(keys.map(value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pillarbox_store::{Access, AddDomain, Options};

    /// A domain with keys of both kinds.
    fn signing() -> (tempfile::TempDir, Arc<Keys>) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Access::Server, &Options::default()).unwrap();
        let secrets = Arc::new(Secrets::open(dir.path()).unwrap());
        store.change(AddDomain { name: "box.example".into(), at: Timestamp(1) }).wait().unwrap();
        ensure_keys(&store, &secrets, "box.example", Timestamp(1_790_000_000)).unwrap();
        let keys = Signer::new(secrets).keys(&store, "box.example").unwrap();
        (dir, keys)
    }

    fn signed(keys: &Keys, message: &str, piece: usize) -> String {
        let feed = |write: &mut dyn FnMut(&[u8])| {
            message.as_bytes().chunks(piece).for_each(write);
            Ok::<_, Error>(())
        };
        String::from_utf8(keys.sign(feed).unwrap()).unwrap()
    }

    /// The body hash in a signature's field, unfolded.
    fn body_hashes(fields: &str) -> Vec<String> {
        let values = fields.split("bh=").skip(1).filter_map(|rest| rest.split(';').next());
        values.map(|value| value.split_ascii_whitespace().collect()).collect()
    }

    /// The body of RFC 6376 §3.4.4, worked out step by step as it is written there.
    fn relaxed(body: &str) -> String {
        let lines = body.split("\r\n").map(|line| {
            let mut text = String::new();
            for c in line.trim_end_matches([' ', '\t']).chars() {
                match (c, text.ends_with(' ')) {
                    (' ' | '\t', true) => {}
                    (' ' | '\t', false) => text.push(' '),
                    (c, _) => text.push(c),
                }
            }
            text
        });
        let text = lines.collect::<Vec<_>>().join("\r\n");
        match text.trim_end_matches("\r\n") {
            "" => String::new(),
            text => format!("{text}\r\n"),
        }
    }

    #[test]
    fn fields_that_must_stand_once_are_named_once_more_than_they_occur() {
        let (_dir, keys) = signing();
        for (header, froms, subjects) in [
            ("From: ann@box.example\r\nSubject: x\r\n", 2, 2),
            ("From: ann@box.example\r\n", 2, 2),
            ("From: ann@box.example\r\nFrom: bob@box.example\r\nSubject: x\r\n", 3, 2),
        ] {
            let fields = signed(&keys, &format!("{header}\r\nbody\r\n"), 1000);
            for names in fields.split(';').filter_map(|tag| tag.trim().strip_prefix("h=")) {
                let names: Vec<String> =
                    names.split(':').map(|name| name.trim().to_ascii_lowercase()).collect();
                let count = |wanted: &str| names.iter().filter(|name| *name == wanted).count();
                assert_eq!(
                    (count("from"), count("subject"), count("message-id")),
                    (froms, subjects, 1),
                    "{header:?}: {names:?}"
                );
            }
        }
    }

    #[test]
    fn body_hashes_are_those_of_the_standard() {
        use sha2::Digest;
        let (_dir, keys) = signing();
        let bodies = [
            "text\r\n \r\n", "text\r\n\t\r\n \t \r\n", "text \r\n\r\n", " \r\n", "\r\n", "",
            "\t\r\n\r\n \r\n", "a\r\n \r\nb\r\n", "  a  b  ", "a\r\n \r\n  ",
        ];
        for body in bodies {
            let expected =
                pillarbox_proto::smtp::encode_base64(&sha2::Sha256::digest(relaxed(body)));
            for piece in [1, 2, 3, 7, 1000] {
                let fields = signed(&keys, &format!("From: ann@box.example\r\n\r\n{body}"), piece);
                assert_eq!(
                    body_hashes(&fields),
                    [expected.as_str(), expected.as_str()],
                    "{body:?} in pieces of {piece}"
                );
            }
        }
    }

    #[test]
    fn keys_are_made_sign_and_rotate() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Access::Server, &Options::default()).unwrap();
        let secrets = Arc::new(Secrets::open(dir.path()).unwrap());
        store.change(AddDomain { name: "box.example".into(), at: Timestamp(1) }).wait().unwrap();
        let signer = Signer::new(secrets.clone());
        assert!(signer.keys(&store, "box.example").unwrap().is_empty());
        assert!(ensure_keys(&store, &secrets, "box.example", Timestamp(1_790_000_000)).unwrap());
        assert!(!ensure_keys(&store, &secrets, "box.example", Timestamp(1_790_000_000)).unwrap());
        signer.forget();
        let keys = signer.keys(&store, "box.example").unwrap();
        let message = b"From: ann@box.example\r\nSubject: x\r\n\r\nbody\r\n";
        let fields = keys
            .sign(|write| {
                message.chunks(5).for_each(write);
                Ok::<_, Error>(())
            })
            .unwrap();
        let fields = String::from_utf8(fields).unwrap();
        assert_eq!(fields.matches("DKIM-Signature: ").count(), 2);
        assert!(
            fields.contains("a=rsa-sha256")
                && fields.contains("a=ed25519-sha256")
                && fields.ends_with("\r\n")
        );
        let dkim = |now| store.read(|r| published(r, "box.example", now)).unwrap().len();
        assert_eq!(dkim(Timestamp(1_790_000_000)), 2);
        rotate(&store, &secrets, "box.example", Timestamp(1_790_100_000)).unwrap();
        assert_eq!(dkim(Timestamp(1_790_100_000)), 4);
        assert_eq!(dkim(Timestamp(1_790_100_001).plus(PUBLISHED_FOR)), 2);
    }
}
