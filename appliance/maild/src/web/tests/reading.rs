//! What the page of a message shows: all that was written, in its order, in the right letters.

use super::*;

/// Opens the `number`th message of Bob's inbox that is delivered in a test: page, document, quote.
async fn opened(world: &World, bob: &str, number: usize) -> [String; 3] {
    let uid = number + 1;
    let get = async |path: String| ask(world, request(Method::GET, &path, bob, "")).await.body;
    [get(format!("/mail/1/{uid}")).await, get(format!("/mail/1/{uid}/html")).await, get(format!("/compose?answers=1.{uid}&how=reply")).await]
}

/// Where texts stand in another, each behind the one before.
fn in_order(whole: &str, texts: &[&str]) -> bool {
    let mut at = 0;
    texts.iter().all(|text| whole[at..].find(text).map(|found| at += found + text.len()).is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_texts_of_a_letter_are_shown_quoted_and_found() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let head = "From: cy@a.test\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    let picture = format!(
        "--b\r\nContent-Type: image/png; name=p.png\r\nContent-Disposition: inline; filename=p.png\r\nContent-Transfer-Encoding: base64\r\n\r\n{png}\r\n"
    );
    let messages = [
        format!(
            "{head}--b\r\nContent-Type: text/html\r\n\r\n<p>FIRST<table><tr><td>\r\n{picture}--b\r\nContent-Type: text/html\r\n\r\n<p>SECOND &lt; 300\r\n\
             --b\r\nContent-Type: application/pdf; name=offer.pdf\r\n\r\nx\r\n--b\r\nContent-Type: text/plain\r\n\r\nTHIRD <b>\r\n--b--\r\n"
        ),
        "From: cy@a.test\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary=gone\r\n\r\nFIRST\r\nSECOND\r\nTHIRD\r\n".into(),
        "From: cy@a.test\r\nSubject: s\r\nContent-Type: text/html; name=body.html\r\n\r\n<p>FIRST<p>SECOND<p>THIRD\r\n".into(),
    ];
    tokio::task::block_in_place(|| messages.iter().for_each(|message| deliver(&world, BOB, message)));
    let texts = ["FIRST", "SECOND", "THIRD"];
    for number in 1..=messages.len() {
        let [page, document, quote] = opened(&world, &bob, number).await;
        let shown = if page.contains("<iframe") { &document } else { &page };
        assert!(in_order(shown, &texts) && in_order(&quote, &texts), "{number}: {shown} {quote}");
        assert!(!page.contains("body.html") && page.contains("offer.pdf") == (number == 1), "{page}");
    }
    let [page, document, _] = opened(&world, &bob, 1).await;
    // Nothing that one piece left open swallows the next, and nothing of a plain text is markup.
    assert!(in_order(&document, &["FIRST", "</table>", "data:image/png;base64,", "SECOND &lt; 300", "THIRD &lt;b&gt;"]), "{document}");
    assert!(!page.contains("(text/html)") && page.contains("p.png"), "{page}");
    let store = world.context.store.clone();
    tokio::task::block_in_place(|| crate::mail::index::rebuild(&store, &world.context.settings().config.data).unwrap());
    let found = ask(&world, request(Method::GET, "/mail/1?q=third", &bob, "")).await.body;
    assert_eq!(found.matches("row-mail").count(), messages.len(), "{found}");
}
