//! The owner's settings as a file: exported from one box, laid beside a new one to answer its set-up beforehand.
//!
//! `pillarbox-setup.toml` in the data folder is applied when the server starts, and removed then: it may hold
//! passwords.

use std::io::Read;
use std::path::{Path, PathBuf};

use pillarbox_host::text;
use pillarbox_outbound::ROUTE_PURPOSE;
use pillarbox_outbound::dkim;
use pillarbox_platform::clock;
use pillarbox_platform::config::{Config, Live};
use pillarbox_platform::secrets::Secrets;
use pillarbox_proto::address::{Address, Domain};
use pillarbox_store::{
    AddDomain, AddressTarget, AnyChange, Detail, DeviceId, Route, RouteTls, SetAlias, SetRoute,
    SetSetting, Store,
};
use serde::{Deserialize, Serialize};

use crate::claim;
use crate::directory::{self, Password, USUAL_POLICY};
use crate::error::{Error, Result};
use crate::naming;
use crate::settings::{self, Progress, Step};

/// Its name in the data folder.
pub const FILE: &str = "pillarbox-setup.toml";
/// Octets of such a file.
const OCTETS: usize = 1 << 20;

/// The whole file.
/// Whatever is missing is asked in the browser.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Setup {
    /// The box's name, such as `mail.example.org`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Domains the box takes mail for.
    pub domains: Vec<String>,
    /// Seven characters instead of a code that the box makes up; only counts while nobody owns the box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_code: Option<String>,
    /// `direct`, or `provider` with a route below for everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<Line>,
    /// `authority` (by ACME) or `own`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// True: the pages lead through no further steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<bool>,
    /// The first one is the owner.
    #[serde(rename = "person")]
    pub people: Vec<Person>,
    #[serde(rename = "alias")]
    pub aliases: Vec<Alias>,
    #[serde(rename = "route")]
    pub routes: Vec<SetupRoute>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    Direct,
    Provider,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    Authority,
    Own,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Person {
    pub address: String,
    pub name: String,
    /// In clear, for a first set-up; never exported.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// As exported with `--with-passwords`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password_hash: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alias {
    /// `@example.org` stands for all addresses that have no mailbox.
    pub address: String,
    pub to: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SetupRoute {
    /// Mail to this domain only; empty: all mail.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    pub host: String,
    pub port: u16,
    /// False: TLS from the start; true: STARTTLS.
    pub starttls: bool,
    pub user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
}

/// What an export holds of passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passwords {
    Left,
    /// Hashes of people's passwords, and providers' passwords in clear: for moving to another box.
    Included,
}

/// Reads a file.
/// The error names the line and never shows what stands there: it may be a password, and errors are kept.
pub fn parse(text: &str) -> Result<Setup> {
    toml::from_str(text).map_err(|error| {
        let message = match error.message().split_once(", expected ") {
            Some((found, wanted)) if found.starts_with("invalid") => format!("expected {wanted}"),
            _ => error.message().to_string(),
        };
        let before = error.span().and_then(|span| text.get(..span.start));
        Error::SetupFile {
            line: before.map(|before| before.matches('\n').count() + 1),
            why: message,
        }
    })
}

/// The settings of a box.
pub fn export(store: &Store, secrets: &Secrets, passwords: Passwords) -> Result<Setup> {
    let read = store.read(|r| {
        let accounts = r.accounts()?;
        let credentials =
            accounts.iter().map(|(id, _)| r.credentials(*id)).collect::<Result<Vec<_>, _>>()?;
        let chosen =
            (r.setting(settings::HOSTNAME)?, r.setting(settings::CERTIFICATE)?, Progress::read(r)?);
        Ok((accounts, credentials, r.domains()?, r.addresses()?, r.routes()?, chosen))
    });
    let (accounts, credentials, domains, addresses, routes, (hostname, certificate, progress)) =
        read?;
    let people = accounts.into_iter().zip(credentials).map(|((_, account), credentials)| {
        let main = credentials
            .into_iter()
            .find(|(device, _)| *device == DeviceId::MAIN)
            .map(|(_, c)| c.hash);
        let password_hash = main.filter(|_| passwords == Passwords::Included).unwrap_or_default();
        Person {
            address: account.address,
            name: account.name,
            password: String::new(),
            password_hash,
        }
    });
    let aliases = addresses.into_iter().filter_map(|(address, target)| match target {
        AddressTarget::Alias(to) => Some(Alias { address, to }),
        AddressTarget::Account(_) => None,
    });
    let mut all = Vec::new();
    for (domain, route) in routes {
        let password = match passwords {
            Passwords::Included if !route.user.is_empty() => {
                String::from_utf8_lossy(&secrets.open_sealed(ROUTE_PURPOSE, &route.sealed)?)
                    .into_owned()
            }
            _ => String::new(),
        };
        let starttls = route.tls == RouteTls::StartTls;
        all.push(SetupRoute {
            domain,
            host: route.host,
            port: route.port,
            starttls,
            user: route.user,
            password,
        });
    }
    let is_done = |step| progress.as_ref().is_none_or(|p| p.is_done(step));
    let line =
        if all.iter().any(|route| route.domain.is_empty()) { Line::Provider } else { Line::Direct };
    let certificate = if certificate.as_deref() == Some("acme") {
        Certificate::Authority
    } else {
        Certificate::Own
    };
    Ok(Setup {
        hostname,
        domains,
        claim_code: None,
        line: is_done(Step::Line).then_some(line),
        certificate: is_done(Step::Certificate).then_some(certificate),
        finished: Some(progress.is_none()),
        people: people.collect(),
        aliases: aliases.collect(),
        routes: all,
    })
}

