//! Answers: to whom they go, from whom they come, and what is written above the quote.

use super::*;

/// The value of a text field of a page's form, as a browser would send it back.
fn typed_in(page: &str, name: &str) -> String {
    let field = page.split(&format!("name=\"{name}\"")).nth(1).unwrap().split('>').next().unwrap();
    let value = field.split("value=\"").nth(1).unwrap_or_default().split('"').next().unwrap();
    value.replace("&#34;", "\"").replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&")
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_go_where_people_expect_and_nowhere_else() {
    let world = world().await;
    let (bob, owner) = (cookie(&world, Role::Worker).await, cookie(&world, Role::Owner).await);
    for (name, to) in [("info", "bob@box.test"), ("sales", "bob@box.test%0Aann@box.test")] {
        post(&world, "/people/alias", &owner, &format!("order=add&address={name}&to={to}")).await;
    }
    post(&world, "/mail/settings", &bob, "undo=0").await;
    let get = async |path: &str| ask(&world, request(Method::GET, path, &bob, "")).await.body;
    let message = "From: \"Miller, Hans\" <h@a.test>\r\n\
        To: info@box.test, \"Doe, Jane\" <jane@a.test>\r\nDate: Thu, 26 Nov 2026 08:00:00 +0000\r\n\
        Message-ID: <n@a.test>\r\n\
        Subject: names\r\n\r\nhello\r\n";
    tokio::task::block_in_place(|| deliver(&world, BOB, message));
    let page = get("/compose?answers=1.2&how=all").await;
    let (to, cc) = (typed_in(&page, "to"), typed_in(&page, "cc"));
    assert_eq!(
        (to.as_str(), cc.as_str()),
        ("\"Miller, Hans\" <h@a.test>", "\"Doe, Jane\" <jane@a.test>"),
        "{page}"
    );
    assert!(
        page.contains("26 Nov 2026, ") && page.contains("(UTC") && !page.contains("today"),
        "{page}"
    );
    assert!(get("/compose?answers=1.2&how=forward").await.contains("Date: 26 Nov 2026, "));
    // What the form says itself is taken, and goes to these.
    let token = token_in(&page);
    let send = async |to: &str, cc: &str| {
        let fields = [
            ("token", token.as_str()),
            ("to", to),
            ("cc", cc),
            ("subject", "Re: names"),
            ("body", "my words"),
            ("order", "send"),
        ];
        ask(&world, multipart("/compose", &bob, &fields, &[])).await
    };
    assert_eq!(send(&to, &cc).await.location, "/mail/2");
    let mut queued: Vec<String> =
        world.queue().iter().map(|waiting| waiting.address.clone()).collect();
    queued.sort();
    assert_eq!(queued, ["h@a.test", "jane@a.test"]);
    assert!(get("/mail/2/1/raw").await.contains("To: \"Miller, Hans\" <h@a.test>"));
    // The sent one, answered: those it went to.
    let page = get("/compose?answers=2.1&how=all").await;
    assert_eq!((typed_in(&page, "to"), typed_in(&page, "cc")), (to, cc), "{page}");
    let page = get("/compose?answers=2.1&how=reply").await;
    assert_eq!(typed_in(&page, "to"), "\"Miller, Hans\" <h@a.test>", "{page}");
    // No stranger's address is made of what was typed wrongly.
    for wrong in ["Hans bob@remote.test", "first last@remote.test", "x@localhost"] {
        let answer = send(wrong, "").await;
        assert!(
            answer.status == StatusCode::BAD_REQUEST
                && answer.body.contains(wrong)
                && answer.body.contains("my words"),
            "{}",
            answer.body
        );
    }
    assert_eq!(world.queue().len(), 2);
}
