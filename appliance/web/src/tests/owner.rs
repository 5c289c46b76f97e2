//! The owner's pages: set-up, domains, line, doctor, people.

use super::*;
use pillarbox_office::claim;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_compared_with_what_should_be() {
    let world = world().await;
    let owner = cookie(&world, Role::Owner).await;
    world.zone.mx("box.test", 10, "box.test");
    world.zone.txt("box.test", "v=spf1 include:elsewhere.test -all");
    world.zone.silence("_dmarc.box.test");
    let body = ask(&world, request(Method::GET, "/domains", &owner, "")).await.body;
    assert!(
        !body.contains(">right<") && !body.contains(">missing<"),
        "nothing is claimed that was not looked at"
    );
    let body = ask(&world, request(Method::GET, "/domains?check=now", &owner, "")).await.body;
    assert!(
        body.contains(">right<")
            && body.contains(">different<")
            && body.contains(">missing<")
            && body.contains(">could not be looked up<"),
        "{body}"
    );
    assert!(body.contains("v=spf1 include:elsewhere.test -all"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_shows_the_way_and_sends_nothing() {
    use pillarbox_outbound::tests::peer::Script;
    let world = world().await;
    let script =
        Script { recipients: vec![("no@a.test", "550 5.1.1 unknown")], ..Script::default() };
    let peer = world.server("a.test", 1, 10, vec![script]).await;
    let owner = cookie(&world, Role::Owner).await;
    let page = ask(&world, request(Method::GET, "/doctor", &owner, "")).await.body;
    let token = token_in(&page);
    let examine = async |address: &str| {
        let form = format!("token={token}&address={}", encoded(address));
        ask(&world, request(Method::POST, "/doctor", &owner, &form)).await.body
    };
    let page = examine("yes@a.test").await;
    assert!(
        page.contains("mx1.test said: 250 2.1.5 ok")
            && page.contains("EHLO box.test")
            && !page.contains("trouble"),
        "{page}"
    );
    let page = examine("no@a.test").await;
    assert!(page.contains("550 5.1.1 unknown") && page.contains("does not exist"), "{page}");
    assert!(examine("x@nowhere.test").await.contains("does not exist on the internet"));
    assert!(peer.taken().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_stay_quick_with_much_mail_and_a_long_queue() {
    let world = world().await;
    let recipients: Vec<String> = (0..1000).map(|n| format!("r{n}@d{}.test", n % 97)).collect();
    tokio::task::block_in_place(|| {
        (0..10).for_each(|_| {
            world.enqueue_at(&recipients, world.at().plus(std::time::Duration::from_secs(1000)))
        })
    });
    let owner = cookie(&world, Role::Owner).await;
    for path in ["/home", "/queue", "/find?q=r5@d5.test"] {
        let answer = ask(&world, request(Method::GET, path, &owner, "")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.body.len() < 100_000, "{path} has {} octets", answer.body.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_set_up_is_left_and_taken_up_again_where_it_was() {
    let world = World::around(pillarbox_office::world::World::empty().await);
    let (data, office) = (world.office.settings.get().data.clone(), &world.office);
    claim::prepare(&data, &office.store).unwrap();
    let code = claim::current(&data).unwrap();
    assert_eq!(ask(&world, request(Method::GET, "/", "", "")).await.location, "/setup");
    let form = |code: &str| {
        format!("code={code}&domain=box.test&local=ann&name=Ann&password={}", encoded(PASSWORD))
    };
    assert_eq!(
        ask(&world, request(Method::POST, "/setup", "", &form("0000000"))).await.status,
        StatusCode::BAD_REQUEST
    );
    let claimed =
        ask(&world, request(Method::POST, "/setup", "", &form(&code.to_lowercase()))).await;
    let owner = claimed.cookie.split(';').next().unwrap().to_string();
    assert_eq!((claimed.status, claim::current(&data)), (StatusCode::SEE_OTHER, None));
    let start = async || ask(&world, request(Method::GET, "/", &owner, "")).await.location;
    assert_eq!(start().await, "/name");
    assert_eq!(
        post(&world, "/name", &owner, "name=not+a+name").await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(post(&world, "/name", &owner, "name=Mail.Box.test").await.location, "/line");
    assert_eq!(world.office.settings.get().hostname(), "mail.box.test");
    assert!(world.office.certificates.facts().names("mail.box.test"));
    assert_eq!(post(&world, "/setup/next", &owner, "step=line").await.location, "/domains");
    // Another browser, another day: where it was left.
    let again = cookie(&world, Role::Owner).await;
    assert_eq!(ask(&world, request(Method::GET, "/", &again, "")).await.location, "/domains");
    let page = ask(&world, request(Method::GET, "/domains", &again, "")).await.body;
    assert!(page.contains("class=\"wizard\"") && page.contains("mail.box.test."));
    for (step, next) in [
        ("dns", "/certificate"),
        ("certificate", "/people"),
        ("people", "/round"),
        ("test", "/home"),
    ] {
        assert_eq!(
            post(&world, "/setup/next", &again, &format!("step={step}")).await.location,
            next
        );
    }
    assert_eq!(start().await, "/home");
    assert!(
        !ask(&world, request(Method::GET, "/domains", &again, ""))
            .await
            .body
            .contains("class=\"wizard\"")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_is_examined_and_a_provider_is_kept_only_when_it_works() {
    use pillarbox_outbound::tests::peer::Script;
    let world = world().await;
    world.change_config(|config| {
        config.line.probes = vec!["big.test".into()];
        config.line.lists = vec!["list.test".into(), "dialup.test".into(), "broken.test".into()];
    });
    let owner = cookie(&world, Role::Owner).await;
    let look = async || ask(&world, request(Method::GET, "/line?check=now", &owner, "")).await.body;
    assert!(
        look().await.contains("Send through a provider: directly"),
        "nobody answers on port 25"
    );
    let script =
        Script { abilities: vec!["PIPELINING", "XSEEN [203.0.113.9]"], ..Script::default() };
    let _big = world.server("big.test", 1, 10, vec![script.clone(), script.clone(), script]).await;
    world.zone.pointer("9.113.0.203.in-addr.arpa", "mail.box.test");
    world.zone.address("mail.box.test", "203.0.113.9".parse().unwrap());
    world.office.handles.dns.clear_cache();
    let page = look().await;
    assert!(
        page.contains("Your line is fit for sending directly")
            && page.contains("203.0.113.9")
            && page.contains("mail.box.test"),
        "{page}"
    );
    world.zone.address("9.113.0.203.dialup.test", "127.0.0.11".parse().unwrap());
    world.zone.address("9.113.0.203.broken.test", "127.255.255.254".parse().unwrap());
    world.office.handles.dns.clear_cache();
    let page = look().await;
    assert!(
        page.contains("list of lines that should not send") && page.contains("broken.test"),
        "{page}"
    );
    // A provider that does not answer is not kept.
    let form = "order=save&host=smtp.nowhere.test&port=2525&user=me&password=x&to=me@a.test";
    let page = post(&world, "/line", &owner, form).await;
    assert!(
        page.body.contains("nothing was changed")
            && world.office.store.read(|r| r.routes()).unwrap().is_empty(),
        "{}",
        page.body
    );
    assert_eq!(
        post(&world, "/line", &owner, "order=save&host=bad+host&user=me&password=x&to=me@a.test")
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    let preset =
        ask(&world, request(Method::GET, "/line?preset=smtp.gmail.com", &owner, "")).await.body;
    assert!(preset.contains("value=\"smtp.gmail.com\"") && preset.contains("app password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_gives_a_new_password_once() {
    let world = world().await;
    let owner = cookie(&world, Role::Owner).await;
    let bob = cookie(&world, Role::Worker).await;
    let page = post(&world, "/people/bob@box.test", &owner, "order=link").await.body;
    let link = page.split("/welcome/").nth(1).unwrap().split('<').next().unwrap().to_string();
    let path = format!("/welcome/{link}");
    assert!(ask(&world, request(Method::GET, &path, "", "")).await.body.contains(BOB));
    assert_eq!(
        ask(&world, request(Method::POST, &path, "", "password=short")).await.status,
        StatusCode::BAD_REQUEST
    );
    let chosen = ask(&world, request(Method::POST, &path, "", "password=bobs+own+words")).await;
    assert_eq!((chosen.status, chosen.location.as_str()), (StatusCode::SEE_OTHER, "/"));
    // The old session is over, the link is used up, and can't be turned into a link for another person.
    assert_eq!(ask(&world, request(Method::GET, "/programs", &bob, "")).await.location, "/login");
    assert_eq!(
        ask(&world, request(Method::POST, &path, "", "password=somebody+elses")).await.status,
        StatusCode::NOT_FOUND
    );
    let form = format!("user={}&password=bobs+own+words", encoded(BOB));
    assert_eq!(
        ask(&world, request(Method::POST, "/login", "", &form)).await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_changed_and_removed_with_care() {
    let world = world().await;
    let owner = cookie(&world, Role::Owner).await;
    let page =
        post(&world, "/people", &owner, "address=cy&name=Cy&how=choose&password=short").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    let page = post(&world, "/people", &owner, "address=cy&name=Cy&how=make").await.body;
    assert!(page.contains("cy@box.test has a mailbox now") && page.contains("code class=\"big\""));
    assert!(
        post(&world, "/people/alias", &owner, "order=add&address=info&to=cy@box.test,bob@box.test")
            .await
            .status
            .is_redirection()
    );
    assert!(
        post(&world, "/people/alias", &owner, "order=add&address=*@box.test&to=ann")
            .await
            .status
            .is_redirection()
    );
    for wrong in [
        "address=info&to=nobody", "address=cy&to=bob", "address=x@other.test&to=bob",
        "address=y&to=",
    ] {
        assert_eq!(
            post(&world, "/people/alias", &owner, &format!("order=add&{wrong}")).await.status,
            StatusCode::BAD_REQUEST,
            "{wrong}"
        );
    }
    let list = ask(&world, request(Method::GET, "/people", &owner, "")).await.body;
    assert!(list.contains("*@box.test") && list.contains("info@box.test"));
    let saved =
        post(&world, "/people/cy@box.test", &owner, "order=save&name=Cyril&policy=trash&days=7")
            .await
            .body;
    assert!(saved.contains("value=\"Cyril\"") && saved.contains("value=\"7\""));
    assert_eq!(
        post(&world, "/people/cy@box.test", &owner, "order=remove&confirm=bob@box.test")
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        post(&world, "/people/ann@box.test", &owner, "order=remove&confirm=ann@box.test")
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    assert!(
        post(&world, "/people/cy@box.test", &owner, "order=remove&confirm=CY@box.test")
            .await
            .status
            .is_redirection()
    );
    assert_eq!(
        ask(&world, request(Method::GET, "/people/cy@box.test", &owner, "")).await.status,
        StatusCode::NOT_FOUND
    );
}
