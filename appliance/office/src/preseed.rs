//! The owner's settings as a file: exported from one box, put into a new one to answer its set-up beforehand.
//!
//! `pillarbox-setup.toml` in the data folder is applied when the server starts, and removed then: it may contain
//! passwords.

mod export;
mod file;
mod plan;

use std::io::Read;
use std::path::{Path, PathBuf};

use pillarbox_host::text;
use pillarbox_outbound::dkim;
use pillarbox_platform::clock;
use pillarbox_platform::config::{Config, Live};
use pillarbox_platform::secrets::Secrets;
use pillarbox_store::Store;

use crate::claim;
use crate::error::{Error, Result};
use crate::naming;
use crate::settings::{Progress, Step};
pub use export::{Passwords, export};
pub use file::{Setup, parse};

/// Its name in the data folder.
pub const FILE: &str = "pillarbox-setup.toml";
/// Octets of such a file.
const OCTETS: usize = 1 << 20;

/// Applies settings to a box; what is there already stays, so that the same file does no harm twice.
/// Everything is looked at before anything is changed.
/// Blocks.
pub fn apply(store: &Store, secrets: &Secrets, setup: &Setup) -> Result<()> {
    let changes = plan::plan(secrets, setup, clock::now())?;
    let is_new = store.read(|r| r.accounts())?.is_empty();
    for change in changes {
        match store.change(change).wait() {
            Ok(_) | Err(pillarbox_store::Error::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let progress = match store.read(Progress::read)? {
        Some(progress) => progress,
        None if is_new => Progress::default(),
        // Claimed and set up before: the pages lead through nothing again.
        None => return Ok(()),
    };
    let answered = [
        (setup.hostname.is_some(), Step::Name),
        (setup.line.is_some(), Step::Line),
        (setup.certificate.is_some(), Step::Certificate),
        (setup.people.len() > 1, Step::People),
    ];
    let progress = match setup.finished {
        Some(true) => Step::ALL.into_iter().fold(progress, Progress::with),
        _ => answered
            .into_iter()
            .filter(|(is, _)| *is)
            .fold(progress, |progress, (_, step)| progress.with(step)),
    };
    Ok(store.change(progress.change()).wait().map(drop)?)
}

/// Where a mistake in the file is reported, for the person who wrote it.
pub fn mistake(data: &Path) -> PathBuf {
    data.join(FILE).with_extension("toml.error")
}

/// Where a file with a mistake is kept.
fn aside(data: &Path) -> PathBuf {
    data.join(FILE).with_extension("toml.wrong")
}

/// Removes a file with a mistake and its report: the box is claimed, and they may contain passwords.
pub fn forget_mistake(data: &Path) {
    for path in [mistake(data), aside(data)] {
        let _ = std::fs::remove_file(path);
    }
}

/// Applies the file in the data folder, if there is one.
/// A file with a mistake is kept, under a name that says so, and the server starts without it: the owner must be able
/// to reach the pages.
pub fn apply_at_start(settings: &Live, store: &Store, secrets: &Secrets) -> Result<()> {
    let data = settings.get().data.clone();
    let path = data.join(FILE);
    let Ok(file) = std::fs::File::open(&path) else { return Ok(()) };
    let mut octets = Vec::new();
    file.take(OCTETS as u64 + 1)
        .read_to_end(&mut octets)
        .map_err(pillarbox_platform::Error::file("", &path))?;
    let applied = text::of(&octets, OCTETS)
        .map_err(|why| Error::SetupFile { line: None, why })
        .and_then(|text| parse(&text))
        .and_then(|setup| {
            apply(store, secrets, &setup)?;
            Ok(setup)
        });
    match applied {
        Ok(setup) => {
            if let Some(code) = setup.claim_code.filter(|code| code.len() == 7) {
                pillarbox_platform::tls::write_private(
                    &claim::file(&data),
                    &code.to_ascii_uppercase(),
                )?;
            }
            naming::reload(settings, store, Config::clone(&settings.get()));
            for name in &setup.domains {
                if let Err(error) = dkim::ensure_keys(store, secrets, name, clock::now()) {
                    tracing::warn!(%error, name, "signing keys will be made later");
                }
            }
            tracing::info!("{FILE} was applied and is removed");
            // The report on an earlier file is out of date.
            forget_mistake(&data);
            remove(&path)
        }
        Err(error) => {
            tracing::error!(%error, "{FILE} has a mistake; nothing of it is used");
            std::fs::write(mistake(&data), error.to_string())
                .map_err(pillarbox_platform::Error::file("", &path))?;
            Ok(std::fs::rename(&path, aside(&data))
                .map_err(pillarbox_platform::Error::file("", &path))?)
        }
    }
}

fn remove(path: &Path) -> Result<()> {
    Ok(std::fs::remove_file(path).map_err(pillarbox_platform::Error::file("removing", path))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pillarbox_store::{Access, Options};

    const FILE_TEXT: &str = r#"
        hostname = "Mail.Example.org"
        domains = ["example.org"]
        line = "provider"
        certificate = "authority"
        forwarders = ["uni.test"]
        allowed = ["friend.test"]
        banned = ["pest@a.test"]
        files = { macros = "refuse" }
        [[person]]
        address = "ann@example.org"
        name = "Ann"
        password = "correct horse battery"
        [[alias]]
        address = "@example.org"
        to = ["ann@example.org"]
        [[route]]
        host = "smtp.provider.example"
        user = "me"
        password = "secret there"
    "#;

    fn open(dir: &Path) -> (Store, Secrets) {
        (
            Store::open(dir, Access::Server, &Options::default()).unwrap(),
            Secrets::open(dir).unwrap(),
        )
    }

    #[test]
    fn what_is_applied_is_exported_and_can_move_to_another_box() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (store, secrets) = open(first.path());
        let setup = parse(FILE_TEXT).unwrap();
        apply(&store, &secrets, &setup).unwrap();
        apply(&store, &secrets, &setup).unwrap();
        let steps = store.read(Progress::read).unwrap().unwrap();
        assert_eq!(steps.next(), Some(Step::Dns));
        let plain = toml::to_string(&export(&store, &secrets, Passwords::Left).unwrap()).unwrap();
        assert!(!plain.contains("secret there") && !plain.contains("argon2"), "{plain}");
        let whole =
            toml::to_string(&export(&store, &secrets, Passwords::Included).unwrap()).unwrap();
        let (other, other_secrets) = open(second.path());
        apply(&other, &other_secrets, &parse(&whole).unwrap()).unwrap();
        let again = export(&other, &other_secrets, Passwords::Included).unwrap();
        assert_eq!(toml::to_string(&again).unwrap(), whole);
        assert_eq!(
            (again.hostname.as_deref(), again.aliases.len(), again.routes[0].port),
            (Some("mail.example.org"), 1, 465)
        );
        assert_eq!((&again.forwarders[0][..], &again.files["macros"][..]), ("uni.test", "refuse"));
        assert_eq!((&again.allowed[0][..], &again.banned[0][..]), ("friend.test", "pest@a.test"));
        assert!(apply(&store, &secrets, &parse("banned = ['a@']").unwrap()).is_err());
        assert!(apply(&store, &secrets, &parse("files = { macros = 'eat' }").unwrap()).is_err());
    }

    #[test]
    fn files_are_read_as_editors_leave_them() {
        let utf16: Vec<u8> =
            "\u{feff}hostname = \"é.example\"".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for octets in [
            b"hostname = \"\xc3\xa9.example\"".to_vec(),
            b"\xef\xbb\xbfhostname = \"\xc3\xa9.example\"".to_vec(),
            utf16,
        ] {
            assert_eq!(
                parse(&text::of(&octets, OCTETS).unwrap()).unwrap().hostname.as_deref(),
                Some("é.example"),
                "{octets:?}"
            );
        }
        assert!(text::of(b"name = \"J\xfcrgen\"", OCTETS).unwrap_err().contains("UTF-8"));
        assert!(text::of(&vec![b' '; OCTETS + 1], OCTETS).unwrap_err().contains("larger"));
    }

    #[test]
    fn a_mistake_is_named_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (store, secrets) = open(dir.path());
        assert!(parse("hostnam = \"x\"").unwrap_err().to_string().contains("hostnam"));
        // No word of a line is shown: it may be a password.
        for (line, word) in [
            ("pasword = \"geheim\"", "`pasword`"),
            ("password = 47114711", "expected a string"),
            ("password = \"geheim", "line 3"),
            ("password = geheim", "line 3"),
        ] {
            let why = parse(&format!("hostname = \"é.example\"\n[[person]]\n{line}\n"))
                .unwrap_err()
                .to_string();
            assert!(
                why.starts_with("line 3: ")
                    && why.contains(word)
                    && !why.contains("geheim")
                    && !why.contains("4711"),
                "{why}"
            );
        }
        for (wrong, word) in [
            ("domains = [\"a.example\", \"[1.2.3.4]\"]", "no domain name"),
            ("[[person]]\naddress = \"a@b.example\"", "password"),
            ("[[person]]\naddress = \"a@b.example\"\npassword = \"short\"", "at least"),
            ("[[person]]\naddress = \"a@b.example\"\npassword_hash = \"x\"", "password_hash"),
            ("line = \"provider\"", "route"),
        ] {
            let error = apply(&store, &secrets, &parse(wrong).unwrap()).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        assert!(store.read(|r| r.domains()).unwrap().is_empty());
    }
}
