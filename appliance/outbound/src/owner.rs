//! Mail from the box itself into its own mailboxes: notices, and what the owner should know.

use pillarbox_message::encode::{encoded_words, quoted_printable};
use pillarbox_message::head;
use pillarbox_platform::clock;
use pillarbox_store::{
    AccountId, Delivery, Detail, Fate, Flags, FolderId, LedgerRecord, MessageId, Placement, Result,
    ShortCode, Store, fresh_code, off_thread,
};
use pillarbox_texts::in_all;
use pillarbox_vocabulary::Timestamp;

use super::dsn::{self, About, Facts, Returned};
use super::schedule::Dsn;
use super::sender::Outbound;

/// Something the owner should know.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// The provider refused our login: nothing is sent through it.
    ProviderLogin { host: &'a str, user: &'a str, reply: &'a str },
    /// An account sent to more recipients than it may in a day.
    OverLimit { account: &'a str, limit: u32 },
}

impl Message<'_> {
    fn subject(&self) -> String {
        match self {
            Message::ProviderLogin { .. } => {
                in_all(" / ", |language| language.get("owner-login.title").into_owned())
            }
            Message::OverLimit { account, .. } => format!(
                "{account}: {}",
                in_all(" / ", |language| language.get("owner-limit.title").into_owned())
            ),
        }
    }

    fn text(&self) -> String {
        in_all(dsn::SEPARATOR, |language| {
            let text = match self {
                Message::ProviderLogin { host, user, reply } => language
                    .with("owner-login", &[("host", host), ("user", user), ("reply", reply)]),
                Message::OverLimit { account, limit } => language
                    .with("owner-limit", &[("account", account), ("limit", &limit.to_string())]),
            };
            format!("{text}\n")
        })
    }
}

/// Puts a message into the owner's inbox: the first account's.
pub async fn tell_owner(outbound: &Outbound, message: Message<'_>) -> Result<()> {
    let (subject, text) = (message.subject(), message.text());
    let hostname = outbound.hostname();
    let at = outbound.now().at;
    let store = outbound.store.clone();
    let delivery = off_thread(move || {
        let Some((id, account)) = store.read(|r| r.accounts())?.into_iter().next() else {
            return Ok(None);
        };
        letter(&store, &hostname, (id, &account.address), (&subject, &text), at).map(Some)
    })
    .await?;
    match delivery {
        Some(delivery) => outbound.store.deliver(delivery).done().await.map(drop),
        None => Ok(()),
    }
}

/// Tells the owner once a day that an account has reached its limit.
pub async fn tell_of_limit(outbound: &Outbound, account: AccountId, address: &str, limit: u32) {
    let today = outbound.now().at.day();
    if outbound.state().limits_told.insert(account, today) == Some(today) {
        return;
    }
    if let Err(error) = tell_owner(outbound, Message::OverLimit { account: address, limit }).await {
        tracing::error!(%error, "the owner can't be told");
    }
}

/// What happened to recipients with a mailbox here whose sender asked to hear of success (RFC 3461 §5.2.6).
pub struct Arrived<'a> {
    pub sender: &'a str,
    pub code: ShortCode,
    pub envid: &'a str,
    pub subject: &'a str,
    /// Address and original recipient of each.
    pub recipients: Vec<(String, String)>,
}

/// Puts the notice of success into the sender's mailbox.
/// The message itself is stored already: a failure here is logged.
pub async fn tell_delivered(
    outbound: &Outbound,
    message: MessageId,
    account: AccountId,
    arrived: Arrived<'_>,
) {
    let at = outbound.now().at;
    let about = arrived.recipients.into_iter().map(|(address, orcpt)| About {
        address,
        orcpt,
        detail: Detail::found(2, 0, 0, "it is in the mailbox"),
        until: at,
        attempted_at: at,
    });
    let about: Vec<About> = about.collect();
    let header = format!("Subject: {}\r\n", encoded_words(arrived.subject)).into_bytes();
    let text = dsn::build(
        Dsn::Delivered,
        &Facts {
            hostname: &outbound.hostname(),
            sender: arrived.sender,
            subject: arrived.subject,
            code: &arrived.code.to_string(),
            arrived: at,
            envid: arrived.envid,
            about: &about,
            returned: Returned::Header(header),
            now: at,
            unique: getrandom::u64().unwrap_or_default(),
        },
    );
    let delivery =
        delivery(&outbound.store, vec![account], arrived.sender, &text, fresh_code(at), at);
    let told = match delivery {
        Ok(delivery) => outbound
            .store
            .deliver(Delivery { report_on: Some(message), ..delivery })
            .done()
            .await
            .map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = told {
        tracing::error!(%error, "a notice of success can't be written");
    }
}

/// A message of the box for one person's inbox: who it is for, with the address; subject and text.
///
/// # Errors
/// Those of the store.
pub fn letter(
    store: &Store,
    hostname: &str,
    (account, address): (AccountId, &str),
    (subject, text): (&str, &str),
    at: Timestamp,
) -> Result<Delivery> {
    let code = fresh_code(at);
    let header = format!(
        "From: Pillarbox <postmaster@{hostname}>\r\nTo: <{address}>\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{code}@{hostname}>\r\n\
         Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n",
        encoded_words(subject),
        clock::rfc5322(at),
    );
    let whole = [header.as_bytes(), quoted_printable(text).as_bytes()].concat();
    delivery(store, vec![account], address, &whole, code, at)
}

/// A message of the box for some accounts' inboxes.
pub fn delivery(
    store: &Store,
    accounts: Vec<AccountId>,
    to: &str,
    content: &[u8],
    code: ShortCode,
    at: Timestamp,
) -> Result<Delivery> {
    const RETURN_PATH: &[u8] = b"Return-Path: <>\r\n";
    let mut spool = store.spool();
    spool.append(RETURN_PATH)?;
    spool.append(content)?;
    let placements = accounts.into_iter().map(|account| Placement {
        account,
        folder: FolderId::INBOX,
        flags: Flags::default(),
    });
    let record = LedgerRecord {
        recipients: vec![to.to_string()],
        subject: head::facts(content).subject,
        ..LedgerRecord::new(at, Fate::Delivered, code)
    };
    Ok(Delivery::local(spool.finish()?, RETURN_PATH.len() as u16, placements.collect(), record))
}
