//! Webmail before what strangers and colleagues should not be able to do: stop the box, fill it, learn of others, look
//! like others.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_all_tags_is_shown_as_text_and_says_why() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await;
    let hostile = [
        format!("{}the words", "<div>".repeat(60_000)),
        format!(
            "{}the words",
            (0..20_000).map(|n| format!("<font color={n}><p>")).collect::<String>()
        ),
        format!("{}the words", "<hr>".repeat(60_000)),
    ];
    for (at, html) in hostile.iter().enumerate() {
        let message = format!("Subject: much\r\nContent-Type: text/html\r\n\r\n{html}\r\n");
        tokio::task::block_in_place(|| deliver(&world, BOB, &message));
        let page = get(&format!("/mail/1/{}", at + 2)).await;
        assert!(
            page.status == StatusCode::OK
                && page.body.contains("formatted so heavily")
                && page.body.contains("the words"),
            "{}",
            page.body
        );
        assert!(!page.body.contains("<iframe"));
        assert_eq!(get(&format!("/mail/1/{}/html", at + 2)).await.status, StatusCode::NOT_FOUND);
        // It can be answered all the same.
        assert!(
            get(&format!("/compose?answers=1.{}&how=reply", at + 2))
                .await
                .body
                .contains("the words")
        );
    }
    let list = get("/mail/1").await;
    assert!(list.body.matches("much").count() >= hostile.len(), "{}", list.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_formatted_beyond_all_measure_comes_back_as_plain_text() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let token = token_in(&ask(&world, request(Method::GET, "/compose", &bob, "")).await.body);
    let html = format!("{}my words", "<div>".repeat(60_000));
    for order in ["send", "draft"] {
        let fields = [
            ("token", token.as_str()),
            ("to", "ann@box.test"),
            ("subject", "s"),
            ("html", html.as_str()),
            ("order", order),
        ];
        let answer = ask(&world, multipart("/compose", &bob, &fields, &[])).await;
        assert!(
            answer.status == StatusCode::BAD_REQUEST
                && answer.body.contains("formatted too heavily")
                && answer.body.contains("my words")
        );
        assert!(!answer.body.contains("div&"), "the formatting is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_stopped_the_box_is_never_opened_again_and_its_source_can_be_had() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let owner = cookie(&world, Role::Owner).await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await;
    let store = world.office.store.clone();
    let account = store.read(|r| r.account(BOB)).unwrap().unwrap().0;
    let message = store
        .read(|r| r.entry(account, pillarbox_store::FolderId::INBOX, 1))
        .unwrap()
        .unwrap()
        .message;
    assert!(
        !ask(&world, request(Method::GET, "/home", &owner, ""))
            .await
            .body
            .contains("stopped the box")
    );
    world.office.readers.marks.skip(message);
    let list = get("/mail/1").await.body;
    assert!(list.contains("(not opened)") && !list.contains("Grüße"), "{list}");
    let page = get("/mail/1/1").await;
    assert!(
        page.status == StatusCode::OK
            && page.body.contains("stopped once while it read this message")
            && page.body.contains("/mail/1/1/raw")
    );
    assert!(get("/mail/1/1/raw").await.body.contains("Subject:"));
    for path in
        ["/mail/1/1/html", "/mail/1/1/part/1", "/mail/1/1/files", "/compose?answers=1.1&how=reply"]
    {
        assert_eq!(get(path).await.status, StatusCode::CONFLICT, "{path}");
    }
    assert!(!get("/mail/1?q=grusse").await.body.contains("Grüße"));
    assert!(
        ask(&world, request(Method::GET, "/home", &owner, ""))
            .await
            .body
            .contains("One message stopped the box")
    );
    // It can be deleted for good, and then there is nothing to tell.
    post(&world, "/mail/act", &bob, "id=1.1&order=delete").await;
    post(&world, "/mail/act", &bob, "id=4.1&order=delete").await;
    let home = ask(&world, request(Method::GET, "/home", &owner, "")).await.body;
    assert!(
        !home.contains("stopped the box") && get("/mail/4").await.body.contains("Nothing here.")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_along_counts_against_the_size_of_a_message() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let mut config = pillarbox_platform::config::Config::clone(&world.office.settings.get());
    config.limits.message_octets = 20_000;
    pillarbox_office::naming::reload(&world.office.settings, &world.office.store, config);
    let large = format!(
        "Subject: large\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\n{}",
        "words words\r\n".repeat(400)
    );
    tokio::task::block_in_place(|| deliver(&world, BOB, &large));
    post(&world, "/mail/settings", &bob, "undo=0&conversations=1").await;
    let token = token_in(&ask(&world, request(Method::GET, "/compose", &bob, "")).await.body);
    for carried in ["1.2.message", "1.2.0"] {
        for order in ["send", "draft"] {
            let base = [
                ("token", token.as_str()),
                ("to", "ann@box.test"),
                ("subject", "s"),
                ("body", "b"),
                ("order", order),
            ];
            let with = |count: usize| [&base[..], &vec![("carry", carried); count]].concat();
            let one = ask(&world, multipart("/compose", &bob, &with(1), &[])).await;
            assert!(one.status.is_redirection(), "{order} {carried}: {}", one.body);
            for count in [5, 100, 5000] {
                let many = ask(&world, multipart("/compose", &bob, &with(count), &[])).await;
                assert!(
                    many.status == StatusCode::BAD_REQUEST && many.body.contains("too large"),
                    "{order} {carried} {count}: {}",
                    many.body
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fate_of_other_recipients_and_the_place_of_a_worker_stay_private() {
    let world = world().await;
    world.zone.mx("null.test", 0, ".");
    let (bob, ann) = (cookie(&world, Role::Worker).await, cookie(&world, Role::Owner).await);
    let get =
        async |who: &str, path: &str| ask(&world, request(Method::GET, path, who, "")).await.body;
    post(&world, "/mail/settings", &bob, "undo=0").await;
    let token = token_in(&get(&bob, "/compose").await);
    let send = async |to: &str, bcc: &str| {
        let fields = [
            ("token", token.as_str()),
            ("to", to),
            ("bcc", bcc),
            ("subject", "hello"),
            ("body", "words"),
            ("order", "send"),
        ];
        let sent =
            ask_from(&world, "192.168.7.77", multipart("/compose", &bob, &fields, &[])).await;
        assert_eq!(sent.location, "/mail/2", "{}", sent.body);
    };
    send("ann@box.test", "secret@a.test, blind@null.test").await;
    send("ann@box.test", "").await;
    for waits in ["secret@a.test", "blind@null.test"] {
        let (own, others) = (get(&bob, "/mail/2/1").await, get(&ann, "/mail/1/2").await);
        assert!(own.contains(waits) && others.contains("words"), "{waits}: {own}");
        assert!(!others.contains("secret") && !others.contains("blind@"), "{others}");
        world.work().await;
    }
    // Also when the message came by mail alone, without anybody elsewhere.
    for uid in [2, 3] {
        let page = get(&ann, &format!("/mail/1/{uid}")).await;
        assert!(page.contains("words") && !page.contains("192.168.7.77"), "{page}");
    }
    // Moving a message into the folder of sent mail makes no one its sender.
    post(&world, "/mail/act", &ann, "id=1.2&order=move&to=2").await;
    assert!(!get(&ann, "/mail/2/1").await.contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_looks_like_an_address_does_not_hide_the_real_one_in_lists() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await.body;
    for from in ["\"ann@box.test\"", "=?utf-8?q?ann=40box.test?=", "ann\u{ff20}box.test"] {
        tokio::task::block_in_place(|| {
            deliver(
                &world,
                BOB,
                &format!(
                    "From: {from} <evil@x.test>\r\nTo: {from} <evil@x.test>\r\nSubject: pay\r\n\r\n\
                     x\r\n"
                ),
            )
        });
    }
    post(&world, "/mail/act", &bob, "id=1.4&order=move&to=2").await;
    for rebuilt in [false, true] {
        let list = get("/mail/1").await;
        assert_eq!(list.matches("&#60;evil@x.test&#62;").count(), 2, "{list}");
        assert!(
            list.contains("<span class=\"party\">Cy</span>")
                && get("/mail/2").await.contains("&#60;evil@x.test&#62;"),
            "{rebuilt}"
        );
        let store = world.office.store.clone();
        tokio::task::block_in_place(|| {
            pillarbox_office::mail::index::rebuild(&store, &world.office.settings.get().data)
                .unwrap()
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_that_are_not_seen_are_on_no_page() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let marks = "\u{202e}tset.proc@ssob \u{2066}x\u{200b}y";
    tokio::task::block_in_place(|| {
        deliver(
            &world,
            BOB,
            &format!(
                "From: \"{marks}\" <x@evil.test>\r\nTo: {marks} <bob@box.test>\r\nSubject: {marks}\r\n\
                 Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{marks}\r\n--b\r\n\
                 Content-Type: text/calendar\r\n\r\nBEGIN:VEVENT\r\nSUMMARY:{marks}\r\nEND:VEVENT\r\n\
                 --b\r\nContent-Disposition: attachment; filename=\"{marks}.pdf\"\r\n\r\nx\r\n--b--\r\n"
            ),
        )
    });
    let mut found = 0;
    for path in ["/mail/1", "/mail/1?q=tset", "/mail/1/4", "/compose?answers=1.4&how=all"] {
        let page = ask(&world, request(Method::GET, path, &bob, "")).await.body;
        // The text itself stays as it came, in a box of its own.
        let shown = page.split("<pre").next().unwrap().split("<textarea").next().unwrap();
        assert!(!shown.contains(pillarbox_vocabulary::text::is_unseen), "{path}: {shown}");
        found += shown.matches("tset.proc@ssob").count();
    }
    assert!(found >= 6, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_others_would_read_otherwise_is_refused_for_good_with_the_reason() {
    use pillarbox_office::submission::Refusal;
    use pillarbox_office::submission::send::{Sender, submit};
    let world = world().await;
    let account = world.office.store.read(|r| r.account(BOB)).unwrap().unwrap().0;
    let send = async |from: &str| {
        let sender = Sender {
            account,
            address: BOB.into(),
            from: BOB.into(),
            peer: "192.168.1.5".parse().unwrap(),
        };
        let to = vec![pillarbox_vocabulary::Address::parse("cy@a.test").unwrap()];
        match submit(
            &world.office.submission,
            sender,
            to,
            format!("From: {from}\r\nSubject: x\r\n\r\nx\r\n").as_bytes(),
        )
        .await
        {
            Ok(_) => None,
            Err(Refusal::Said(reply)) => Some((reply.code, reply.lines.join(" "))),
            Err(Refusal::Trouble(error)) => panic!("{from}: {error}"),
        }
    };
    for from in [
        "ann@box.test <bob@box.test>",
        "=?utf-8?q?ann=40box.test?= <bob@box.test>",
        "bob@box.test (ann@box.test)",
    ] {
        let (code, text) = send(from).await.unwrap();
        assert!(code == 550 && text.contains("reads as an address"), "{from}: {code} {text}");
    }
    for from in [
        "scanner",
        "",
        "<>",
        "\"Scanner\" <>",
        "undisclosed:;",
        "scanner@",
        &format!("{}@box.test", "x".repeat(600)),
        "bob@box.test\r\nSender: scanner",
    ] {
        let (code, text) = send(from).await.unwrap();
        assert!(
            code == 550 && text.contains("no usable address") && text.contains(BOB),
            "{from}: {code} {text}"
        );
    }
    assert_eq!(send("<bob@box.test> <ann@box.test>").await.unwrap().0, 550);
    assert!(send("ann@box.test").await.unwrap().1.contains("may not send as"));
    for from in ["Bob <bob@box.test>", "\"ann@box.test\" <bob@box.test>", "BOB@box.test"] {
        assert_eq!(send(from).await, None, "{from}");
    }
}
