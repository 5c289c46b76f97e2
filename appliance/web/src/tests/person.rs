//! A person's own matters: passwords, programs, what these did.

use pillarbox_store::{Service, SetSetting};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_passwords_are_the_persons_own_business() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let page = ask(&world, request(Method::GET, "/programs", &bob, "")).await.body;
    let token = token_in(&page);
    let form = format!("token={token}&name=Reception+PC");
    let page = ask(&world, request(Method::POST, "/programs/device", &bob, &form)).await.body;
    let password =
        page.split("<code class=\"big\">").last().unwrap().split('<').next().unwrap().to_string();
    // A device's password opens its program, not the web.
    let form = format!("user={}&password={}", encoded(BOB), encoded(&password));
    let answer = ask(&world, request(Method::POST, "/login", "", &form)).await;
    assert!(answer.status == StatusCode::FORBIDDEN && answer.body.contains("mail program"));
    let page = ask(
        &world,
        request(Method::POST, "/programs/device", &bob, &format!("token={token}&remove=1")),
    )
    .await
    .body;
    assert!(page.contains("None yet."));
    let change = |old: &str, new: &str| {
        request(
            Method::POST,
            "/programs/password",
            &bob,
            &format!("token={token}&old={}&new={}", encoded(old), encoded(new)),
        )
    };
    assert_eq!(ask(&world, change("wrong", "a new long one")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(ask(&world, change(PASSWORD, "short")).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(ask(&world, change(PASSWORD, "a new long one")).await.status, StatusCode::SEE_OTHER);
    // The session from before is over.
    assert_eq!(ask(&world, request(Method::GET, "/programs", &bob, "")).await.location, "/login");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coach_shows_a_person_what_their_program_did() {
    use pillarbox_office::auth::Refusal;
    use pillarbox_office::history::What;
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let (near, far) = ("192.168.1.5".parse().unwrap(), "192.168.1.77".parse().unwrap());
    world.office.sign_ins.note(near, "pop3s", What::Connected, "", "");
    assert_eq!(
        world.office.sign_ins.verify(Service::Pop3, "bob", "x", far).await,
        Err(Refusal::ShortName)
    );
    assert_eq!(
        world.office.sign_ins.verify(Service::Submission, BOB, "<wrong>", far).await,
        Err(Refusal::Wrong)
    );
    world.office.sign_ins.note(far, "pop3s", What::TlsFailed, "", "");
    let page = ask(&world, request(Method::GET, "/coach", &bob, "")).await.body;
    assert!(
        page.contains("POP3, port 995")
            && page.contains("full address")
            && page.contains("was wrong")
    );
    assert!(!page.contains("broke the encryption off"), "somebody else's machine");
    // It is in the history of sign-ins, too: that is written with the next commit.
    world.office.store.change(SetSetting { key: "x".into(), value: None }).done().await.unwrap();
    let page = ask(&world, request(Method::GET, "/security", &bob, "")).await.body;
    assert!(page.contains("192.168.1.77") && page.contains("refused"));
}
