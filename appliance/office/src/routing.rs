//! The MTA role on port 25: for whom is mail taken from the world?
//! (RFC 5321 §3.3, §3.6)

use std::net::IpAddr;

use pillarbox_host::net;
use pillarbox_platform::clock;
use pillarbox_platform::config::Config;
use pillarbox_proto::reply::{Enhanced, Reply};
use pillarbox_proto::smtp::ForwardPath;
use pillarbox_store::{
    AccountId, Detail, Fate, LedgerRecord, MessageId, Reader, Resolution, Result, ShortCode, Store,
    SubAddresses, domain_of, term,
};

use crate::settings;

/// Where a recipient's mail goes, or why it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// To these mailboxes.
    Local(Vec<AccountId>),
    /// No mailbox here has this address.
    NoSuchAddress,
    /// The address is elsewhere.
    Elsewhere,
    /// The box has no mailbox at all yet.
    NotSetUp,
}

/// What of the settings matters for who gets mail.
#[derive(Clone, Debug)]
pub struct House {
    /// The box's own name, which need not be a domain that has mail.
    pub hostname: String,
    pub sub_addresses: SubAddresses,
}

impl House {
    pub fn of(config: &Config) -> House {
        let sub_addresses = if config.sub_addresses { SubAddresses::On } else { SubAddresses::Off };
        House { hostname: config.hostname(), sub_addresses }
    }
}

/// Looks a recipient up.
/// `postmaster` of the box, by its name or without one, and of each of its domains always reaches a person (RFC 5321
/// §4.5.1): its own mailbox or alias, else the first account, which is the owner's.
pub fn route(reader: &Reader, house: &House, path: &ForwardPath) -> Result<Routing> {
    let (address, is_postmaster) = match path {
        ForwardPath::Address(address) => {
            (address.canonical(), address.local().eq_ignore_ascii_case("postmaster"))
        }
        ForwardPath::Postmaster => return postmaster(reader),
    };
    match reader.resolve_with(&address, house.sub_addresses)? {
        Resolution::Accounts(accounts) => Ok(Routing::Local(accounts)),
        Resolution::NoSuchAddress if is_postmaster => owner(reader),
        Resolution::NoSuchAddress => Ok(Routing::NoSuchAddress),
        Resolution::OtherDomain
            if is_postmaster && is_this_box(reader, house, domain_of(&address))? =>
        {
            postmaster(reader)
        }
        Resolution::OtherDomain => Ok(Routing::Elsewhere),
    }
}

/// Looks a recipient up as [`route`] does, off the async threads.
pub async fn find(store: &Store, settings: &Config, path: ForwardPath) -> Result<Routing> {
    let house = House::of(settings);
    store.read_off_thread(move |reader| route(reader, &house, &path)).await
}

/// The same for several, in one read of the store.
pub async fn find_all(
    store: &Store,
    settings: &Config,
    paths: Vec<ForwardPath>,
) -> Result<Vec<(Routing, ForwardPath)>> {
    let house = House::of(settings);
    store
        .read_off_thread(move |reader| {
            paths.into_iter().map(|path| Ok((route(reader, &house, &path)?, path))).collect()
        })
        .await
}

/// Notes a refusal in the ledger, beside everything else.
pub fn note_refusal(
    store: &Store,
    code: ShortCode,
    peer: IpAddr,
    sender: &str,
    recipients: Vec<String>,
    reply: &Reply,
) {
    store.note(LedgerRecord {
        peer: Some(peer),
        sender: sender.to_string(),
        recipients,
        detail: Detail::Answer { code: reply.code, text: reply.lines.join(" ") },
        ..LedgerRecord::new(clock::now(), Fate::Refused, code)
    });
}

/// Whether a domain is the box itself: its name, or one of its addresses as a literal (RFC 5321 §4.1.3), the one that
/// the world sees included.
fn is_this_box(reader: &Reader, house: &House, domain: &str) -> Result<bool> {
    let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return Ok(domain.eq_ignore_ascii_case(&house.hostname));
    };
    let text = literal
        .get(..5)
        .filter(|tag| tag.eq_ignore_ascii_case("IPv6:"))
        .map_or(literal, |tag| &literal[tag.len()..]);
    let Ok(address) = text.parse::<IpAddr>() else { return Ok(false) };
    let public =
        reader.setting(settings::PUBLIC_ADDRESS)?.and_then(|public| public.parse::<IpAddr>().ok());
    Ok(public == Some(address) || net::own().contains(&address))
}

