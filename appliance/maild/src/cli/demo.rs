//! `pillarbox demo`: the main job with nothing to configure.

use std::path::{Path, PathBuf};

use clap::Args;
use pillarbox_message::encode::encoded_words;
use pillarbox_platform::clock;
use pillarbox_platform::config::Config;
use pillarbox_platform::logging;
use pillarbox_platform::service::Service;
use pillarbox_store::{
    AddAccount, AddDomain, Delivery, Fate, Flags, FolderId, LedgerRecord, MailboxPolicy, Placement,
    SetAlias, Store,
};
use serde_json::json;

use super::serve::runtime;
use super::tools::{say, say_json};
use crate::server::Server;
use pillarbox_office::auth::hash;
use pillarbox_office::code;

/// The sample domain; `.test` is nobody's (RFC 2606).
const DOMAIN: &str = "example.test";
const PEOPLE: [(&str, &str); 2] = [("ann", "Ann Sample"), ("bob", "Bob Sample")];

#[derive(Args)]
pub struct Demo {
    /// Print one JSON object instead of the table, for scripts.
    #[arg(long)]
    json: bool,
    /// Start with a box that is nobody's: prints the claim code, and the pages lead through the set-up.
    #[arg(long)]
    empty: bool,
    /// Keep the data in this folder [default: a temporary one that is removed at the end].
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

pub fn run(demo: &Demo) -> Result<(), String> {
    let temporary = match &demo.directory {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(|e| format!("making a temporary folder: {e}"))?),
    };
    let folder = demo
        .directory
        .clone()
        .or(temporary.as_ref().map(|t| t.path().to_path_buf()))
        .unwrap_or_default();
    std::fs::create_dir_all(&folder).map_err(|e| format!("making {}: {e}", folder.display()))?;
    let folder = folder.canonicalize().map_err(|e| format!("finding {}: {e}", folder.display()))?;
    logging::start(if demo.json { "warn" } else { "info" })?;
    let file = folder.join("pillarbox.toml");
    runtime()?.block_on(async move {
        let config = if file.exists() { Config::read(&file)? } else { free_config(&folder) };
        let server = Server::open(config, Some(file.clone()))?;
        // The ports the system gave are written down, so that `serve` finds the same ones later.
        let config = server.config();
        let text = toml::to_string(&config).map_err(|e| e.to_string())?;
        std::fs::write(&file, text).map_err(|e| format!("writing {}: {e}", file.display()))?;
        if demo.empty {
            say(&unclaimed(&server, &config)?)?;
            return server.run().await;
        }
        let people = people(&server.store(), &folder)?;
        let started = Started {
            server: &server,
            folder: &folder,
            file: &file,
            people: &people,
            config: &config,
        };
        match demo.json {
            true => say_json(&started.json())?,
            false => say(&started.table())?,
        }
        server.run().await
    })
}

/// What a new owner needs.
fn unclaimed(server: &Server, config: &Config) -> Result<String, String> {
    let port = server.port(Service::Http).unwrap_or(0);
    let code = std::fs::read_to_string(config.data.join("claim-code"));
    let code = code.map_err(|_| "this folder's box is somebody's already: leave --empty out, or choose another --directory".to_string())?;
    Ok(format!(
        "Open http://localhost:{port} in a browser.\nThe claim code is {}.\n\nCtrl-C ends it.",
        code.trim()
    ))
}

fn free_config(folder: &Path) -> Config {
    let mut config = Config {
        hostname: "mail.example.test".into(),
        data: folder.join("data"),
        ..Config::default()
    };
    let free = vec![std::net::SocketAddr::from(([127, 0, 0, 1], 0))];
    config.listen.smtp = free.clone();
    config.listen.submission = free.clone();
    config.listen.submissions = free.clone();
    config.listen.pop3 = free.clone();
    config.listen.pop3s = free.clone();
    config.listen.http = free.clone();
    config.listen.https = free;
    // The sample domain is nobody's: its mail must not go out into the world by itself.
    config.outbound.hold = true;
    // Everything comes from this machine, so one address is everybody.
    config.limits.connections_per_address = config.limits.connections;
    config
}

