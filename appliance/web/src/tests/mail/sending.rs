//! Messages are written, kept as drafts, sent at once or later.

use super::*;

/// A message to send, with these fields besides.
fn fields<'a>(token: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("token", token)], more].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_out_with_a_file() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    // At once, here; calling back has a test of its own.
    bob.post("/mail/settings", "undo=0&conversations=1").await;
    let page = bob.page("/compose?answers=1.1&how=all").await;
    assert!(
        page.contains("value=\"Re: Grüße\"")
            && page.contains("ann@box.test")
            && page.contains("dee@a.test")
            && page.contains("&#62; hello you")
            || page.contains("&gt; hello you"),
        "{page}"
    );
    let token = token_in(&page);
    let base = fields(
        &token,
        &[
            ("to", "Ann <ann@box.test>, x@a.test"),
            ("subject", "Re: Grüße"),
            ("answers", "1.1:reply"),
            ("in_reply_to", "1@a.test"),
            ("order", "send"),
        ],
    );
    let send = async |body: &str, files: &[(&str, &str)]| {
        bob.send("/compose", &[&base[..], &[("body", body)]].concat(), files).await
    };
    let asks = send("The file is attached.\n> old", &[]).await;
    assert!(
        asks.status == StatusCode::BAD_REQUEST
            && asks.body.contains("none is attached")
            && asks.body.contains("The file is attached.")
    );
    let sent = send("The file is attached.", &[("Résumé.txt", "file content")]).await;
    assert_eq!(sent.location, "/mail/2", "{}", sent.body);
    assert_eq!(queued(&world), ["x@a.test"]);
    let copy = bob.page("/mail/2/1").await;
    assert!(copy.contains("Résumé.txt") && copy.contains("waiting for a.test, next try"), "{copy}");
    assert_eq!(bob.page("/mail/2/1/part/1").await, "file content");
    assert!(bob.page("/mail/1").await.contains("answered"));
    let raw = bob.page("/mail/2/1/raw").await;
    assert!(
        raw.contains("In-Reply-To: <1@a.test>")
            && raw.contains("filename*0*=utf-8''R%C3%A9sum%C3%A9.txt")
            && !raw.contains("Bcc"),
        "{raw}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_message_is_said_and_what_was_typed_stays() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    bob.post("/mail/settings", "undo=0").await;
    let token = token_in(&bob.page("/compose").await);
    for (to, said) in [
        ("nobody", "not an e-mail address"),
        ("", "To whom?"),
        ("gone@box.test", "not an address of this box"),
    ] {
        let fields = fields(&token, &[("body", "my words"), ("to", to), ("order", "send")]);
        let answer = bob.send("/compose", &fields, &[]).await;
        assert!(
            answer.status == StatusCode::BAD_REQUEST
                && answer.body.contains(said)
                && answer.body.contains("my words"),
            "{said}: {}",
            answer.body
        );
    }
    // Without the token of the page nothing goes.
    let fields = fields("x", &[("to", "ann@box.test"), ("order", "send")]);
    let stale = bob.send("/compose", &fields, &[]).await;
    assert_eq!(stale.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_unfinished_in_every_way_and_gone_on_with() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    bob.post("/mail/settings", "undo=0&conversations=1").await;
    let token = token_in(&bob.page("/compose").await);
    let unfinished = fields(
        &token,
        &[("to", "no"), ("subject", "later"), ("body", "half a"), ("order", "draft")],
    );
    let draft = bob.send("/compose", &unfinished, &[("a.txt", "in a draft")]).await;
    assert_eq!(draft.location, "/mail/3");
    let page = bob.page("/compose?answers=3.1&how=draft").await;
    assert!(page.contains("half a") && page.contains("value=\"3.1.1\""), "{page}");
    let finished = fields(
        &token,
        &[
            ("to", "ann@box.test"),
            ("subject", "now"),
            ("body", "whole"),
            ("draft", "3.1"),
            ("carry", "3.1.1"),
            ("order", "send"),
        ],
    );
    assert_eq!(bob.send("/compose", &finished, &[]).await.location, "/mail/2");
    assert!(bob.page("/mail/3").await.contains("Nothing here."));
    assert_eq!(bob.page("/mail/2/1/part/1").await, "in a draft");
}

/// A message to two recipients, one of them hidden.
const SOON: [(&str, &str); 5] = [
    ("to", "x@a.test"),
    ("bcc", "y@a.test"),
    ("subject", "soon"),
    ("body", "b"),
    ("order", "send"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_message_can_be_called_back_and_goes_out_once() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    let ann = Browser::of(&world, Role::Owner).await;
    ann.post("/people/alias", "order=add&address=sales&to=bob@box.test").await;
    let settings = "undo=60&address=bob@box.test&signature=Bob%0D%0ABox";
    assert!(bob.post("/mail/settings", settings).await.body.contains("Saved."));
    let page = bob.page("/compose").await;
    assert!(page.contains("-- \nBob\nBox") && page.contains(">sales@box.test</option>"), "{page}");
    let token = token_in(&page);
    let base = fields(&token, &[&SOON[..], &[("from", "sales@box.test")]].concat());
    let answer = bob.send("/compose", &base, &[]).await;
    assert_eq!(answer.location, "/mail/1?later=3.1");
    assert!(bob.page(&answer.location).await.contains("Call it back"));
    send_due(&world, 0).await;
    assert!(world.queue().is_empty(), "not yet");
    // Called back: it can be gone on with, its hidden recipient included, and does not go by itself.
    let page = bob.page("/compose?answers=3.1&how=draft").await;
    assert!(page.contains("y@a.test") && page.contains("soon"));
    send_due(&world, 61).await;
    assert!(world.queue().is_empty());
    // Sent again, and not called back.
    let again = bob.send("/compose", &[&base[..], &[("draft", "3.1")]].concat(), &[]).await;
    assert_eq!(again.location, "/mail/1?later=3.2");
    send_due(&world, 61).await;
    send_due(&world, 61).await;
    assert_eq!(queued(&world), ["x@a.test", "y@a.test"]);
    let raw = bob.page("/mail/2/1/raw").await;
    assert!(
        raw.contains("From: sales@box.test")
            && !raw.contains("y@a.test")
            && raw.matches("Message-ID:").count() == 1,
        "{raw}"
    );
    assert!(bob.page("/mail/3").await.contains("Nothing here."));
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_make_no_sense_and_addresses_of_others_are_not_taken() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    bob.post("/mail/settings", "undo=60").await;
    let token = token_in(&bob.page("/compose").await);
    let send = async |more: &[(&str, &str)]| {
        bob.send("/compose", &fields(&token, &[&SOON[..], more].concat()), &[]).await
    };
    for (later, is_good) in
        [("2020-01-01T10:00", false), ("2999-01-01T10:00", false), ("soon", false)]
    {
        let answer = send(&[("later", later)]).await;
        assert_eq!(answer.location.starts_with("/mail/1?later="), is_good, "{later}");
    }
    // Instead of somebody else's address, the message has the person's own.
    let answer = send(&[("from", "ann@box.test")]).await;
    let uid = answer.location.rsplit('.').next().unwrap();
    assert!(bob.page(&format!("/mail/3/{uid}/raw")).await.contains("From: bob@box.test"));
    // The script keeps drafts and learns where they are.
    let saved = send(&[("order", "autosave")]).await;
    assert!(saved.body.starts_with("3.") && saved.status == StatusCode::OK, "{}", saved.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn formatted_messages_have_a_plain_text_and_nothing_that_runs() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    bob.post("/mail/settings", "undo=0&rich=1").await;
    let page = bob.page("/compose?answers=1.1&how=reply").await;
    assert!(page.contains("data-html=\"&#60;div&#62;"), "{page}");
    let token = token_in(&page);
    let html = "<div>Hi <b>Cy</b></div><img src=x onerror=alert(1)>\
                <script>alert(1)</script><a href=\"javascript:alert(1)\">x</a>";
    let fields =
        [("token", token.as_str()), ("to", "cy@a.test"), ("body", "stale"), ("html", html)];
    let with = |order: &'static str| [&fields[..], &[("order", order)]].concat();
    bob.send("/compose", &with("draft"), &[]).await;
    let draft = bob.page("/compose?answers=3.1&how=draft").await;
    assert!(draft.contains("&#60;b&#62;Cy&#60;/b&#62;") && !draft.contains("onerror"), "{draft}");
    bob.send("/compose", &with("send"), &[("a.txt", "a")]).await;
    let raw = bob.page("/mail/2/1/raw").await;
    assert!(
        raw.contains("multipart/alternative")
            && raw.contains("<b>Cy</b>")
            && raw.contains("Hi Cy")
            && !raw.contains("stale"),
        "{raw}"
    );
    assert!(!raw.contains("alert") && bob.page("/mail/2/1").await.contains("a.txt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_failed_says_why_and_can_go_once_more() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    world.zone.mx("null.test", 0, ".");
    bob.post("/mail/settings", "undo=0").await;
    let token = token_in(&bob.page("/compose").await);
    let fields = [
        ("token", token.as_str()),
        ("to", "cy@null.test, dee@a.test"),
        ("subject", "hello"),
        ("body", "words"),
        ("order", "send"),
    ];
    bob.send("/compose", &fields, &[("a.txt", "file")]).await;
    world.work().await;
    let page = bob.page("/mail/2/1").await;
    assert!(
        page.contains("Could not be delivered")
            && page.contains("takes no mail at all")
            && page.contains("Look for another address"),
        "{page}"
    );
    let corrected = bob.page("/compose?answers=2.1&how=again&to=cy%40null.test").await;
    assert!(
        corrected.contains("value=\"cy@null.test\"")
            && corrected.contains("words")
            && corrected.contains("a.txt")
            && !corrected.contains("dee@a.test, "),
        "{corrected}"
    );
    let waiting = world.queue().len();
    let again = bob.post("/mail/message", "id=2.1&order=again&to=cy@null.test").await;
    assert_eq!((again.location.as_str(), world.queue().len()), ("/mail/2", waiting + 1));
}
