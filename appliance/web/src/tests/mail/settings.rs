//! What a person likes: language, time zone, signatures.

use super::*;

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