/// The box's own postmaster: that of its first domain.
fn postmaster(reader: &Reader) -> Result<Routing> {
    let Some(domain) = reader.domains()?.into_iter().next() else { return owner(reader) };
    match reader.resolve(&format!("postmaster@{domain}"))? {
        Resolution::Accounts(accounts) => Ok(Routing::Local(accounts)),
        Resolution::NoSuchAddress | Resolution::OtherDomain => owner(reader),
    }
}

fn owner(reader: &Reader) -> Result<Routing> {
    let first = reader.accounts()?.first().map(|(id, _)| *id);
    Ok(first.map_or(Routing::NotSetUp, |id| Routing::Local(vec![id])))
}

/// The reply to a recipient that is not taken; `code` leads to the ledger.
pub fn refusal(routing: &Routing, address: &str, code: &str) -> Reply {
    match routing {
        Routing::Local(_) => Reply::new(250, Enhanced(2, 1, 5), "Ok"),
        Routing::NoSuchAddress => Reply::new(
            550,
            Enhanced(5, 1, 1),
            format!("Nobody here has the address <{address}>; check the spelling ({code})"),
        ),
        Routing::Elsewhere => Reply::new(
            550,
            Enhanced(5, 7, 1),
            format!(
                "This server takes no mail for <{address}>: its domain is not served here, and relaying needs a login on port 587 or 465 ({code})"
            ),
        ),
        Routing::NotSetUp => Reply::new(
            450,
            Enhanced(4, 2, 1),
            format!("This mail box is not set up yet; try again later ({code})"),
        ),
    }
}

/// Most ids in a notice that are looked up.
const NAMED_IDS: usize = 8;

/// The message of ours that a notice with the null reverse-path is about: by the Message-ID in what came back, or by
/// the envelope identifier that we gave along (RFC 3464 §2.2.1).
/// `content` is its front part.
pub fn report_on(
    reader: &Reader,
    content: &[u8],
    recipients: &[String],
) -> Result<Option<MessageId>> {
    let (ids, codes) = named(content);
    let is_ours = |sender: &str| recipients.iter().any(|r| r.eq_ignore_ascii_case(sender));
    let terms = ids
        .iter()
        .map(|id| term("message-id", id))
        .chain(codes.iter().map(|code| term("code", &code.to_string())));
    for wanted in terms {
        let found = reader.ledger_find(Some(wanted), 1, |_, record| {
            // An acceptance names no other message.
            record.messages.is_empty()
                && matches!(record.fate, Fate::Queued | Fate::Delivered)
                && record.terms().binary_search(&wanted).is_ok()
                && is_ours(&record.sender)
        })?;
        if let Some((place, _)) = found.first() {
            return Ok(Some(MessageId(place.0)));
        }
    }
    Ok(None)
}

