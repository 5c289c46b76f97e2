//! The pages about the machine, with the program that changes it on a folder in the machine's place.

use super::*;

/// The program that does what needs root, on a folder in place of the system.
fn machine(world: &World) -> tempfile::TempDir {
    use pillarbox_host::Caller;
    use pillarbox_host::serve::{System, serve};
    let root = tempfile::tempdir().unwrap();
    let (socket, folder) = (root.path().join("privop.sock"), root.path().to_path_buf());
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            serve(&stream, &stream, Some(Caller::Server), &System::rehearsed(&folder)).unwrap();
        }
    });
    world.change_config(|config| {
        (config.privop, config.updates) = (socket.clone(), root.path().to_path_buf())
    });
    root
}

/// A file that the program wrote.
fn written(root: &tempfile::TempDir, name: &str) -> Option<String> {
    std::fs::read_to_string(root.path().join("data/system").join(name)).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_whose_helper_is_not_there_yet_says_that_it_starts() {
    let world = world().await;
    let ann = Browser::of(&world, Role::Owner).await;
    assert!(ann.page("/network").await.contains("not in its own box"));
    world.change_config(|config| config.privop = "/nonexistent/privop.sock".into());
    let page = ann.page("/network").await;
    assert!(page.contains("Use this address") && !page.contains("not in its own box"), "{page}");
    let answer = ann.post("/network", "order=zone&zone=Europe/Berlin").await;
    assert!(answer.body.contains("is still starting"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_address_is_confirmed_where_it_is() {
    let world = world().await;
    let ann = Browser::of(&world, Role::Owner).await;
    let root = machine(&world);
    let page = ann.page("/network").await;
    assert!(page.contains("Use this address") && !page.contains("Yes, keep it"), "{page}");
    let wrong = "order=cable&address=192.168.1.7/24&gateway=10.0.0.1";
    let wrong = ann.post("/network", wrong).await;
    assert!(
        wrong.status == StatusCode::BAD_REQUEST
            && wrong.body.contains("must be another address")
            && wrong.body.contains("value=\"192.168.1.7/24\""),
        "{}",
        wrong.body
    );
    assert!(written(&root, "network/10-owner.network").is_none());
    let good = "order=cable&address=192.168.1.7/24&gateway=192.168.1.1&servers=9.9.9.9";
    let page = ann.post("/network", good).await.body;
    assert!(
        page.contains("http://192.168.1.7/network")
            && page.contains("unless you confirm")
            && !page.contains("Yes, keep it"),
        "{page}"
    );
    let network = written(&root, "network/10-owner.network").unwrap();
    assert!(network.contains("Address=192.168.1.7/24"));
    // From the old address nothing is confirmed: that the page is seen here says nothing about there.
    let early = ann.post("/network", "order=confirm").await;
    assert!(
        early.status == StatusCode::CONFLICT && written(&root, "network/10-owner.before").is_some(),
        "{}",
        early.body
    );
    let at_new_address = |method, body: &str| {
        let mut request = request(method, "/network", &ann.cookie, body);
        let headers = request.headers_mut();
        headers.insert(header::HOST, axum::http::HeaderValue::from_static("192.168.1.7"));
        headers.insert(header::ORIGIN, axum::http::HeaderValue::from_static("http://192.168.1.7"));
        request
    };
    let page = ask(&world, at_new_address(Method::GET, "")).await.body;
    assert!(page.contains("Yes, keep it"), "{page}");
    let form = format!("order=confirm&token={}", token_in(&page));
    let kept = ask(&world, at_new_address(Method::POST, &form)).await;
    assert!(
        kept.body.contains("The new address stays") && !kept.body.contains("Yes, keep it"),
        "{}",
        kept.body
    );
    assert!(
        written(&root, "network/10-owner.before").is_none()
            && written(&root, "network/10-owner.network").is_some()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wireless_name_and_time_zone_are_set() {
    let world = world().await;
    let ann = Browser::of(&world, Role::Owner).await;
    let root = machine(&world);
    let wireless = "order=wireless&ssid=Caf%C3%A9&password=eight+%22letters%22&country=de";
    assert!(ann.post("/network", wireless).await.body.contains("joins the Wi-Fi"));
    assert!(written(&root, "wifi.conf").unwrap().contains(
        "country=DE\nnetwork={\n  ssid=436166c3a9\n  scan_ssid=1\n  psk=\"eight \"letters\"\"\n"
    ));
    assert!(
        ann.post("/network", "order=name&name=Post").await.body.contains("has its new name")
            && written(&root, "hostname").as_deref() == Some("post\n")
    );
    let zone = ann.post("/network", "order=zone&zone=Europe/Berlin").await;
    assert!(
        zone.body.contains("time zone is set")
            && written(&root, "zone").as_deref() == Some("Europe/Berlin\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_restarts_and_a_server_elsewhere_does_not() {
    let world = world().await;
    let ann = Browser::of(&world, Role::Owner).await;
    let page = ann.page("/system").await;
    assert!(page.contains("not in its own box") && !page.contains("Switch it off"), "{page}");
    let _root = machine(&world);
    // What knows the two systems does not answer here, as it does not in a box's first seconds.
    let page = ann.page("/system").await;
    assert!(page.contains("Switch it off") && page.contains("not known at the moment"), "{page}");
    assert!(ann.post("/system", "order=restart").await.body.contains("The box restarts"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_was_not_kept_is_reported_until_that_was_seen() {
    let world = world().await;
    let ann = Browser::of(&world, Role::Owner).await;
    let root = machine(&world);
    assert!(!ann.page("/system").await.contains("was not kept"));
    let reason = "pillarbox-9\nmail does not work here: <no answer>\n";
    std::fs::write(root.path().join("fell-back"), reason).unwrap();
    let page = ann.page("/system").await;
    assert!(
        page.contains("An update was not kept")
            && page.contains("pillarbox-9")
            && page.contains("&#60;no answer&#62;"),
        "{page}"
    );
    assert!(ann.page("/home").await.contains("tried and not kept"));
    assert!(!ann.post("/system", "order=seen").await.body.contains("was not kept"));
    assert!(!ann.page("/home").await.contains("tried and not kept"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_needs_the_owners_own_address() {
    let world = world().await;
    let ann = Browser::of(&world, Role::Owner).await;
    let root = machine(&world);
    let wrong = ann.post("/system", "order=reset&confirm=yes").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(!root.path().join("data/system/reset").exists());
    let reset = ann.post("/system", "order=reset&confirm=ANN@box.test").await;
    assert!(reset.body.contains("is empty then"));
    assert!(root.path().join("data/system/reset").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_installed_and_takes_no_room_afterwards() {
    let world = world().await;
    let ann = Browser::of(&world, Role::Owner).await;
    let root = machine(&world);
    let token = token_in(&ann.page("/system").await);
    let send = async |name: &str, token: &str| {
        ann.send("/system/update", &[("token", token)], &[(name, "bundle")]).await
    };
    assert!(send("pillarbox-2.raucb", &token).await.body.contains("The update is installed"));
    assert!(!root.path().join("pillarbox-2.raucb").exists());
    assert!(send("../evil.img", &token).await.body.contains("was not installed"));
    assert_eq!(send("pillarbox-2.raucb", "x").await.status, StatusCode::FORBIDDEN);
    assert!(!root.path().join("pillarbox-2.raucb").exists());
}