/// Applies settings to a box; what is there already stays, so that the same file does no harm twice.
/// Everything is looked at before anything is changed.
/// Blocks.
pub fn apply(store: &Store, secrets: &Secrets, setup: &Setup) -> Result<()> {
    let changes = plan(secrets, setup)?;
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
        // Somebody's already, and set up: the pages lead through nothing again.
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

fn plan(secrets: &Secrets, setup: &Setup) -> Result<Vec<AnyChange>> {
    let at = clock::now();
    let mut changes = Vec::new();
    if let Some(hostname) = &setup.hostname {
        changes.push(AnyChange::of(SetSetting {
            key: settings::HOSTNAME.into(),
            value: Some(domain(hostname)?),
        }));
    }
    for name in &setup.domains {
        changes.push(AnyChange::of(AddDomain { name: domain(name)?, at }));
    }
    for person in &setup.people {
        let wrong = |why: String| Error::SetupPerson { address: person.address.clone(), why };
        let password = match (&person.password[..], &person.password_hash[..]) {
            ("", "") => return Err(wrong("needs password or password_hash".into())),
            ("", hash) => Password::hashed(hash),
            (password, _) => Password::chosen(password),
        };
        let password =
            password.and_then(Password::prepare).map_err(|why| wrong(why.to_string()))?;
        changes.push(AnyChange::of(directory::person(
            &address(&person.address)?,
            &person.name,
            &password,
            USUAL_POLICY,
            at,
        )));
    }
    for alias in &setup.aliases {
        let from = match alias.address.strip_prefix('@') {
            Some(name) => format!("@{}", domain(name)?),
            None => address(&alias.address)?.canonical(),
        };
        let targets = alias
            .to
            .iter()
            .map(|to| address(to).map(|to| to.canonical()))
            .collect::<Result<Vec<_>, _>>()?;
        changes.push(AnyChange::of(SetAlias { address: from, targets }));
    }
    for route in &setup.routes {
        let stored = Route {
            host: domain(&route.host)?,
            port: if route.port == 0 { if route.starttls { 587 } else { 465 } } else { route.port },
            tls: if route.starttls { RouteTls::StartTls } else { RouteTls::Implicit },
            user: route.user.clone(),
            sealed: secrets.seal(ROUTE_PURPOSE, route.password.as_bytes())?,
            fault: Detail::None,
            told_at: 0,
        };
        let name = if route.domain.is_empty() { String::new() } else { domain(&route.domain)? };
        changes.push(AnyChange::of(SetRoute { domain: name, route: stored }));
    }
    if setup.line == Some(Line::Provider)
        && !setup.routes.iter().any(|route| route.domain.is_empty())
    {
        return Err(Error::NoProvider);
    }
    if let Some(certificate) = setup.certificate {
        let value = (certificate == Certificate::Authority).then(|| "acme".to_string());
        changes.push(AnyChange::of(SetSetting { key: settings::CERTIFICATE.into(), value }));
    }
    Ok(changes)
}

fn domain(text: &str) -> Result<String> {
    match Domain::parse(text.trim()) {
        Ok(domain) if !domain.is_literal() => Ok(domain.to_string()),
        _ => Err(Error::NotADomain { text: text.to_string() }),
    }
}

fn address(text: &str) -> Result<Address> {
    Address::parse(text.trim())
        .map_err(|e| Error::NotAnAddress { text: text.to_string(), why: e.to_string() })
}

/// Where a mistake in the file is told, for who wrote it.
pub fn mistake(data: &Path) -> PathBuf {
    data.join(FILE).with_extension("toml.error")
}

/// Where a file with a mistake is kept.
fn aside(data: &Path) -> PathBuf {
    data.join(FILE).with_extension("toml.wrong")
}

/// Removes a file with a mistake and what was said of it: the box is somebody's, and passwords may stand there.
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
            // What an earlier one was told is old.
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
        // No word of a line is shown: a password may stand there.
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
