//! Why a message is where it is, on its page; what the owner chooses about spam.

use pillarbox_filter::files::Danger;
use pillarbox_filter::verdict::{Action, JUNK, Kind, Reason, Verdict};
use pillarbox_store::{Delivery, Fate, Flags, FolderId, LedgerRecord, Placement, ShortCode};

use super::*;

/// Puts a message into a folder of Bob's as delivery does, with its verdict in front.
/// Blocks.
fn deliver_with(world: &World, folder: FolderId, verdict: &Verdict, content: &str) {
    let store = &world.office.store;
    let account = store.read(|r| r.account(BOB)).unwrap().unwrap().0;
    let front = format!("Return-Path: <x@a.test>\r\n{}", verdict.field().unwrap());
    let (mut spool, octets) = (store.spool(), front.len() as u16);
    spool.append(content.as_bytes()).unwrap();
    spool.put_in_front(front.into_bytes()).unwrap();
    let placement = Placement { account, folder, flags: Flags::default() };
    let record = LedgerRecord::new(clock::now(), Fate::Delivered, ShortCode(9));
    let delivery = Delivery::local(spool.finish().unwrap(), octets, vec![placement], record);
    store.deliver(delivery).wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_junk_says_why_and_one_with_a_dangerous_file_warns_anywhere() {
    let world = world().await;
    let doubtful = Verdict {
        action: Action::Junk,
        reasons: vec![
            Reason::of(Kind::Suspected, "bank.test"),
            Reason::of(Kind::NoName, ""),
            Reason { weight: JUNK, ..Reason::of(Kind::File(Danger::ActivePage), "<b>login.html") },
        ],
    };
    let macros = Reason::of(Kind::File(Danger::Macros), "Rechnung \u{fc}.xlsm");
    let warned = Verdict {
        action: Action::Inbox,
        reasons: vec![Reason::of(Kind::Proven, "a.test"), macros],
    };
    // A verdict that came along is none.
    let forged = "Pillarbox-Verdict: junk;\r\n\tauthor-suspected +100 forged.test\r\n";
    let content = format!("{forged}From: x@a.test\r\nSubject: Offer\r\n\r\nhello\r\n");
    tokio::task::block_in_place(|| {
        deliver_with(&world, FolderId::JUNK, &doubtful, &content);
        deliver_with(&world, FolderId::INBOX, &warned, &content);
        deliver(&world, BOB, &content);
    });
    let bob = Browser::of(&world, Role::Worker).await;
    let page = bob.page(&format!("/mail/{}/1", FolderId::JUNK.0)).await;
    for words in [
        "Why is this in Junk?",
        "It says it is from bank.test, but nothing proves that",
        "has no proper name on the internet",
        "decides",
        "speaks against it",
        "\u{201c}&#60;b&#62;login.html\u{201d} is a page or picture that runs something",
        "press \u{201c}Not junk\u{201d}",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("forged.test"));
    let page = bob.page("/mail/1/2").await;
    for words in [
        "a.test confirms that it sent",
        "Open this with care",
        "Rechnung \u{fc}.xlsm\u{201d} has macros",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("Why is this in Junk?"));
    let page = bob.page("/mail/1/3").await;
    assert!(!page.contains("forged.test") && !page.contains("Open this with care"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_chooses_what_is_done_and_mistakes_are_named() {
    let world = world().await;
    let ann = Browser::of(&world, Role::Owner).await;
    let page = ann.page("/spam").await;
    assert!(page.contains("<option value=\"refuse\" selected>Refuse the message"), "{page}");
    let form = "forwarders=Uni.test%0D%0A@verein.test&programs=junk&macros=warn&pages=nonsense";
    assert_eq!(ann.post("/spam", form).await.location, "/spam");
    let policy = world.store.read(pillarbox_office::filtering::policy).unwrap();
    assert_eq!(policy.forwarders, ["uni.test", "verein.test"]);
    assert_eq!(policy.files.len(), 1, "what is usual is not kept: {policy:?}");
    let page = ann.page("/spam").await;
    assert!(page.contains("uni.test\nverein.test"), "{page}");
    assert!(page.contains("<option value=\"junk\" selected>Put it into Junk"), "{page}");
    let lists = "allowed=Ann@A.test+b.test&banned=pest.test";
    assert_eq!(ann.post("/spam", lists).await.location, "/spam");
    let policy = world.store.read(pillarbox_office::filtering::policy).unwrap();
    assert_eq!(policy.allowed, ["ann@a.test", "b.test"]);
    assert_eq!(policy.banned, ["pest.test"]);
    let wrong = ann.post("/spam", "banned=a@&allowed=c.test").await;
    assert!(wrong.body.contains("a@\u{201d} is neither an address"), "{}", wrong.body);
    assert!(wrong.body.contains("c.test"), "what was typed is still there");
    let wrong = ann.post("/spam", "forwarders=not+a+domain!").await;
    assert!(wrong.body.contains("domain!\u{201d} is not a domain"), "{}", wrong.body);
    assert!(wrong.body.contains("not a domain!"), "what was typed is still there");
}