/// Address and password of the sample people: made at the first start, remembered in the demo's folder.
fn people(store: &Store, folder: &Path) -> Result<Vec<(String, String)>, String> {
    let memory = folder.join("demo-passwords.json");
    if let Ok(text) = std::fs::read_to_string(&memory) {
        return serde_json::from_str(&text).map_err(|e| format!("{}: {e}", memory.display()));
    }
    let at = clock::now();
    tokio::task::block_in_place(|| {
        super::tools::change(store, AddDomain { name: DOMAIN.into(), at })?;
        let mut people = Vec::new();
        for (local, name) in PEOPLE {
            let (address, password) = (format!("{local}@{DOMAIN}"), hash::generate()?);
            let hash = hash::password(&password)?;
            let policy = MailboxPolicy::TrashAfter { days: 30 };
            super::tools::change(
                store,
                AddAccount { address: address.clone(), name: name.into(), hash, policy, at },
            )?;
            people.push((address, password));
        }
        let targets = vec![format!("ann@{DOMAIN}"), format!("bob@{DOMAIN}")];
        super::tools::change(store, SetAlias { address: format!("info@{DOMAIN}"), targets })?;
        for sample in samples() {
            deliver(store, &sample)?;
        }
        let text = serde_json::to_string(&people).map_err(|e| e.to_string())?;
        std::fs::write(&memory, text).map_err(|e| format!("writing {}: {e}", memory.display()))?;
        Ok(people)
    })
}

struct Sample {
    to: &'static str,
    from: &'static str,
    subject: &'static str,
    body: &'static str,
}

fn samples() -> [Sample; 3] {
    [
        Sample {
            to: "ann",
            from: "Pillarbox <postmaster@example.test>",
            subject: "Welcome",
            body: "Hello Ann,\r\n\r\nthis mailbox works. Fetch this message with any mail program;\r\nit stays here until you delete it.\r\n",
        },
        Sample {
            to: "ann",
            from: "Bob Sample <bob@example.test>",
            subject: "Grüße aus dem Büro",
            body: "Hallo Ann, der Termin am Montag steht.\r\n.\r\nThe line above is a single dot, and it came through.\r\n",
        },
        Sample {
            to: "bob",
            from: "Pillarbox <postmaster@example.test>",
            subject: "Welcome",
            body: "Hello Bob,\r\n\r\nthis mailbox works.\r\n",
        },
    ]
}

fn deliver(store: &Store, sample: &Sample) -> Result<(), String> {
    let code = code::fresh();
    let date = clock::rfc5322(clock::now());
    let content = format!(
        "Return-Path: <>\r\nFrom: {}\r\nTo: {}@{DOMAIN}\r\nSubject: {}\r\nDate: {date}\r\nMessage-ID: <{code}@{DOMAIN}>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}",
        sample.from,
        sample.to,
        encoded_words(sample.subject),
        sample.body
    );
    let mut spool = store.spool();
    spool.append(content.as_bytes()).map_err(|e| e.to_string())?;
    let address = format!("{}@{DOMAIN}", sample.to);
    let account = store
        .read(|r| r.account(&address))
        .map_err(|e| e.to_string())?
        .ok_or("the sample account is gone")?
        .0;
    let content = spool.finish().map_err(|e| e.to_string())?;
    let placements = vec![Placement { account, folder: FolderId::INBOX, flags: Flags::default() }];
    let record = LedgerRecord {
        recipients: vec![address],
        subject: sample.subject.into(),
        ..LedgerRecord::new(clock::now(), Fate::Delivered, code)
    };
    let delivery = Delivery::local(content, "Return-Path: <>\r\n".len() as u16, placements, record);
    store.deliver(delivery).wait().map(drop).map_err(|e| e.to_string())
}

struct Started<'a> {
    server: &'a Server,
    folder: &'a Path,
    file: &'a Path,
    people: &'a [(String, String)],
    config: &'a Config,
}

