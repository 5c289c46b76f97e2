//! What a person likes: language, time zone, signatures.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn language_zone_and_signatures_are_the_persons_wherever_they_sign_in() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    let ann = Browser::of(&world, Role::Owner).await;
    ann.post("/people/alias", "order=add&address=sales&to=bob@box.test").await;
    let form = "language=de&zone=Asia/Tokyo&address=bob@box.test&signature=Bob\
                &address=sales@box.test&signature=Sales+team\
                &address=ann@box.test&signature=stolen";
    assert!(bob.post("/mail/settings", form).await.body.contains("Gespeichert"));
    // Another browser of the same person.
    let elsewhere = Browser::of(&world, Role::Worker).await;
    let page = elsewhere.page("/mail/settings").await;
    assert!(
        page.contains("lang=\"de\"")
            && page.contains("value=\"Asia/Tokyo\"")
            && page.contains("Sales team")
            && !page.contains("stolen"),
        "{page}"
    );
    assert!(elsewhere.page("/compose").await.contains("data-signature=\"Sales team\""));
    assert!(ann.page("/home").await.contains("lang=\"en\""));
    let message = "From: cy@a.test\r\nDate: Mon, 21 Sep 2020 14:13:20 +0000\r\n\r\nx\r\n";
    tokio::task::block_in_place(|| deliver(&world, BOB, message));
    let page = elsewhere.page("/mail/1/2").await;
    assert!(page.contains("21. Sept. 2020, 23:13"), "{page}");
    assert!(
        bob.post("/mail/settings", "zone=Nowhere/City")
            .await
            .body
            .contains("There is no time zone")
            || bob.page("/mail/settings").await.contains("Asia/Tokyo")
    );
    let form = "language=en&back=/mail/settings";
    let choose = ask(&world, request(Method::POST, "/language", &bob.cookie, form)).await;
    assert!(
        choose.cookie.contains("language=en")
            && elsewhere.page("/mail/settings").await.contains("lang=\"en\"")
    );
}
