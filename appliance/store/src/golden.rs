//! Golden octets: what each kind of row looks like on disk, and what tables are called there.
//! If one of these tests fails, the format has changed: that needs a new version number and a migration step, not a new
//! expectation.

use std::net::IpAddr;

use pillarbox_vocabulary::{ShortCode, Timestamp};
use proptest::prelude::*;
use roaring::RoaringBitmap;

use crate::contacts::Contact;
use crate::content::{ContentHead, ContentKey, Location};
use crate::directory::{Account, AddressTarget, Credential, DomainRecord, MailboxPolicy};
use crate::engine::codec::{Cursor, FixedKey, Record};
use crate::engine::table::declared::Declared;
use crate::ids::{
    AccountId, BlobId, DayKey, DestinationId, DeviceId, DeviceKey, FolderId, FolderKey, MessageId,
};
use crate::index::{Card, Places};
use crate::ledger::detail::{Detail, RemoteReply, Status};
use crate::ledger::{Fate, LedgerRecord, Service, TermKey};
use crate::lessons::Lesson;
use crate::mailbox::{
    Entry, Flags, FolderName, FolderState, Judgement, MailKey, SpecialUse, Timed, UidSet, View,
};
use crate::queue::{
    AgendaKey, DestinationKey, Hold, Notices, Outgoing, QueueKey, QueueState, ReportKey, Traits,
    Transcript, Waiting,
};
use crate::sending::{KeyKind, Route, RouteTls, SigningKey, StsPolicy};
use crate::sessions::{OneTimeLink, SecondFactor, SignIn, WebSession};
use crate::settings::Setting;
use crate::statistics::Hour;
use crate::tables::{Tables, check_all};

fn golden<T: Record + PartialEq + std::fmt::Debug>(value: T, hex: &str) {
    let written: String = value.encode().iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(written, hex.replace(' ', ""), "{value:?}");
    assert_eq!(T::decode(&value.encode()).unwrap(), value);
}

