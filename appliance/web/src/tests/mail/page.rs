//! The page of a message: what is safe to show, its files, its sender and its list, what became of it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_read_safely() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    let list = bob.page("/mail/1").await;
    assert!(
        list.contains("Grüße") && list.contains("Cy") && list.contains("row-mail unread"),
        "{list}"
    );
    let page = bob.get("/mail/1/1").await;
    assert!(
        page.body.contains("Pictures from other servers are not shown")
            && page.body.contains("offer.pdf")
            && !page.body.contains("../offer")
            && !page.body.contains("alert(1)")
    );
    let frame = bob.get("/mail/1/1/html").await;
    assert!(
        frame.body.contains("<b>you</b>")
            && !frame.body.contains("alert")
            && !frame.body.contains("evil.test"),
        "{}",
        frame.body
    );
    let policy = frame.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'")
            && policy.contains("sandbox")
            && !policy.contains("allow-scripts")
            && !policy.contains("https:")
    );
    let file = bob.get("/mail/1/1/part/1").await;
    assert_eq!(
        (file.body.as_str(), file.headers["content-disposition"].to_str().unwrap()),
        ("Hello", "attachment; filename=\"offer.pdf\"; filename*=UTF-8''offer.pdf")
    );
    assert!(!bob.page("/mail/1").await.contains("row-mail unread"), "it was read");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_a_card() {
    let world = world().await;
    let message = "From: cy@a.test\r\nSubject: Lunch\r\n\
        Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\ncome\r\n--b\r\n\
        Content-Type: text/calendar; charset=utf-8\r\n\r\n\
        BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Lunch <b>now</b>\r\n\
        ORGANIZER:mailto:cy@a.test\r\nDTSTART:20260921T141320Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n\
        --b--\r\n";
    tokio::task::block_in_place(|| deliver(&world, BOB, message));
    let bob = Browser::of(&world, Role::Worker).await;
    let page = bob.page("/mail/1/2").await;
    assert!(
        page.contains("Invitation")
            && page.contains("Say yes")
            && page.contains("to=cy%40a.test")
            && !page.contains("<b>now</b>"),
        "{page}"
    );
}