impl Started<'_> {
    fn port(&self, service: Service) -> u16 {
        self.server.port(service).unwrap_or(0)
    }

    fn json(&self) -> serde_json::Value {
        let ports = Service::ALL.into_iter().map(|s| (s.name().to_string(), json!(self.port(s))));
        let accounts: Vec<_> = self
            .people
            .iter()
            .map(|(address, password)| json!({"address": address, "password": password}))
            .collect();
        json!({
            "host": "127.0.0.1",
            "ports": ports.collect::<serde_json::Map<_, _>>(),
            "domain": DOMAIN,
            "tls_name": "localhost",
            "ca": self.config.tls_files().0,
            "accounts": accounts,
            "data": self.config.data,
            "config": self.file,
            "pid": std::process::id(),
        })
    }

    fn table(&self) -> String {
        let (ca, port) = (self.config.tls_files().0, |s| self.port(s));
        let (ca, (user, password)) = (shell_word(&ca), &self.people[0]);
        let mut text =
            format!("Pillarbox is running on this machine, in {}.\n\n", self.folder.display());
        for (service, what) in [
            (Service::Smtp, "mail from other servers (SMTP, STARTTLS)"),
            (Service::Submission, "sending mail (STARTTLS, login)"),
            (Service::Submissions, "sending mail (TLS, login)"),
            (Service::Pop3, "fetching mail (POP3, STLS)"),
            (Service::Pop3s, "fetching mail (POP3 over TLS)"),
            (Service::Http, "the box's pages"),
            (Service::Https, "the box's pages under TLS"),
        ] {
            text.push_str(&format!(
                "  127.0.0.1:{:<6} {:<12} {what}\n",
                port(service),
                service.name()
            ));
        }
        text.push_str("\n  user name (the full address)  password\n");
        for (address, password) in self.people {
            text.push_str(&format!("  {address:<28}  {password}\n"));
        }
        let bob = format!("bob@{DOMAIN}");
        // Whoever came here by cargo has no program of that name on their path.
        let program = std::env::current_exe().unwrap_or_else(|_| "pillarbox".into());
        let command = format!("{} --config {}", shell_word(&program), shell_word(self.file));
        text.push_str(&format!(
            "\nOpen http://localhost:{} in a browser and sign in as {user}: she is the owner.\n\
             \nTry it in another terminal:\n\
             \n  # Fetch Ann's first message over TLS\n  curl --cacert {ca} --user {user}:{password} pop3s://localhost:{}/1\n\
             \n  # Send a message to Ann as another server would\n  printf 'Subject: Hello\\r\\n\\r\\nIt works.\\r\\n' | curl --url smtp://localhost:{} --mail-from someone@example.net --mail-rcpt {user} --upload-file -\n\
             \n  # Send a message from Ann to Bob as a mail program would\n  printf 'From: {user}\\r\\nTo: {bob}\\r\\nSubject: Hello\\r\\n\\r\\nHello Bob.\\r\\n' | curl --ssl-reqd --cacert {ca} --user {user}:{password} --url smtp://localhost:{} --mail-from {user} --mail-rcpt {bob} --upload-file -\n\
             \n  # Mail to other servers is held in this demo; see it\n  {command} queue list\n\
             \n  # Ask what happened\n  {command} ledger find --address {user}\n\
             \nCtrl-C ends it.",
            port(Service::Http),
            port(Service::Pop3s),
            port(Service::Smtp),
            port(Service::Submission),
        ));
        text
    }
}

/// A path as a POSIX shell takes it for one word (XCU 2.2.2): as it is, or in single quotes where it holds more than
/// letters, digits and `/._-`.
fn shell_word(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = path.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c));
    if is_plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_path_is_one_word_for_the_shell() {
        for path in
            ["/tmp/pillarbox/target/pillarbox", "/srv/my mail/it's $HOME; `id` \"here\"/pillarbox"]
        {
            let said = std::process::Command::new("sh")
                .arg("-c")
                .arg(format!("printf %s {}", shell_word(Path::new(path))))
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), path);
        }
        assert_eq!(
            shell_word(Path::new("/tmp/.tmpQx/pillarbox.toml")),
            "/tmp/.tmpQx/pillarbox.toml"
        );
    }
}
