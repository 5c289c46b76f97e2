//! Webmail over its pages: reading, writing, order, contacts, what a person likes.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_read_safely_and_moved_and_found() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await;
    let list = get("/mail/1").await.body;
    assert!(
        list.contains("Grüße") && list.contains("Cy") && list.contains("row-mail unread"),
        "{list}"
    );
    let page = get("/mail/1/1").await;
    assert!(
        page.body.contains("Pictures from other servers are not shown")
            && page.body.contains("offer.pdf")
            && !page.body.contains("../offer")
            && !page.body.contains("alert(1)")
    );
    let frame = get("/mail/1/1/html").await;
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
    let file = get("/mail/1/1/part/1").await;
    assert_eq!(
        (file.body.as_str(), file.headers["content-disposition"].to_str().unwrap()),
        ("Hello", "attachment; filename=\"offer.pdf\"; filename*=UTF-8''offer.pdf")
    );
    assert!(!get("/mail/1").await.body.contains("row-mail unread"), "it was read");
    // Searching, before and after the index has it.
    for _ in 0..2 {
        for (q, is_found) in [
            ("grusse", true),
            ("GRÜS from:cy", true),
            ("hello has:attachment", true),
            ("is:unread", false),
            ("from:ann", false),
            ("offer.pdf", true),
            ("before:2020-01-01", false),
            ("gruesse", true),
            ("filename:offer", true),
            ("pdf -nothing", true),
            ("-grusse", false),
            ("nothing OR grusse", true),
            ("larger:1M", false),
            ("in:nowhere", false),
            ("in:inbox grusse", true),
        ] {
            assert_eq!(
                get(&format!("/mail/1?q={}", encoded(q))).await.body.contains("Grüße"),
                is_found,
                "{q}"
            );
        }
        let store = world.office.store.clone();
        tokio::task::block_in_place(|| {
            pillarbox_office::mail::index::rebuild(&store, &world.office.settings.get().data)
                .unwrap()
        });
    }
    // To the trash, back, and for good.
    let moved = post(&world, "/mail/act", &bob, "id=1.1&order=delete&back=/mail/1").await.location;
    assert_eq!(moved, "/mail/1?undo=4:1-1:1");
    assert!(
        get("/mail/4").await.body.contains("Grüße")
            && get("/mail/1/1").await.status == StatusCode::NOT_FOUND
    );
    assert!(get("/mail/1?q=grusse").await.body.contains("Trash"), "found where it is now");
    post(&world, "/mail/act", &bob, "undo=4:1-1:1&back=/mail/1").await;
    assert!(get("/mail/1").await.body.contains("Grüße"));
    let folder = post(&world, "/mail/folders", &bob, "order=make&name=Project").await.location;
    assert_eq!(folder, "/mail/16");
    post(&world, "/mail/act", &bob, "id=1.2&order=move&to=16").await;
    assert!(get("/mail/16").await.body.contains("Grüße"));
    assert_eq!(
        post(&world, "/mail/folders", &bob, "order=remove&folder=16").await.status,
        StatusCode::CONFLICT
    );
    post(&world, "/mail/act", &bob, "id=16.1&order=delete").await;
    post(&world, "/mail/act", &bob, "id=4.2&order=delete").await;
    assert!(
        !get("/mail/4").await.body.contains("Grüße")
            && !get("/mail/1?q=grusse").await.body.contains("Grüße")
    );
    assert!(
        post(&world, "/mail/folders", &bob, "order=remove&folder=16").await.status.is_redirection()
    );
    // Ann's copy is hers: nothing of Bob's orders touched it, and nobody reads another's by its number.
    let owner = cookie(&world, Role::Owner).await;
    assert!(ask(&world, request(Method::GET, "/mail/1", &owner, "")).await.body.contains("Grüße"));
    assert_eq!(get("/mail/1/1").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_go_out_with_files_and_drafts_are_gone_on_with() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await.body;
    // At once, here; calling back has a test of its own.
    post(&world, "/mail/settings", &bob, "undo=0&conversations=1").await;
    let page = get("/compose?answers=1.1&how=all").await;
    assert!(
        page.contains("value=\"Re: Grüße\"")
            && page.contains("ann@box.test")
            && page.contains("dee@a.test")
            && page.contains("&#62; hello you")
            || page.contains("&gt; hello you"),
        "{page}"
    );
    let token = token_in(&page);
    let base = [
        ("token", token.as_str()),
        ("to", "Ann <ann@box.test>, x@a.test"),
        ("subject", "Re: Grüße"),
        ("answers", "1.1:reply"),
        ("in_reply_to", "1@a.test"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
    let asks = ask(
        &world,
        multipart(
            "/compose",
            &bob,
            &with(&[("body", "The file is attached.\n> old"), ("order", "send")]),
            &[],
        ),
    )
    .await;
    assert!(
        asks.status == StatusCode::BAD_REQUEST
            && asks.body.contains("none is attached")
            && asks.body.contains("The file is attached.")
    );
    let sent = ask(
        &world,
        multipart(
            "/compose",
            &bob,
            &with(&[("body", "The file is attached."), ("order", "send")]),
            &[("Résumé.txt", "file content")],
        ),
    )
    .await;
    assert_eq!(sent.location, "/mail/2", "{}", sent.body);
    assert_eq!(world.queue().iter().map(|w| w.address.as_str()).collect::<Vec<_>>(), ["x@a.test"]);
    let copy = get("/mail/2/1").await;
    assert!(copy.contains("Résumé.txt") && copy.contains("waiting for a.test, next try"), "{copy}");
    assert_eq!(get("/mail/2/1/part/1").await, "file content");
    assert!(get("/mail/1").await.contains("answered"));
    let raw = get("/mail/2/1/raw").await;
    assert!(
        raw.contains("In-Reply-To: <1@a.test>")
            && raw.contains("filename*0*=utf-8''R%C3%A9sum%C3%A9.txt")
            && !raw.contains("Bcc"),
        "{raw}"
    );
    // What is wrong is said, and what was typed stays.
    for (more, said) in [
        ([("to", "nobody"), ("order", "send")], "not an e-mail address"),
        ([("to", ""), ("order", "send")], "To whom?"),
        ([("to", "gone@box.test"), ("order", "send")], "not an address of this box"),
    ] {
        let answer = ask(
            &world,
            multipart(
                "/compose",
                &bob,
                &[&[("token", token.as_str()), ("body", "my words")][..], &more[..]].concat(),
                &[],
            ),
        )
        .await;
        assert!(
            answer.status == StatusCode::BAD_REQUEST
                && answer.body.contains(said)
                && answer.body.contains("my words"),
            "{said}: {}",
            answer.body
        );
    }
    // A draft, unfinished in every way, and gone on with.
    let draft = ask(
        &world,
        multipart(
            "/compose",
            &bob,
            &[
                ("token", &token),
                ("to", "no"),
                ("subject", "later"),
                ("body", "half a"),
                ("order", "draft"),
            ],
            &[("a.txt", "in a draft")],
        ),
    )
    .await;
    assert_eq!(draft.location, "/mail/3");
    let page = get("/compose?answers=3.1&how=draft").await;
    assert!(page.contains("half a") && page.contains("value=\"3.1.1\""), "{page}");
    let fields = [
        ("token", token.as_str()),
        ("to", "ann@box.test"),
        ("subject", "now"),
        ("body", "whole"),
        ("draft", "3.1"),
        ("carry", "3.1.1"),
        ("order", "send"),
    ];
    assert_eq!(ask(&world, multipart("/compose", &bob, &fields, &[])).await.location, "/mail/2");
    assert!(get("/mail/3").await.contains("Nothing here."));
    assert_eq!(get("/mail/2/2/part/1").await, "in a draft");
    // Without the token of the page nothing goes.
    let stale = ask(
        &world,
        multipart(
            "/compose",
            &bob,
            &[("token", "x"), ("to", "ann@box.test"), ("order", "send")],
            &[],
        ),
    )
    .await;
    assert_eq!(stale.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_can_be_called_back_or_sent_later_and_goes_out_once() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let owner = cookie(&world, Role::Owner).await;
    post(&world, "/people/alias", &owner, "order=add&address=sales&to=bob@box.test").await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await.body;
    assert!(
        post(&world, "/mail/settings", &bob, "undo=60&address=bob@box.test&signature=Bob%0D%0ABox")
            .await
            .body
            .contains("Saved.")
    );
    let page = get("/compose").await;
    assert!(page.contains("-- \nBob\nBox") && page.contains(">sales@box.test</option>"), "{page}");
    let token = token_in(&page);
    let send = async |more: &[(&str, &str)]| {
        let fields = [
            &[
                ("token", token.as_str()),
                ("to", "x@a.test"),
                ("bcc", "y@a.test"),
                ("subject", "soon"),
                ("body", "b"),
                ("order", "send"),
            ][..],
            more,
        ]
        .concat();
        ask(&world, multipart("/compose", &bob, &fields, &[])).await
    };
    let answer = send(&[("from", "sales@box.test")]).await;
    assert_eq!(answer.location, "/mail/1?later=3.1");
    assert!(get(&answer.location).await.contains("Call it back"));
    pillarbox_office::submission::later::run(
        &world.office.submission,
        &world.office.condition,
        clock::now(),
    )
    .await;
    assert!(world.queue().is_empty(), "not yet");
    // Called back: it can be gone on with, its hidden recipient included, and does not go by itself.
    let page = get("/compose?answers=3.1&how=draft").await;
    assert!(page.contains("y@a.test") && page.contains("soon"));
    pillarbox_office::submission::later::run(
        &world.office.submission,
        &world.office.condition,
        clock::now() + 61,
    )
    .await;
    assert!(world.queue().is_empty());
    // Sent again, and not called back.
    assert_eq!(
        send(&[("draft", "3.1"), ("from", "sales@box.test")]).await.location,
        "/mail/1?later=3.2"
    );
    pillarbox_office::submission::later::run(
        &world.office.submission,
        &world.office.condition,
        clock::now() + 61,
    )
    .await;
    pillarbox_office::submission::later::run(
        &world.office.submission,
        &world.office.condition,
        clock::now() + 61,
    )
    .await;
    assert_eq!(
        world.queue().iter().map(|w| w.address.as_str()).collect::<Vec<_>>(),
        ["x@a.test", "y@a.test"]
    );
    let raw = get("/mail/2/1/raw").await;
    assert!(
        raw.contains("From: sales@box.test")
            && !raw.contains("y@a.test")
            && raw.matches("Message-ID:").count() == 1,
        "{raw}"
    );
    assert!(get("/mail/3").await.contains("Nothing here."));
    // Much later, and times that make no sense.
    for (later, is_good) in
        [("2020-01-01T10:00", false), ("2999-01-01T10:00", false), ("soon", false)]
    {
        assert_eq!(
            send(&[("later", later)]).await.location.starts_with("/mail/1?later="),
            is_good,
            "{later}"
        );
    }
    // Somebody else's address is nobody's to write from: the own one stands there instead.
    let answer = send(&[("from", "ann@box.test")]).await;
    let uid = answer.location.rsplit('.').next().unwrap().to_string();
    assert!(get(&format!("/mail/3/{uid}/raw")).await.contains("From: bob@box.test"));
    // The script keeps drafts and learns where they are.
    let saved = send(&[("order", "autosave")]).await;
    assert!(saved.body.starts_with("3.") && saved.status == StatusCode::OK, "{}", saved.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_a_card() {
    let world = world().await;
    let message = "From: cy@a.test\r\nSubject: Lunch\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\ncome\r\n--b\r\nContent-Type: text/calendar; charset=utf-8\r\n\r\n\
        BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Lunch <b>now</b>\r\nORGANIZER:mailto:cy@a.test\r\nDTSTART:20260921T141320Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n--b--\r\n";
    tokio::task::block_in_place(|| deliver(&world, BOB, message));
    let bob = cookie(&world, Role::Worker).await;
    let page = ask(&world, request(Method::GET, "/mail/1/2", &bob, "")).await.body;
    assert!(
        page.contains("Invitation")
            && page.contains("Say yes")
            && page.contains("to=cy%40a.test")
            && !page.contains("<b>now</b>"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_written_to_is_a_contact_and_contacts_come_and_go_as_cards() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await.body;
    let token = token_in(&get("/compose").await);
    let fields = [
        ("token", token.as_str()),
        ("to", "Zoë Quick <zoe@a.test>"),
        ("body", "b"),
        ("order", "send"),
    ];
    ask(&world, multipart("/compose", &bob, &fields, &[])).await;
    assert!(
        get("/mail/contacts").await.contains("Zoë Quick")
            && get("/compose").await.contains("Zoë Quick &#60;zoe@a.test&#62;")
    );
    // The index meets the letter in the folder of sent mail, too; it counts once.
    pillarbox_office::submission::later::run(
        &world.office.submission,
        &world.office.condition,
        clock::now() + 61,
    )
    .await;
    let store = world.office.store.clone();
    tokio::task::block_in_place(|| {
        pillarbox_office::mail::index::rebuild(&store, &world.office.settings.get().data).unwrap()
    });
    let bobs = store.read(|r| r.contacts(r.account(BOB)?.unwrap().0)).unwrap();
    assert_eq!(
        bobs.iter()
            .map(|(address, contact)| (address.as_str(), contact.written))
            .collect::<Vec<_>>(),
        [("zoe@a.test", 1)]
    );
    // Edited, moved to another address, searched, removed.
    post(
        &world,
        "/mail/contacts",
        &bob,
        "order=save&was=zoe@a.test&address=Zoe@new.test&name=Zoe+Q&note=tel+1",
    )
    .await;
    let page = get("/mail/contacts?q=tel+zoe").await;
    assert!(
        page.contains("zoe@new.test")
            && !page.contains("zoe@a.test")
            && get("/mail/contacts?q=nobody").await.contains("Nothing found")
    );
    assert!(
        post(&world, "/mail/contacts", &bob, "order=save&address=nobody")
            .await
            .body
            .contains("not an e-mail address")
    );
    let cards = "BEGIN:VCARD\r\nFN:Cy <b>\r\nEMAIL:cy@a.test\r\nEND:VCARD\r\nBEGIN:VCARD\r\nFN:No\r\nEND:VCARD\r\n";
    let taken = ask(
        &world,
        multipart("/mail/contacts/file", &bob, &[("token", &token)], &[("c.vcf", cards)]),
    )
    .await;
    assert!(
        taken.body.contains("Contacts taken in: 1. Left out for want of an address: 1.")
            && !taken.body.contains("Cy <b>"),
        "{}",
        taken.body
    );
    let file = get("/mail/contacts/file").await;
    assert!(file.contains("FN:Cy <b>") && file.contains("NOTE:tel 1"), "{file}");
    post(&world, "/mail/contacts", &bob, "order=remove&was=cy@a.test").await;
    assert!(!get("/mail/contacts").await.contains("cy@a.test"));
    let owner = cookie(&world, Role::Owner).await;
    assert!(
        !ask(&world, request(Method::GET, "/mail/contacts", &owner, ""))
            .await
            .body
            .contains("zoe@new.test"),
        "Bob's are Bob's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn formatted_letters_have_a_plain_text_and_nothing_that_runs() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await.body;
    post(&world, "/mail/settings", &bob, "undo=0&rich=1").await;
    let page = get("/compose?answers=1.1&how=reply").await;
    assert!(page.contains("data-html=\"&#60;div&#62;"), "{page}");
    let token = token_in(&page);
    let html = "<div>Hi <b>Cy</b></div><img src=x onerror=alert(1)><script>alert(1)</script><a href=\"javascript:alert(1)\">x</a>";
    let fields =
        [("token", token.as_str()), ("to", "cy@a.test"), ("body", "stale"), ("html", html)];
    let with = |order: &'static str| [&fields[..], &[("order", order)]].concat();
    ask(&world, multipart("/compose", &bob, &with("draft"), &[])).await;
    let draft = get("/compose?answers=3.1&how=draft").await;
    assert!(draft.contains("&#60;b&#62;Cy&#60;/b&#62;") && !draft.contains("onerror"), "{draft}");
    ask(&world, multipart("/compose", &bob, &with("send"), &[("a.txt", "a")])).await;
    let raw = get("/mail/2/1/raw").await;
    assert!(
        raw.contains("multipart/alternative")
            && raw.contains("<b>Cy</b>")
            && raw.contains("Hi Cy")
            && !raw.contains("stale"),
        "{raw}"
    );
    assert!(!raw.contains("alert") && get("/mail/2/1").await.contains("a.txt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_one_by_one_wrapped_by_outlook_or_all_at_once() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await;
    // A `winmail.dat` with a text and a file, whose name is there in short and in full.
    let wrapped = "eJ8+IgEAAQeQBgAIAAAA5AQAAAAAAAAAAAEMgAYACAAAAEhpIPxiZXIAAAACApAGAA4AAAAAAAAAAAAAAAAAAAAAAAAAAhCABgANAAAAQkVSU0lDfjEuUERGAAAAAg+ABg\
                   APAAAAJVBERi0xLjQgaW5zaWRlAAACBZAGACwAAAABAAAAHwAHNwEAAAAcAAAA3ABiAGUAcgBzAGkAYwBoAHQALgBwAGQAZgAAAAAA";
    let message = format!(
        "From: old@a.test\r\nSubject: wrapped\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{wrapped}\r\n--b\r\nContent-Type: text/x-a; name=a.txt\r\n\r\nfirst\r\n--b\r\nContent-Type: text/x-a; name=A.txt\r\n\r\nsecond\r\n--b--\r\n"
    );
    tokio::task::block_in_place(|| deliver(&world, BOB, &message));
    let page = get("/mail/1/2").await.body;
    assert!(
        page.contains("Übersicht.pdf")
            && page.contains("Hi über")
            && !page.contains(">winmail.dat"),
        "{page}"
    );
    let inside = get("/mail/1/2/part/0/inside/0").await;
    assert_eq!(inside.body, "%PDF-1.4 inside");
    assert!(inside.headers["content-disposition"].to_str().unwrap().contains("%C3%9Cbersicht.pdf"));
    assert_eq!(get("/mail/1/2/part/0/inside/1").await.status, StatusCode::NOT_FOUND);
    let all = get("/mail/1/2/files").await;
    assert!(all.body.starts_with("PK") && all.headers["content-type"] == "application/zip");
    for text in ["winmail.dat", "a.txt", "A (2).txt", "first", "second"] {
        assert!(all.body.contains(text), "{text}");
    }
    // A message as a file of another.
    post(&world, "/mail/settings", &bob, "undo=0").await;
    let page = get("/compose?answers=1.2&how=attach").await.body;
    assert!(page.contains("wrapped.eml"), "{page}");
    let fields = [
        ("token", token_in(&page)),
        ("to", "x@a.test".into()),
        ("carry", "1.2.message".into()),
        ("order", "send".into()),
    ];
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(ask(&world, multipart("/compose", &bob, &fields, &[])).await.location, "/mail/2");
    let raw = get("/mail/2/1/raw").await.body;
    assert!(
        raw.contains("Content-Type: message/rfc822")
            && raw.contains("Subject: wrapped")
            && raw.contains("filename=\"wrapped.eml\""),
        "{raw}"
    );
    assert!(get("/mail/2/1").await.body.contains("wrapped.eml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_failed_says_why_and_can_go_once_more() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await.body;
    world.zone.mx("null.test", 0, ".");
    post(&world, "/mail/settings", &bob, "undo=0").await;
    let token = token_in(&get("/compose").await);
    let fields = [
        ("token", token.as_str()),
        ("to", "cy@null.test, dee@a.test"),
        ("subject", "hello"),
        ("body", "words"),
        ("order", "send"),
    ];
    ask(&world, multipart("/compose", &bob, &fields, &[("a.txt", "file")])).await;
    world.work().await;
    let page = get("/mail/2/1").await;
    assert!(
        page.contains("Could not be delivered")
            && page.contains("takes no mail at all")
            && page.contains("Look for another address"),
        "{page}"
    );
    let corrected = get("/compose?answers=2.1&how=again&to=cy%40null.test").await;
    assert!(
        corrected.contains("value=\"cy@null.test\"")
            && corrected.contains("words")
            && corrected.contains("a.txt")
            && !corrected.contains("dee@a.test, "),
        "{corrected}"
    );
    let waiting = world.queue().len();
    let again = post(&world, "/mail/message", &bob, "id=2.1&order=again&to=cy@null.test").await;
    assert_eq!((again.location.as_str(), world.queue().len()), ("/mail/2", waiting + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_are_trusted_one_by_one_and_lists_are_left_by_the_box() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (world, tls) = pillarbox_office::world::World::with_authority("lists.test").await;
    let world = World::around(world);
    let world = peopled(world).await;
    let bob = cookie(&world, Role::Worker).await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await.body;
    assert!(get("/mail/1/1").await.contains("Always for cy@a.test"));
    assert!(get("/mail/1/1").await.contains("/mail/1/1/html\""));
    post(&world, "/mail/message", &bob, "id=1.1&order=pictures").await;
    let page = get("/mail/1/1").await;
    assert!(
        page.contains("/mail/1/1/html?pictures=1") && !page.contains("are not shown"),
        "{page}"
    );
    assert!(get("/mail/settings").await.contains("cy@a.test: not any more"));
    post(&world, "/mail/settings", &bob, "forget=cy@a.test").await;
    assert!(get("/mail/1/1").await.contains("are not shown"));

    let message = "From: news@lists.test\r\nSubject: news\r\nDisposition-Notification-To: <track@lists.test>\r\nList-Id: News <news.lists.test>\r\n\
        List-Unsubscribe: <mailto:x@lists.test>, <https://lists.test/leave?id=7>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nhello\r\n";
    tokio::task::block_in_place(|| deliver(&world, BOB, message));
    let page = get("/mail/1/2").await;
    assert!(
        page.contains("value=\"leave\"")
            && page.contains("Nothing is sent by itself")
            && page.contains("News &#60;news.lists.test&#62;"),
        "{page}"
    );
    // The name leads into the box's own network: it does not knock there.
    let own = std::net::IpAddr::from([127, 0, 0, 201]);
    let listener = tokio::net::TcpListener::bind((own, 0)).await.unwrap();
    world.zone.address("lists.test", own);
    assert_eq!(
        post(&world, "/mail/message", &bob, "id=1.2&order=leave").await.location,
        "/mail/1/2?list=not-left"
    );
    assert!(get("/mail/1/2?list=not-left").await.contains("could not be asked"));
    // A server of the world (here the test's own, let through by the test) is asked as RFC 8058 has it.
    let target = pillarbox_office::oneclick::Target {
        host: "lists.test".into(),
        port: listener.local_addr().unwrap().port(),
        path: "/leave?id=7".into(),
    };
    for (answer, is_left) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 302 Found\r\nLocation: https://evil.test/\r\n\r\n", false),
    ] {
        let serve = async {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut stream =
                tokio_rustls::TlsAcceptor::from(tls.clone()).accept(tcp).await.unwrap();
            let mut octets = vec![0; 1024];
            let count = stream.read(&mut octets).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
            String::from_utf8_lossy(&octets[..count]).into_owned()
        };
        let (asked, left) = tokio::join!(
            serve,
            pillarbox_office::oneclick::leave(
                &world.office.handles.dns,
                &world.office.handles.tls,
                &target,
                |_| true
            )
        );
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
async fn language_zone_and_signatures_are_the_persons_wherever_they_sign_in() {
    let world = world().await;
    let (bob, owner) = (cookie(&world, Role::Worker).await, cookie(&world, Role::Owner).await);
    post(&world, "/people/alias", &owner, "order=add&address=sales&to=bob@box.test").await;
    let get = async |cookie: &str, path: &str| {
        ask(&world, request(Method::GET, path, cookie, "")).await.body
    };
    let form = "language=de&zone=Asia/Tokyo&address=bob@box.test&signature=Bob&address=sales@box.test&signature=Sales+team&address=ann@box.test&signature=stolen";
    assert!(post(&world, "/mail/settings", &bob, form).await.body.contains("Gespeichert"));
    // Another browser of the same person.
    let elsewhere = cookie(&world, Role::Worker).await;
    let page = get(&elsewhere, "/mail/settings").await;
    assert!(
        page.contains("lang=\"de\"")
            && page.contains("value=\"Asia/Tokyo\"")
            && page.contains("Sales team")
            && !page.contains("stolen"),
        "{page}"
    );
    assert!(get(&elsewhere, "/compose").await.contains("data-signature=\"Sales team\""));
    assert!(get(&owner, "/home").await.contains("lang=\"en\""));
    let message = "From: cy@a.test\r\nDate: Mon, 21 Sep 2020 14:13:20 +0000\r\n\r\nx\r\n";
    tokio::task::block_in_place(|| deliver(&world, BOB, message));
    let page = get(&elsewhere, "/mail/1/2").await;
    assert!(page.contains("21. Sept. 2020, 23:13"), "{page}");
    assert!(
        post(&world, "/mail/settings", &bob, "zone=Nowhere/City")
            .await
            .body
            .contains("There is no time zone")
            || get(&bob, "/mail/settings").await.contains("Asia/Tokyo")
    );
    let choose =
        ask(&world, request(Method::POST, "/language", &bob, "language=en&back=/mail/settings"))
            .await;
    assert!(
        choose.cookie.contains("language=en")
            && get(&elsewhere, "/mail/settings").await.contains("lang=\"en\"")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_lie_within_others_and_judgements_are_kept() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await.body;
    for name in ["Customers", "Berlin", "Old"] {
        post(&world, "/mail/folders", &bob, &format!("order=make&name={name}")).await;
    }
    post(&world, "/mail/folders", &bob, "order=rename&folder=17&name=Berlin&within=16").await;
    post(&world, "/mail/folders", &bob, "order=rename&folder=16&name=Clients&within=18").await;
    // Not into one of its own.
    post(&world, "/mail/folders", &bob, "order=rename&folder=18&name=Old&within=17").await;
    let names = || {
        world
            .office
            .store
            .read(|r| r.folders(r.account(BOB)?.unwrap().0))
            .unwrap()
            .into_iter()
            .map(|(_, name, _)| name)
            .skip(5)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(), ["Old/Clients", "Old/Clients/Berlin", "Old"]);
    assert!(get("/mail/17").await.contains("within-2"));
    let judged = |world: &World| {
        world.office.store.read(|r| {
            let account = r.account(BOB)?.unwrap().0;
            let message = r
                .entries_before(account, pillarbox_store::FolderId::JUNK, u32::MAX - 1, 1)?
                .first()
                .map(|(_, entry)| entry.message);
            r.judgement(account, message.unwrap_or(pillarbox_store::MessageId(2)))
        })
    };
    assert_eq!(judged(&world).unwrap(), None);
    post(&world, "/mail/act", &bob, "id=1.1&order=junk").await;
    assert!(judged(&world).unwrap().unwrap().is_junk && get("/mail/5").await.contains("Grüße"));
    post(&world, "/mail/act", &bob, "id=5.1&order=not-junk").await;
    assert!(get("/mail/1").await.contains("Grüße"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_searched_for_is_marked_and_programs_that_fetched_are_named() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await.body;
    assert!(get("/mail/1?q=gru").await.contains("<mark>Grüße</mark>"));
    let record = pillarbox_store::LedgerRecord {
        recipients: vec![BOB.into()],
        detail: pillarbox_store::Detail::Device("Reception PC".into()),
        messages: vec![
            world
                .office
                .store
                .read(|r| {
                    Ok(r.entries(
                        r.account(BOB)?.unwrap().0,
                        pillarbox_store::FolderId::INBOX,
                        0,
                        1,
                    )?[0]
                        .1
                        .message
                        .0)
                })
                .unwrap(),
        ],
        ..pillarbox_store::LedgerRecord::new(
            clock::now(),
            pillarbox_store::Fate::Collected,
            pillarbox_store::ShortCode(7),
        )
    };
    world.office.store.note(record);
    // Notes are written with the next commit.
    post(&world, "/mail/act", &bob, "id=1.1&order=flag").await;
    assert!(get("/mail/1/1").await.contains("by Reception PC, "), "{}", get("/mail/1/1").await);
    let report =
        ask(&world, request(Method::POST, "/policy-report", "", "{\"csp-report\":{}}")).await;
    let owner = cookie(&world, Role::Owner).await;
    assert_eq!(report.status, StatusCode::NO_CONTENT);
    assert!(
        ask(&world, request(Method::GET, "/metrics", &owner, ""))
            .await
            .body
            .contains("pillarbox_policy_reports 1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_window_hears_of_new_mail_and_of_nobody_elses() {
    use http_body_util::BodyExt;
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let listen = async || {
        let mut request = request(Method::GET, "/mail/events", &bob, "");
        request
            .extensions_mut()
            .insert(Link { peer: "192.168.1.5".parse().unwrap(), is_secure: true });
        router(world.site.clone()).oneshot(request).await.unwrap().into_body()
    };
    let mut windows = [listen().await, listen().await];
    let heard = async |body: &mut Body| {
        String::from_utf8(body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec())
            .unwrap()
    };
    for window in &mut windows {
        assert_eq!(heard(window).await, ": \n\n", "now it listens");
    }
    tokio::task::block_in_place(|| {
        [ANN, BOB].into_iter().for_each(|address| deliver(&world, address, MESSAGE))
    });
    for window in &mut windows {
        assert_eq!(heard(window).await, "event: mail\ndata: 2\n\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_has_as_many_pages_as_it_finds_and_survives_a_damaged_index() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let (store, data) = (world.office.store.clone(), world.office.settings.get().data.clone());
    let write = |numbers: std::ops::Range<usize>| {
        for n in numbers {
            let words = if n % 4 == 0 { "of the new tender, which" } else { "tender of the new" };
            deliver(
                &world,
                BOB,
                &format!("From: dee@a.test\r\nSubject: n{n}\r\n\r\nIt is {words} stands\r\n"),
            );
        }
    };
    tokio::task::block_in_place(|| {
        write(0..130);
        pillarbox_office::mail::index::rebuild(&store, &data).unwrap();
        // Of these the index knows nothing.
        write(130..200);
    });
    let pages = async |q: &str| {
        let (mut found, mut path, mut count) = (Vec::new(), format!("/mail/1?q={}", encoded(q)), 0);
        loop {
            let page = ask(&world, request(Method::GET, &path, &bob, "")).await.body;
            found.extend(
                page.split("data-id=\"1.")
                    .skip(1)
                    .filter_map(|row| row.split('"').next()?.parse::<usize>().ok()),
            );
            count += 1;
            let Some(next) =
                page.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next())
            else {
                return (found, count);
            };
            path = next.replace("&amp;", "&").replace("&#38;", "&");
        }
    };
    let (all, first) = (pages("tender").await, pages("from:dee").await);
    assert!(
        all.0.len() == 200 && all == first && (4..=5).contains(&all.1),
        "{} in {}",
        all.0.len(),
        all.1
    );
    assert!(all.0.is_sorted_by(|a, b| a > b), "newest first, each once");
    let (phrase, _) = pages("\"new tender\"").await;
    assert_eq!(
        (phrase.len(), phrase.iter().max()),
        (50, all.0.iter().find(|uid| (**uid - all.0[199]) % 4 == 0))
    );
    assert_eq!(pages("-\"new tender\" stands").await.0.len(), 150);
    assert_eq!(pages("subject:n150 OR subject:n20 stands").await.0.len(), 2);
    let files: Vec<_> =
        std::fs::read_dir(data.join("index")).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty());
    files.iter().for_each(|file| std::fs::write(file, b"worn out").unwrap());
    pages("tender").await;
    assert_eq!(
        pages("tender").await.0.len(),
        200,
        "what the index lost is looked at until it is made anew"
    );
}