/// The octets of a row in an older version.
fn octets_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter(|digit| *digit != b' ')
        .map(|digit| (digit as char).to_digit(16).unwrap() as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn rows_of_the_directory() {
    let account = Account {
        address: "a@b".into(),
        name: "A".into(),
        created: Timestamp(7),
        policy: MailboxPolicy::TrashAfter { days: 30 },
        next_device: 1,
        next_folder: 16,
    };
    golden(account, "01 03614062 0141 0000000000000007 01 001e 0001 00000010");
    golden(
        Credential { label: "x".into(), hash: "$h".into(), created: Timestamp(1) },
        "01 0178 022468 0000000000000001",
    );
    golden(DomainRecord { created: Timestamp(2) }, "01 0000000000000002");
    golden(AddressTarget::Account(AccountId(9)), "01 00 00000009");
    golden(AddressTarget::Alias(vec!["c@d".into()]), "01 01 01 03634064");
    let session = WebSession {
        account: AccountId(9),
        form_token: "f".into(),
        created: Timestamp(1),
        seen: Timestamp(2),
        agent: "a".into(),
    };
    golden(session, "01 00000009 0166 0000000000000001 0000000000000002 0161");
}

#[test]
fn rows_of_the_owner() {
    golden(Setting("x".into()), "01 0178");
    golden(
        OneTimeLink { account: AccountId(9), expires: Timestamp(5) },
        "01 00000009 0000000000000005",
    );
    golden(
        SecondFactor { sealed: vec![7], recovery: vec!["r".into()], last_step: 3 },
        "01 0107 01 0172 0000000000000003",
    );
    let sign_in = SignIn {
        peer: IpAddr::from([192, 0, 2, 1]),
        service: Service::Web,
        device: "d".into(),
        is_accepted: true,
    };
    golden(sign_in, "01 04c0000201 03776562 0164 01");
    let hour = Hour {
        delivered: 1,
        relayed: 2,
        refused: 3,
        bounced: 4,
        queued: 5,
        oldest: 300,
        disk: 6,
        ledger: 7,
    };
    golden(hour, "01 01 02 03 04 05 ac02 06 07");
}

#[test]
fn rows_for_lists_and_searching() {
    let card = Card {
        from_name: "A".into(),
        from: "a".into(),
        to: "b".into(),
        recipients: 2,
        subject: "s".into(),
        preview: "p".into(),
        date: Timestamp(7),
        attachments: 1,
        conversation: 9,
    };
    golden(card, "01 0141 0161 0162 0173 0170 02 07 01 0000000000000009");
    golden(Timed { due: Timestamp(7), uid: 5 }, "01 0000000000000007 00000005");
    let contact = Contact {
        name: "A".into(),
        note: "n".into(),
        written: 3,
        last: Timestamp(7),
        is_kept: true,
    };
    golden(contact, "01 0141 016e 03 07 01");
    golden(Judgement { is_junk: true, at: Timestamp(7) }, "01 01 07");
    let lesson = Lesson { is_unwanted: true, is_said: true, features: vec![5, 6] };
    golden(lesson, "01 03 02 0506");
    golden(Places(vec![(FolderId(1), 5), (FolderId(4), 300)]), "01 01 05 04 ac02");
}

#[test]
fn rows_of_mailboxes() {
    let entry = Entry {
        message: MessageId(1),
        unique_id: 2,
        octets: 3,
        saved_at: Timestamp(4),
        flags: Flags::SEEN,
        modseq: 5,
        keywords: 300,
    };
    golden(
        entry,
        "02 0000000000000001 0000000000000002 00000003 0000000000000004 0001 0000000000000005 ac02",
    );
    // Version 1 had no keywords, and is still read.
    let old = [&[1][..], &entry.encode()[1..entry.encode().len() - 2]].concat();
    assert_eq!(Entry::decode(&old).unwrap(), Entry { keywords: 0, ..entry });
    let state = FolderState {
        uid_validity: 1,
        next_uid: 2,
        messages: 3,
        unseen: 4,
        octets: 5,
        modseq: 6,
        live_below: 7,
    };
    golden(
        state,
        "01 00000001 00000002 00000003 00000004 00000007 0000000000000005 0000000000000006",
    );
    golden(FolderName { name: "INBOX".into(), special_use: None }, "02 05494e424f58 00");
    golden(FolderName { name: "A".into(), special_use: Some(SpecialUse::Archive) }, "02 0141 01");
    assert_eq!(FolderName::decode(&[1, 1, b'A']).unwrap().special_use, None);
    golden(
        UidSet(RoaringBitmap::from_iter([1, 5])),
        "01 3a300000 01000000 0000 0100 10000000 0100 0500",
    );
    let view = View { hidden_octets: 9, hidden: RoaringBitmap::from_iter([2]) };
    golden(view, "01 0000000000000009 3a300000 01000000 0000 0000 10000000 0200");
}

#[test]
fn rows_of_content_and_ledger() {
    let inline = Location::Inline { parts: 2, tail: b"xy".to_vec() };
    let head = ContentHead {
        received_at: Timestamp(1),
        octets: 2,
        crc32: 3,
        delivery_octets: 4,
        location: inline,
    };
    golden(head.clone(), "02 0000000000000001 0000000000000002 00000003 0004 00 0002 7879");
    let file = |prefix: &[u8]| ContentHead {
        location: Location::File { blob: BlobId(255), prefix: prefix.to_vec() },
        ..head.clone()
    };
    golden(file(b""), "02 0000000000000001 0000000000000002 00000003 0004 01 00000000000000ff");
    golden(
        file(b"xy"),
        "02 0000000000000001 0000000000000002 00000003 0004 01 00000000000000ff 7879",
    );
    let journal =
        ContentHead { location: Location::Journal { segment: 7, offset: 258 }, ..head.clone() };
    golden(
        journal,
        "02 0000000000000001 0000000000000002 00000003 0004 02 0000000000000007 00000102",
    );
    // Version 1 knew no place in the journal, and is still read.
    let old = [&[1][..], &head.encode()[1..]].concat();
    assert_eq!(ContentHead::decode(&old).unwrap(), head);
    let record = LedgerRecord {
        peer: Some(IpAddr::from([192, 0, 2, 1])),
        sender: "a@b".into(),
        recipients: vec!["c@d".into()],
        subject: "S".into(),
        detail: Detail::text("D"),
        service: Some(Service::Web),
        messages: vec![5, 300],
        message_id: "m".into(),
        ..LedgerRecord::new(Timestamp(1), Fate::Delivered, ShortCode(2))
    };
    golden(
        record.clone(),
        "03 0000000000000001 01 00000002 04 c0000201 03614062 01 03634064 0153 010144 04 02 05 a702 016d",
    );
    // Version 2 had a text for detail and service, version 1 had no Message-ID either.
    // Both are still read.
    let old = "02 0000000000000001 01 00000002 04 c0000201 03614062 01 03634064 0153 0144 02 05 a702 016d";
    let record = LedgerRecord { service: None, ..record };
    assert_eq!(LedgerRecord::decode(&octets_of(old)).unwrap(), record);
    let oldest =
        "01 0000000000000001 01 00000002 04 c0000201 03614062 01 03634064 0153 0144 02 05 a702";
    assert_eq!(
        LedgerRecord::decode(&octets_of(oldest)).unwrap(),
        LedgerRecord { message_id: String::new(), ..record }
    );
    // "webmail" was the word for a deletion over the pages.
    let deleted = "02 0000000000000001 09 00000002 00 00 00 00 07 7765626d61696c 00 00";
    let expected = LedgerRecord {
        service: Some(Service::Web),
        ..LedgerRecord::new(Timestamp(1), Fate::Deleted, ShortCode(2))
    };
    assert_eq!(LedgerRecord::decode(&octets_of(deleted)).unwrap(), expected);
}

#[test]
fn details_in_records() {
    let status = Status { class: 5, subject: 1, detail: 300 };
    let reply = |status| RemoteReply { host: "h".into(), code: 550, status, text: "x".into() };
    for (detail, hex) in [
        (Detail::None, "00"),
        (Detail::text("x"), "01 0178"),
        (Detail::Reply(reply(Some(status))), "02 0168 0226 05 01 ac02 0178"),
        (Detail::ReplyTooLate(reply(None)), "03 0168 0226 00 0178"),
        (Detail::Found { status, text: "x".into() }, "04 05 01 ac02 0178"),
        (Detail::GivenUp(None), "05"),
        (Detail::GivenUp(Some(Box::new(Detail::text("x")))), "06 01 0178"),
        (Detail::Removed, "07"),
        (Detail::Device("x".into()), "08 0178"),
        (Detail::AccountPassword, "09"),
        (Detail::Answer { code: 550, text: "x".into() }, "0a 0226 0178"),
        (Detail::NotWritten(300), "0b ac02"),
        (Detail::Draft, "0c"),
        (Detail::Trash, "0d"),
    ] {
        let record =
            LedgerRecord { detail, ..LedgerRecord::new(Timestamp(1), Fate::Queued, ShortCode(2)) };
        golden(record, &format!("03 0000000000000001 03 00000002 00 00 00 00 {hex} 00 00 00"));
    }
}

#[test]
fn rows_of_the_queue() {
    let outgoing = Outgoing {
        account: Some(AccountId(3)),
        code: ShortCode(2),
        sender: "a@b".into(),
        arrived: Timestamp(1),
        traits: Traits::EIGHT_BIT.with(Traits::REQUIRE_TLS),
        envid: "e".into(),
        subject: "S".into(),
        signature: b"d".to_vec(),
        remaining: 4,
    };
    golden(outgoing, "01 00000003 00000002 03614062 0000000000000001 0005 0165 0153 0164 00000004");
    let waiting = Waiting {
        address: "c@d".into(),
        domain: "d".into(),
        notices: Notices::ASKED.with(Notices::DELAY),
        orcpt: String::new(),
        state: QueueState::Held(Hold::Login),
        due: Timestamp(5),
        since: Timestamp(6),
        attempts: 300,
        is_delay_told: true,
        last_at: Timestamp(7),
        last: Detail::text("L"),
        transcript: Some(0),
    };
    let hex = "02 03634064 0164 0c 00 03 0000000000000005 0000000000000006 ac02 01 0000000000000007 01014c 01";
    golden(waiting.clone(), hex);
    let old = "01 03634064 0164 0c 00 03 0000000000000005 0000000000000006 ac02 01 0000000000000007 014c 01";
    assert_eq!(Waiting::decode(&octets_of(old)).unwrap(), waiting);
    golden(Transcript { at: Timestamp(1), text: "T".into() }, "01 0000000000000001 0154");
    let route = Route {
        host: "h".into(),
        port: 465,
        tls: RouteTls::Implicit,
        user: "u".into(),
        sealed: vec![9],
        fault: Detail::None,
        told_at: Timestamp(1),
    };
    golden(route.clone(), "02 0168 01d1 00 0175 0109 00 0000000000000001");
    assert_eq!(
        Route::decode(&octets_of("01 0168 01d1 00 0175 0109 00 0000000000000001")).unwrap(),
        route
    );
    let stopped = "01 0168 01d1 00 0175 0109 07 342e372e392078 0000000000000001";
    assert_eq!(
        Route::decode(&octets_of(stopped)).unwrap(),
        Route { fault: Detail::found(4, 7, 9, "x"), ..route }
    );
    let key = SigningKey {
        kind: KeyKind::Ed25519,
        sealed: vec![8],
        public: "p".into(),
        created: Timestamp(1),
        retired: Some(Timestamp(2)),
    };
    golden(key, "01 01 0108 0170 0000000000000001 0000000000000002");
    golden(
        StsPolicy { id: "i".into(), text: "t".into(), expires: Timestamp(3) },
        "01 0169 0174 0000000000000003",
    );
}

fn octets<K: FixedKey>(key: K) -> Vec<u8> {
    let mut out = Vec::new();
    key.write(&mut out);
    assert_eq!(out.len(), K::WIDTH);
    out
}

fn sorts_and_returns<K: FixedKey + Ord + std::fmt::Debug>(a: K, b: K) {
    assert_eq!(a.cmp(&b), octets(a).cmp(&octets(b)));
    assert_eq!(K::read(&mut Cursor(&octets(a))), Some(a));
}

proptest! {
    #[test]
    fn keys_sort_as_their_octets(a in any::<(u32, u32, u32, u64, u64, u16)>(), b in any::<(u32, u32, u32, u64, u64, u16)>()) {
        let mail = |t: (u32, u32, u32, u64, u64, u16)| MailKey::new(AccountId(t.0), FolderId(t.1), t.2);
        sorts_and_returns(mail(a), mail(b));
        let content = |t: (u32, u32, u32, u64, u64, u16)| ContentKey { message: MessageId(t.3), part: t.5 };
        sorts_and_returns(content(a), content(b));
        let device = |t: (u32, u32, u32, u64, u64, u16)| DeviceKey { account: AccountId(t.0), device: DeviceId(t.5) };
        sorts_and_returns(device(a), device(b));
        let day = |t: (u32, u32, u32, u64, u64, u16)| DayKey { account: AccountId(t.0), day: t.1 };
        sorts_and_returns(day(a), day(b));
        let term = |t: (u32, u32, u32, u64, u64, u16)| TermKey { term: t.3, block: t.4 };
        sorts_and_returns(term(a), term(b));
        let folder = |t: (u32, u32, u32, u64, u64, u16)| FolderKey { account: AccountId(t.0), folder: FolderId(t.1) };
        sorts_and_returns(folder(a), folder(b));
        let entry = |t: (u32, u32, u32, u64, u64, u16)| QueueKey { message: MessageId(t.3), recipient: t.0 };
        let destination = |t: (u32, u32, u32, u64, u64, u16)| DestinationKey { destination: DestinationId(u64::from(t.5)), due: Timestamp(t.4), entry: entry(t) };
        sorts_and_returns(destination(a), destination(b));
        let agenda = |t: (u32, u32, u32, u64, u64, u16)| AgendaKey { due: Timestamp(t.3), destination: DestinationId(t.4) };
        sorts_and_returns(agenda(a), agenda(b));
        let report = |t: (u32, u32, u32, u64, u64, u16)| ReportKey { sent: MessageId(t.3), report: MessageId(t.4) };
        sorts_and_returns(report(a), report(b));
    }

    #[test]
    fn any_octets_decode_or_are_refused_without_harm(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        check_all(&octets);
        // The same behind a known version, so that more of it gets past the first octet.
        check_all(&[&[1][..], &octets].concat());
        check_all(&[&[2][..], &octets].concat());
        check_all(&[&[3][..], &octets].concat());
    }
}

#[test]
fn a_newer_row_is_refused_by_name() {
    let error = DomainRecord::decode(&[2, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap_err().to_string();
    assert_eq!(error, "DomainRecord of unknown version 2");
}

#[test]
fn tables_are_called_what_a_store_of_today_calls_them() {
    let mut names = Vec::new();
    Tables::names("", &mut names);
    names.sort_unstable();
    let numbers: std::collections::BTreeSet<u16> =
        names.iter().map(|name| crate::engine::table::number(name)).collect();
    assert_eq!(numbers.len(), names.len(), "two tables have one number in the journal");
    let known = "accounts addresses agenda blobs cards collected contacts content credentials domains expunged factors filters folders hours indexed journal judgements keys \
        lanes ledger lessons links live mail meta outgoing places policies postings queue recent reports routes segments sessions settings shares sign_ins states summaries terms timed \
        transcripts usage views";
    assert_eq!(names.join(" "), known);
}
