//! `pillarbox check`: are the settings usable, is the store whole?

use std::process::ExitCode;

use clap::Args;
use pillarbox_outbound::ROUTE_PURPOSE;
use pillarbox_outbound::dkim;
use pillarbox_platform::secrets::Secrets;
use pillarbox_store::{Access, FolderId, MessageId, QueueKey, Reader, Store};

use super::serve::runtime;
use super::tools::{Place, say};
use crate::server::{examine, store_options};

#[derive(Args)]
pub struct Check {
    /// Also read every message and compare its checksum; takes as long as reading the whole store.
    #[arg(long)]
    full: bool,
    /// Make the index for lists and searching anew.
    #[arg(long)]
    rebuild_index: bool,
}

/// Entries looked at per view of the store, so that a running server can reuse freed pages meanwhile.
const STEP: usize = 1000;

pub fn run(place: &Place, check: &Check) -> Result<ExitCode, String> {
    let config = place.config()?;
    // Looking at addresses needs what the sockets will need.
    runtime()?.block_on(async { examine(&config) })?;
    match place.file() {
        Some(file) => say(&format!("settings  {}: fine", file.display()))?,
        None => say("settings  none, defaults are used")?,
    }
    if !config.data.join("store").exists() {
        say(&format!("store     {}: none yet; the first start makes it", config.data.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let store = Store::open(&config.data, Access::Tool, &store_options(&config))
        .map_err(|e| e.to_string())?;
    if check.rebuild_index {
        let count = pillarbox_office::mail::index::rebuild(&store, &config.data)
            .map_err(|e| e.to_string())?;
        say(&format!("index     made anew from {count} messages"))?;
    }
    let mut faults = Vec::new();
    let accounts = store.read(|r| r.accounts()).map_err(|e| e.to_string())?;
    index_check(&store, &accounts.iter().map(|(id, _)| *id).collect::<Vec<_>>())?;
    let mut messages = 0;
    for (id, account) in &accounts {
        for folder in (1..account.next_folder).map(FolderId) {
            messages += folder_check(&store, *id, folder, check, &mut |fault| {
                faults.push(format!("{}: {fault}", account.address))
            })?;
        }
    }
    let queued = queue_check(&store, check, &mut |fault| faults.push(format!("queue: {fault}")))?;
    secrets_check(&store, &Secrets::open(&config.data)?, &mut |fault| faults.push(fault))?;
    let shown = config.data.display();
    say(&format!(
        "store     {shown}: {} mailboxes, {messages} messages, {queued} recipients in the queue",
        accounts.len()
    ))?;
    for fault in &faults {
        say(&format!("DAMAGED   {fault}"))?;
    }
    if faults.is_empty() {
        say("everything is in order")?;
        return Ok(ExitCode::SUCCESS);
    }
    say(
        "Restore the data folder from a backup, or delete the messages named above; all others are unharmed.",
    )?;
    Ok(ExitCode::from(3))
}

/// Reads the files of the index.
/// One that is damaged is no loss: it is made anew from the messages.
fn index_check(store: &Store, accounts: &[pillarbox_store::AccountId]) -> Result<(), String> {
    let (mut waiting, mut octets, mut faults) = (0, 0, 0);
    for &account in accounts {
        let unindexed =
            store.read(|r| r.unindexed(Some(account), STEP)).map_err(|e| e.to_string())?;
        waiting += unindexed.iter().map(|folder| folder.entries.len()).sum::<usize>();
        match store.check_index(account, &mut || true) {
            Ok(size) => octets += size,
            Err(error) => {
                faults += 1;
                say(&format!("index     {error}"))?;
            }
        }
    }
    let size = format!("{} KB", octets.div_ceil(1024));
    match (faults, waiting) {
        (0, 0) => say(&format!("index     complete, {size}")),
        (0, _) => say(&format!(
            "index     {size}; {waiting} messages wait to be taken in, and searches look at the newest of them themselves"
        )),
        _ => say(
            "index     damaged: no mail is lost; `pillarbox check --rebuild-index` makes it anew, as a running server does once it meets the damage",
        ),
    }
}

/// Walks the queue in steps: every recipient has its message, and every message its content.
fn queue_check(store: &Store, check: &Check, fault: &mut dyn FnMut(String)) -> Result<u64, String> {
    let (mut from, mut count) = (QueueKey { message: MessageId(0), recipient: 0 }, 0);
    loop {
        let page = store.read(|r| r.queue(from, STEP)).map_err(|e| e.to_string())?;
        let Some((last, _)) = page.last() else { return Ok(count) };
        from = QueueKey { message: last.message, recipient: last.recipient + 1 };
        count += page.len() as u64;
        for (key, waiting) in page {
            let found = store.read(|r| {
                // It may have gone out since the page was read.
                if r.waiting(key)?.is_none() {
                    return Ok(None);
                }
                let content = r.content(key.message)?;
                if r.outgoing(key.message)?.is_none() || content.is_none() {
                    return Ok(Some("its message is missing".to_string()));
                }
                match content.filter(|_| check.full) {
                    Some(content) => store.verify(r, &content).map(|()| None),
                    None => Ok(None),
                }
            });
            let found = found.unwrap_or_else(|error| Some(error.to_string()));
            if let Some(why) = found {
                fault(format!("{key} to {}: {why}", waiting.address));
            }
        }
    }
}

/// What is sealed must open with the key that is there.
fn secrets_check(
    store: &Store,
    secrets: &Secrets,
    fault: &mut dyn FnMut(String),
) -> Result<(), String> {
    let (routes, domains) =
        store.read(|r| Ok((r.routes()?, r.domains()?))).map_err(|e| e.to_string())?;
    for (name, route) in routes {
        if secrets.open_sealed(ROUTE_PURPOSE, &route.sealed).is_err() {
            let whole = if name.is_empty() { "everything".to_string() } else { name };
            fault(format!(
                "route of {whole}: its password can't be opened with secret.key; set it anew"
            ));
        }
    }
    for domain in domains {
        for (selector, key) in store.read(|r| r.signing_keys(&domain)).map_err(|e| e.to_string())? {
            if !dkim::opens(secrets, &key) {
                fault(format!(
                    "signing key {selector} of {domain} can't be opened with secret.key; rotate the keys"
                ));
            }
        }
    }
    Ok(())
}

/// Walks one folder in steps, compares its counters, and returns how many messages it holds.
fn folder_check(
    store: &Store,
    account: pillarbox_store::AccountId,
    folder: FolderId,
    check: &Check,
    fault: &mut dyn FnMut(String),
) -> Result<u64, String> {
    let Some(state) = store.read(|r| r.folder(account, folder)).map_err(|e| e.to_string())? else {
        return Ok(0);
    };
    let (mut from, mut count, mut octets) = (1, 0u64, 0u64);
    loop {
        let entries = store.read(|r| {
            let entries = r.entries(account, folder, from, STEP)?;
            for (uid, entry) in &entries {
                if let Err(why) = message_check(store, r, entry, check) {
                    fault(format!("folder {} message {uid}: {why}", folder.0));
                }
            }
            Ok(entries)
        });
        let entries = entries.map_err(|e| e.to_string())?;
        count += entries.len() as u64;
        octets += entries.iter().map(|(_, e)| u64::from(e.octets)).sum::<u64>();
        match entries.last() {
            Some((uid, _)) => from = uid + 1,
            None => break,
        }
    }
    // A running server may have changed the folder between two steps; only a quiet one can be compared.
    let after = store.read(|r| r.folder(account, folder)).map_err(|e| e.to_string())?;
    if after == Some(state) && (count, octets) != (u64::from(state.messages), state.octets) {
        fault(format!("folder {} counts {} messages but holds {count}", folder.0, state.messages));
    }
    Ok(count)
}

fn message_check(
    store: &Store,
    reader: &Reader,
    entry: &pillarbox_store::Entry,
    check: &Check,
) -> Result<(), String> {
    let content = reader
        .content(entry.message)
        .map_err(|e| e.to_string())?
        .ok_or("its content is missing")?;
    if content.octets != u64::from(entry.octets) {
        return Err("its size is not what the mailbox says".into());
    }
    if !check.full {
        return Ok(());
    }
    store.verify(reader, &content).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::server::Server;

    /// What `check` says, and what `serve` says instead of starting, each with its settings from the same file.
    fn said(file: &Path) -> (Result<(), String>, Result<(), String>) {
        let place = Place { file: Some(file.to_path_buf()), data: None };
        let check = Check { full: false, rebuild_index: false };
        let checked = run(&place, &check).map(drop);
        let served = place.config().and_then(|config| {
            let opening = async move { Server::open(config, None).map(drop).map_err(String::from) };
            runtime()?.block_on(opening)
        });
        (checked, served)
    }

    #[test]
    fn what_a_start_refuses_the_check_refuses_in_the_same_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let names = ["box.example".to_string()];
        for pair in ["one", "two"] {
            let (cert, key) = (path(pair).join("cert.pem"), path(pair).join("key.pem"));
            pillarbox_platform::tls::Certificates::open(cert, key, None, &names).unwrap();
        }
        std::fs::write(path("file"), "no certificate, no key\n").unwrap();
        let here = dir.path().display();
        let good = format!("data = \"{here}/data\"\n");
        let silent: String = pillarbox_platform::service::Service::ALL
            .iter()
            .map(|service| format!("{} = []\n", service.name()))
            .collect();
        let listen = |smtp: &str, pop3: &str| {
            let rest = silent.replace("smtp = []\n", "").replace("pop3 = []\n", "");
            format!("{good}[listen]\n{rest}smtp = [{smtp}]\npop3 = [{pop3}]\n")
        };
        let usual = listen("\"127.0.0.1:0\"", "");
        let tls = |certificate: &str, key: &str| {
            format!(
                "{usual}[tls]\ncertificate = \"{here}/{certificate}\"\nkey = \"{here}/{key}\"\n"
            )
        };
        let table = [
            (format!("{usual}[log]\nlevel = \"loud\"\n"), "log.level"),
            (format!("{usual}[tls]\ncertificate = \"{here}/one/cert.pem\"\n"), "tls.key"),
            (tls("gone", "one/key.pem"), "tls.certificate"),
            (tls("one/cert.pem", "gone"), "tls.key"),
            (tls("file", "one/key.pem"), "tls.certificate"),
            (tls("one/cert.pem", "file"), "tls.key"),
            (tls("one/cert.pem", "two/key.pem"), "tls.certificate"),
            (format!("hostname = \"mäil.test\"\n{usual}"), "hostname"),
            ("data = \"\"\n".to_string(), "data"),
            (format!("data = \"{here}/file\"\n"), "data"),
            (format!("data = \"{here}/file/data\"\n"), "data"),
            (listen("\"127.0.0.1:45999\"", "\"127.0.0.1:45999\""), "listen.pop3"),
            (listen("\"127.0.0.1:45999\", \"127.0.0.1:45999\"", ""), "listen.smtp"),
            (listen("\"192.0.2.77:45999\"", ""), "192.0.2.77:45999"),
            (listen("", ""), "[listen]"),
            (format!("{usual}[outbound]\nroots = \"{here}/gone\"\n"), "outbound.roots"),
            (format!("{usual}[outbound]\nroots = \"{here}/file\"\n"), "outbound.roots"),
            (format!("{usual}[dns]\ntrust_anchor = \"{here}/gone\"\n"), "dns.trust_anchor"),
            (format!("{usual}[dns]\ntrust_anchor = \"{here}/file\"\n"), "dns.trust_anchor"),
            (format!("{usual}[timeouts]\nsend = 9223372036854775807\n"), "timeouts.send"),
        ];
        for (text, key) in table {
            std::fs::write(path("settings.toml"), &text).unwrap();
            let (checked, served) = said(&path("settings.toml"));
            let why = checked.expect_err(&text);
            assert!(why.contains(key), "{text}: {why}");
            assert_eq!(served, Err(why), "{text}");
        }
        assert!(!path("data").exists(), "nothing is written before everything was looked at");
        for text in [usual.clone(), tls("one/cert.pem", "one/key.pem")] {
            std::fs::write(path("settings.toml"), &text).unwrap();
            assert_eq!(said(&path("settings.toml")), (Ok(()), Ok(())), "{text}");
        }
    }
}
