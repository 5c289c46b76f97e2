//! What the page of a message shows: all that was written, in its order, in the right letters.

use super::*;

/// A picture of one pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA\
                    WjR9awAAAABJRU5ErkJggg==";

/// Opens the `number`th message of Bob's inbox that is delivered in a test: page, document, quote.
async fn opened(world: &World, bob: &str, number: usize) -> [String; 3] {
    let uid = number + 1;
    let get = async |path: String| ask(world, request(Method::GET, &path, bob, "")).await.body;
    [
        get(format!("/mail/1/{uid}")).await,
        get(format!("/mail/1/{uid}/html")).await,
        get(format!("/compose?answers=1.{uid}&how=reply")).await,
    ]
}

/// Whether texts are in another, each behind the one before.
fn in_order(whole: &str, texts: &[&str]) -> bool {
    let mut at = 0;
    texts.iter().all(|text| whole[at..].find(text).map(|found| at += found + text.len()).is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_texts_of_a_message_are_shown_quoted_and_found() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let head = "From: cy@a.test\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    let picture = format!(
        "--b\r\nContent-Type: image/png; name=p.png\r\n\
         Content-Disposition: inline; filename=p.png\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         {PNG}\r\n"
    );
    let messages = [
        format!(
            "{head}--b\r\nContent-Type: text/html\r\n\r\n<p>FIRST<table><tr><td>\r\n\
             {picture}--b\r\nContent-Type: text/html\r\n\r\n<p>SECOND &lt; 300\r\n\
             --b\r\nContent-Type: application/pdf; name=offer.pdf\r\n\r\nx\r\n--b\r\n\
             Content-Type: text/plain\r\n\r\nTHIRD <b>\r\n--b--\r\n"
        ),
        "From: cy@a.test\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary=gone\r\n\r\n\
         FIRST\r\nSECOND\r\nTHIRD\r\n"
            .into(),
        "From: cy@a.test\r\nSubject: s\r\nContent-Type: text/html; name=body.html\r\n\r\n\
         <p>FIRST<p>SECOND<p>THIRD\r\n"
            .into(),
    ];
    tokio::task::block_in_place(|| {
        messages.iter().for_each(|message| deliver(&world, BOB, message))
    });
    let texts = ["FIRST", "SECOND", "THIRD"];
    for number in 1..=messages.len() {
        let [page, document, quote] = opened(&world, &bob, number).await;
        let shown = if page.contains("<iframe") { &document } else { &page };
        assert!(in_order(shown, &texts) && in_order(&quote, &texts), "{number}: {shown} {quote}");
        assert!(
            !page.contains("body.html") && page.contains("offer.pdf") == (number == 1),
            "{page}"
        );
    }
    let [page, document, _] = opened(&world, &bob, 1).await;
    // Nothing that one piece left open swallows the next, and nothing of a plain text is markup.
    assert!(
        in_order(
            &document,
            &["FIRST", "</table>", "data:image/png;base64,", "SECOND &lt; 300", "THIRD &lt;b&gt;"]
        ),
        "{document}"
    );
    assert!(!page.contains("(text/html)") && page.contains("p.png"), "{page}");
    index(&world);
    let found = ask(&world, request(Method::GET, "/mail/1?q=third", &bob, "")).await.body;
    assert_eq!(found.matches("row-mail").count(), messages.len(), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_came_along_are_shown_whatever_they_are_called() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let message = |src: &str, kind: &str, id: &str, body: &str| {
        format!(
            "From: cy@a.test\r\nSubject: s\r\nContent-Type: multipart/related; boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/html\r\n\r\n<p>x<img src=\"{src}\">\r\n\
             --b\r\nContent-Type: {kind}\r\nContent-ID: {id}\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{body}\r\n--b--\r\n"
        )
    };
    let svg = pillarbox_proto::smtp::encode_base64(
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    );
    let table = [
        (
            message("CID:Logo@X", "application/octet-stream; name=\"logo.png\"", "<Logo@X>", PNG),
            true,
        ),
        (message("cid:foo%25bar%40remote.test", "image/png", "<foo%bar@remote.test>", PNG), true),
        (message("cid:a&#64;b", "image/jpg", "a@b", PNG), true),
        (message("cid:a@b", "image/svg+xml", "<a@b>", &svg), false),
        (message("cid:a@b", "image/png", "<a@b>", &svg), false),
        (message("cid:other@b", "image/png", "<a@b>", PNG), false),
    ];
    tokio::task::block_in_place(|| {
        table.iter().for_each(|(message, _)| deliver(&world, BOB, message))
    });
    for (number, (message, is_shown)) in (1..).zip(&table) {
        let [_, document, _] = opened(&world, &bob, number).await;
        assert_eq!(
            document.contains("data:image/png;base64,iVBOR"),
            *is_shown,
            "{message}: {document}"
        );
        assert!(!document.contains("svg"), "{document}");
    }
}

/// A message with a text, a file and another message in it, brought by others in five ways: as it is, in base64 with
/// its own ends of lines, in base64 with bare line feeds, in a digest, and alone.
fn nested() -> [String; 5] {
    let file = "Content-Type: application/pdf; name=inner.pdf\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n";
    let inner = format!(
        "From: Inner Person <inner@a.test>\r\nSubject: inner subject\r\n\
         Content-Type: multipart/mixed; boundary=IN\r\n\r\n--IN\r\n\r\nINNERTEXT\r\n--IN\r\n{file}\
         --IN\r\nContent-Type: message/rfc822\r\n\r\nSubject: deepest\r\n\r\nDEEPTEXT <b>\r\n\
         --IN--\r\n"
    );
    let base64 = pillarbox_proto::smtp::encode_base64(inner.as_bytes());
    let torn = pillarbox_proto::smtp::encode_base64(inner.replace("\r\n", "\n").as_bytes());
    let head = "From: cy@a.test\r\nSubject: s\r\n";
    let mixed = |part: &str| {
        format!(
            "{head}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nOUTERTEXT\r\n--b\r\n\
             {part}\r\n--b--\r\n"
        )
    };
    [
        mixed(&format!("Content-Type: message/rfc822\r\n\r\n{inner}")),
        mixed(&format!(
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment\r\n\r\n{base64}"
        )),
        mixed(&format!(
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{torn}"
        )),
        mixed(&format!(
            "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\n{inner}\r\n--d--"
        )),
        format!("{head}Content-Type: message/rfc822\r\n\r\n{inner}"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_messages_are_read_and_saved() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    let messages = nested();
    tokio::task::block_in_place(|| {
        messages.iter().for_each(|message| deliver(&world, BOB, message))
    });
    for number in 1..=messages.len() {
        let (uid, part) = (number + 1, usize::from(number < messages.len()));
        let page = bob.page(&format!("/mail/1/{uid}")).await;
        assert!(
            in_order(
                &page,
                &[
                    "inner subject", "Inner Person", "INNERTEXT", "inner.pdf", "deepest",
                    "DEEPTEXT &#60;b&#62;"
                ]
            ),
            "{page}"
        );
        assert_eq!(bob.page(&format!("/mail/1/{uid}/part/{part}.1")).await, "Hello", "{number}");
        assert!(
            bob.page(&format!("/mail/1/{uid}/part/{part}.2.0")).await.contains("DEEPTEXT"),
            "{number}"
        );
        let saved = bob.get(&format!("/mail/1/{uid}/part/{part}")).await;
        assert!(
            saved.headers["content-disposition"]
                .to_str()
                .unwrap()
                .contains("filename=\"inner subject.eml\""),
            "{:?}",
            saved.headers
        );
        assert!(saved.body.starts_with("From: Inner Person"), "{}", saved.body);
        for wrong in ["9", "0.1.1", "x", "", ".", "1.1.1", "99999999999999999999"] {
            assert_eq!(
                bob.get(&format!("/mail/1/{uid}/part/{wrong}")).await.status,
                StatusCode::NOT_FOUND,
                "{wrong}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_messages_go_along_as_they_are() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    let messages = nested();
    tokio::task::block_in_place(|| {
        messages.iter().for_each(|message| deliver(&world, BOB, message))
    });
    bob.post("/mail/settings", "undo=0").await;
    for (sent, (number, travels)) in (1..).zip([(1, true), (2, true), (3, false)]) {
        let uid = number + 1;
        let page = bob.page(&format!("/compose?answers=1.{uid}&how=forward")).await;
        let carried = format!("1.{uid}.1");
        assert!(page.contains(&carried) && page.contains("message.eml"), "{page}");
        let token = token_in(&page);
        let fields =
            [("token", token.as_str()), ("to", "x@a.test"), ("carry", &carried), ("order", "send")];
        assert_eq!(bob.send("/compose", &fields, &[]).await.location, "/mail/2");
        let raw = bob.page(&format!("/mail/2/{sent}/raw")).await;
        assert_eq!(
            raw.contains("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit"),
            travels,
            "{raw}"
        );
        assert!(
            raw.contains("INNERTEXT") == travels && raw.contains("filename=\"inner subject.eml\""),
            "{raw}"
        );
    }
}