/// Message-IDs (but for the notice's own) and envelope identifiers in a notice.
fn named(content: &[u8]) -> (Vec<String>, Vec<ShortCode>) {
    let (mut ids, mut codes) = (Vec::new(), Vec::new());
    let mut in_own_header = true;
    let mut wants_value = false;
    for line in content.split(|&b| b == b'\n') {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        in_own_header &= !line.is_empty();
        if in_own_header {
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or(("", &line));
        let is_id = name.trim().eq_ignore_ascii_case("message-id");
        if is_id || wants_value {
            wants_value = is_id && value.trim().is_empty();
            let id = value.trim().trim_start_matches('<').split('>').next().unwrap_or_default();
            if !id.is_empty() && ids.len() < NAMED_IDS {
                ids.push(id.to_string());
            }
        } else if name.trim().eq_ignore_ascii_case("original-envelope-id")
            && codes.len() < NAMED_IDS
        {
            codes.extend(value.trim().parse::<ShortCode>());
        }
    }
    (ids, codes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pillarbox_store::{
        Access, AddAccount, AddDomain, MailboxPolicy, Options, SetAlias, SetSetting,
    };
    use pillarbox_vocabulary::{Address, Timestamp};

    /// A store with a domain, and who gets mail in it.
    struct World {
        store: Store,
        _dir: tempfile::TempDir,
    }

    impl World {
        fn empty() -> World {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), Access::Server, &Options::default()).unwrap();
            World { store, _dir: dir }
        }

        /// Ann, who is the owner, Bob, and one with a plus sign in the address.
        fn with_people() -> World {
            let world = World::empty();
            let domain = AddDomain { name: "example.test".into(), at: Timestamp(1) };
            world.store.change(domain).wait().unwrap();
            for name in ["ann", "bob", "c+d"] {
                let add = AddAccount {
                    address: format!("{name}@example.test"),
                    name: name.into(),
                    hash: "x".into(),
                    policy: MailboxPolicy::Keep,
                    at: Timestamp(1),
                };
                world.store.change(add).wait().unwrap();
            }
            world
        }

        fn alias(&self, address: &str, target: &str) {
            let alias = SetAlias { address: address.into(), targets: vec![target.into()] };
            self.store.change(alias).wait().unwrap();
        }

        fn path(&self, path: &ForwardPath, sub_addresses: SubAddresses) -> Routing {
            let house = House { hostname: "Mail.example.test".into(), sub_addresses };
            self.store.read(|r| route(r, &house, path)).unwrap()
        }

        fn to(&self, address: &str, sub_addresses: SubAddresses) -> Routing {
            self.path(&ForwardPath::Address(Address::parse(address).unwrap()), sub_addresses)
        }

        fn on(&self, address: &str) -> Routing {
            self.to(address, SubAddresses::On)
        }

        fn is(&self, name: &str) -> Routing {
            let accounts = self.store.read(|r| r.accounts()).unwrap();
            let address = format!("{name}@example.test");
            let found = accounts.iter().find(|(_, account)| account.address == address);
            Routing::Local(vec![found.unwrap().0])
        }
    }

    #[test]
    fn postmaster_of_the_box_reaches_a_person() {
        assert_eq!(World::empty().on("postmaster@mail.example.test"), Routing::NotSetUp);
        let world = World::with_people();
        for address in [
            "postmaster@mail.example.test", "PostMaster@MAIL.example.test",
            "postmaster@example.test",
        ] {
            assert_eq!(world.on(address), world.is("ann"), "{address}");
        }
        assert_eq!(world.path(&ForwardPath::Postmaster, SubAddresses::On), world.is("ann"));
        for address in
            ["ann@mail.example.test", "postmaster@other.test", "postmaster+x@mail.example.test"]
        {
            assert_eq!(world.on(address), Routing::Elsewhere, "{address}");
        }
    }

    #[test]
    fn postmaster_is_reached_at_the_addresses_of_the_box() {
        let world = World::with_people();
        let public =
            SetSetting { key: settings::PUBLIC_ADDRESS.into(), value: Some("203.0.113.9".into()) };
        world.store.change(public).wait().unwrap();
        for (address, is_ours) in [
            ("postmaster@[203.0.113.9]", true),
            ("postmaster@[127.0.0.1]", true),
            ("postmaster@[198.51.100.7]", false),
            ("ann@[203.0.113.9]", false),
        ] {
            let expected = if is_ours { world.is("ann") } else { Routing::Elsewhere };
            assert_eq!(world.on(address), expected, "{address}");
        }
    }

    #[test]
    fn details_after_a_plus_sign_reach_their_address() {
        let world = World::with_people();
        let (on, is) = (|address: &str| world.on(address), |name: &str| world.is(name));
        assert_eq!(
            (on("bob+shop@example.test"), on("Bob+a+b@Example.test"), on("c+d@example.test")),
            (is("bob"), is("bob"), is("c+d"))
        );
        assert_eq!(
            (on("nobody+x@example.test"), on("+bob@example.test")),
            (Routing::NoSuchAddress, Routing::NoSuchAddress)
        );
        assert_eq!(world.to("bob+shop@example.test", SubAddresses::Off), Routing::NoSuchAddress);
        // An alias has details, too, and the catch-all gets what is unclaimed even so.
        world.alias("info@example.test", "bob@example.test");
        world.alias("@example.test", "ann@example.test");
        assert_eq!(
            (on("info+x@example.test"), on("bob+y@example.test"), on("nobody+x@example.test")),
            (is("bob"), is("bob"), is("ann"))
        );
        assert_eq!(world.to("bob+y@example.test", SubAddresses::Off), is("ann"));
    }

    #[test]
    fn what_a_notice_is_about_is_found_in_what_came_back() {
        let notice = b"From: MAILER-DAEMON\r\nMessage-ID: <own@mx>\r\n\r\n--b\r\nOriginal-Envelope-Id: 0000007\r\n\r\n--b\r\n\r\nmessage-id: <a@box>\r\nMessage-ID:\r\n <b@box>\r\n";
        assert_eq!(
            named(notice),
            (vec!["a@box".to_string(), "b@box".to_string()], vec![ShortCode(7)])
        );
        assert_eq!(named(b"\xff\r\n\r\nMessage-ID: \r\n"), (vec![], vec![]));
        assert_eq!(named(&b"x\r\n\r\nMessage-ID: <c@d>\r\n".repeat(100)).0.len(), NAMED_IDS);
    }
}