/// A message with a `winmail.dat` and two other files.
fn wrapped_files() -> String {
    // With a text and a file, whose name is there in short and in full.
    let wrapped = "eJ8+IgEAAQeQBgAIAAAA5AQAAAAAAAAAAAEMgAYACAAAAEhpIPxiZXIAAAACApAGAA4AAAAA\
                   AAAAAAAAAAAAAAAAAAAAAhCABgANAAAAQkVSU0lDfjEuUERGAAAAAg+ABgAPAAAAJVBERi0x\
                   LjQgaW5zaWRlAAACBZAGACwAAAABAAAAHwAHNwEAAAAcAAAA3ABiAGUAcgBzAGkAYwBoAHQA\
                   LgBwAGQAZgAAAAAA";
    format!(
        "From: old@a.test\r\nSubject: wrapped\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{wrapped}\r\n--b\r\n\
         Content-Type: text/x-a; name=a.txt\r\n\r\nfirst\r\n--b\r\n\
         Content-Type: text/x-a; name=A.txt\r\n\r\nsecond\r\n--b--\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_one_by_one_wrapped_by_outlook_or_all_at_once() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    tokio::task::block_in_place(|| deliver(&world, BOB, &wrapped_files()));
    let page = bob.page("/mail/1/2").await;
    assert!(
        page.contains("Übersicht.pdf")
            && page.contains("Hi über")
            && !page.contains(">winmail.dat"),
        "{page}"
    );
    let inside = bob.get("/mail/1/2/part/0/inside/0").await;
    assert_eq!(inside.body, "%PDF-1.4 inside");
    assert!(inside.headers["content-disposition"].to_str().unwrap().contains("%C3%9Cbersicht.pdf"));
    assert_eq!(bob.get("/mail/1/2/part/0/inside/1").await.status, StatusCode::NOT_FOUND);
    let all = bob.get("/mail/1/2/files").await;
    assert!(all.body.starts_with("PK") && all.headers["content-type"] == "application/zip");
    for text in ["winmail.dat", "a.txt", "A (2).txt", "first", "second"] {
        assert!(all.body.contains(text), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_along_as_a_file_of_another() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    tokio::task::block_in_place(|| deliver(&world, BOB, &wrapped_files()));
    bob.post("/mail/settings", "undo=0").await;
    let page = bob.page("/compose?answers=1.2&how=attach").await;
    assert!(page.contains("wrapped.eml"), "{page}");
    let token = token_in(&page);
    let fields =
        [("token", &*token), ("to", "x@a.test"), ("carry", "1.2.message"), ("order", "send")];
    assert_eq!(bob.send("/compose", &fields, &[]).await.location, "/mail/2");
    let raw = bob.page("/mail/2/1/raw").await;
    assert!(
        raw.contains("Content-Type: message/rfc822")
            && raw.contains("Subject: wrapped")
            && raw.contains("filename=\"wrapped.eml\""),
        "{raw}"
    );
    assert!(bob.page("/mail/2/1").await.contains("wrapped.eml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_are_trusted_one_by_one() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    assert!(bob.page("/mail/1/1").await.contains("Always for cy@a.test"));
    assert!(bob.page("/mail/1/1").await.contains("/mail/1/1/html\""));
    bob.post("/mail/message", "id=1.1&order=pictures").await;
    let page = bob.page("/mail/1/1").await;
    assert!(
        page.contains("/mail/1/1/html?pictures=1") && !page.contains("are not shown"),
        "{page}"
    );
    assert!(bob.page("/mail/settings").await.contains("cy@a.test: not any more"));
    bob.post("/mail/settings", "forget=cy@a.test").await;
    assert!(bob.page("/mail/1/1").await.contains("are not shown"));
}

/// An address of the box's own network.
const OWN: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 201));

#[tokio::test(flavor = "multi_thread")]
async fn leaving_a_list_is_offered_and_never_knocks_in_the_own_network() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    let message = "From: news@lists.test\r\nSubject: news\r\n\
        Disposition-Notification-To: <track@lists.test>\r\nList-Id: News <news.lists.test>\r\n\
        List-Unsubscribe: <mailto:x@lists.test>, <https://lists.test/leave?id=7>\r\n\
        List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nhello\r\n";
    tokio::task::block_in_place(|| deliver(&world, BOB, message));
    let page = bob.page("/mail/1/2").await;
    assert!(
        page.contains("value=\"leave\"")
            && page.contains("Nothing is sent by itself")
            && page.contains("News &#60;news.lists.test&#62;"),
        "{page}"
    );
    world.zone.address("lists.test", OWN);
    let left = bob.post("/mail/message", "id=1.2&order=leave").await;
    assert_eq!(left.location, "/mail/1/2?list=not-left");
    assert!(bob.page("/mail/1/2?list=not-left").await.contains("could not be asked"));
}

/// Answers one request with this, and gives what was asked.
async fn answer_once(
    listener: &tokio::net::TcpListener,
    tls: &tokio_rustls::TlsAcceptor,
    answer: &str,
) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (tcp, _) = listener.accept().await.unwrap();
    let mut stream = tls.accept(tcp).await.unwrap();
    let mut octets = vec![0; 1024];
    let count = stream.read(&mut octets).await.unwrap();
    stream.write_all(answer.as_bytes()).await.unwrap();
    let _ = stream.shutdown().await;
    String::from_utf8_lossy(&octets[..count]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_left_by_one_request_to_its_server() {
    let (inner, tls) = pillarbox_office::world::World::with_authority("lists.test").await;
    let world = World::around(inner);
    let tls = tokio_rustls::TlsAcceptor::from(tls);
    let listener = tokio::net::TcpListener::bind((OWN, 0)).await.unwrap();
    world.zone.address("lists.test", OWN);
    // The server is the test's own; the test allows its address.
    let target = pillarbox_office::oneclick::Target {
        host: "lists.test".into(),
        port: listener.local_addr().unwrap().port(),
        path: "/leave?id=7".into(),
    };
    for (answer, is_left) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 302 Found\r\nLocation: https://evil.test/\r\n\r\n", false),
    ] {
        let handles = &world.office.handles;
        let (asked, left) = tokio::join!(
            answer_once(&listener, &tls, answer),
            pillarbox_office::oneclick::leave(&handles.dns, &handles.tls, &target, |_| true)
        );
        // RFC 8058 §3.1.
        assert!(
            asked.starts_with("POST /leave?id=7 HTTP/1.1\r\nHost: lists.test\r\n")
                && asked.ends_with("List-Unsubscribe=One-Click")
                && !asked.to_lowercase().contains("cookie"),
            "{asked}"
        );
        assert_eq!(left.is_ok(), is_left, "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_fetched_a_message_are_named() {
    use pillarbox_store::{Detail, Fate, FolderId, LedgerRecord, ShortCode};
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    let store = &world.office.store;
    let inbox =
        store.read(|r| r.entries(r.account(BOB)?.unwrap().0, FolderId::INBOX, 0, 1)).unwrap();
    store.note(LedgerRecord {
        recipients: vec![BOB.into()],
        detail: Detail::Device("Reception PC".into()),
        messages: vec![inbox[0].1.message.0],
        ..LedgerRecord::new(clock::now(), Fate::Collected, ShortCode(7))
    });
    // Notes are written with the next commit.
    bob.post("/mail/act", "id=1.1&order=flag").await;
    let page = bob.page("/mail/1/1").await;
    assert!(page.contains("by Reception PC, "), "{page}");
}
