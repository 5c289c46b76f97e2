//! The pages about the machine, with the program that changes it on a folder in the machine's place.

use super::*;

/// The program that does what needs root, on a folder that stands for the system.
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

#[tokio::test(flavor = "multi_thread")]
async fn the_network_is_changed_and_the_new_address_confirmed_where_it_is() {
    let world = world().await;
    let owner = cookie(&world, Role::Owner).await;
    assert!(
        ask(&world, request(Method::GET, "/network", &owner, ""))
            .await
            .body
            .contains("not in its own box")
    );
    // A box whose helper is not there yet is a box all the same, and says that it starts.
    world.change_config(|config| config.privop = "/nonexistent/privop.sock".into());
    let page = ask(&world, request(Method::GET, "/network", &owner, "")).await.body;
    assert!(page.contains("Use this address") && !page.contains("not in its own box"), "{page}");
    assert!(
        post(&world, "/network", &owner, "order=zone&zone=Europe/Berlin")
            .await
            .body
            .contains("is still starting")
    );
    let root = machine(&world);
    let read =
        |name: &str| std::fs::read_to_string(root.path().join("data/system").join(name)).ok();
    let page = ask(&world, request(Method::GET, "/network", &owner, "")).await.body;
    assert!(page.contains("Use this address") && !page.contains("Yes, keep it"), "{page}");
    let wrong =
        post(&world, "/network", &owner, "order=cable&address=192.168.1.7/24&gateway=10.0.0.1")
            .await;
    assert!(
        wrong.status == StatusCode::BAD_REQUEST
            && wrong.body.contains("must be another address")
            && wrong.body.contains("value=\"192.168.1.7/24\""),
        "{}",
        wrong.body
    );
    assert!(read("network/10-owner.network").is_none());
    let page = post(
        &world,
        "/network",
        &owner,
        "order=cable&address=192.168.1.7/24&gateway=192.168.1.1&servers=9.9.9.9",
    )
    .await
    .body;
    assert!(
        page.contains("http://192.168.1.7/network")
            && page.contains("unless you confirm")
            && !page.contains("Yes, keep it"),
        "{page}"
    );
    assert!(read("network/10-owner.network").unwrap().contains("Address=192.168.1.7/24"));
    // From the old address nothing is confirmed: that the page is seen here says nothing about there.
    let early = post(&world, "/network", &owner, "order=confirm").await;
    assert!(
        early.status == StatusCode::CONFLICT && read("network/10-owner.before").is_some(),
        "{}",
        early.body
    );
    let at = |method, body: &str| {
        let mut request = request(method, "/network", &owner, body);
        request
            .headers_mut()
            .insert(header::HOST, axum::http::HeaderValue::from_static("192.168.1.7"));
        request
            .headers_mut()
            .insert(header::ORIGIN, axum::http::HeaderValue::from_static("http://192.168.1.7"));
        request
    };
    let page = ask(&world, at(Method::GET, "")).await.body;
    assert!(page.contains("Yes, keep it"), "{page}");
    let kept =
        ask(&world, at(Method::POST, &format!("order=confirm&token={}", token_in(&page)))).await;
    assert!(
        kept.body.contains("The new address stays") && !kept.body.contains("Yes, keep it"),
        "{}",
        kept.body
    );
    assert!(
        read("network/10-owner.before").is_none() && read("network/10-owner.network").is_some()
    );
    assert!(
        post(
            &world,
            "/network",
            &owner,
            "order=wireless&ssid=Caf%C3%A9&password=eight+%22letters%22&country=de"
        )
        .await
        .body
        .contains("joins the Wi-Fi")
    );
    assert!(read("wifi.conf").unwrap().contains(
        "country=DE\nnetwork={\n  ssid=436166c3a9\n  scan_ssid=1\n  psk=\"eight \"letters\"\"\n"
    ));
    assert!(
        post(&world, "/network", &owner, "order=name&name=Post")
            .await
            .body
            .contains("has its new name")
            && read("hostname").as_deref() == Some("post\n")
    );
    assert!(
        post(&world, "/network", &owner, "order=zone&zone=Europe/Berlin")
            .await
            .body
            .contains("time zone is set")
            && read("zone").as_deref() == Some("Europe/Berlin\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machine_is_asked_for_updates_and_restarts() {
    let world = world().await;
    let owner = cookie(&world, Role::Owner).await;
    let page = ask(&world, request(Method::GET, "/system", &owner, "")).await.body;
    assert!(page.contains("not in its own box") && !page.contains("Switch it off"), "{page}");
    let root = machine(&world);
    // What knows the two systems does not answer here, as it does not in a box's first seconds.
    let page = ask(&world, request(Method::GET, "/system", &owner, "")).await.body;
    assert!(page.contains("Switch it off") && page.contains("not known at the moment"), "{page}");
    assert!(
        post(&world, "/system", &owner, "order=restart").await.body.contains("The box restarts")
    );
    // An update that was not kept is told of, until that was seen.
    assert!(!page.contains("was not kept"));
    std::fs::write(
        root.path().join("fell-back"),
        "pillarbox-9\nmail does not work here: <no answer>\n",
    )
    .unwrap();
    let page = ask(&world, request(Method::GET, "/system", &owner, "")).await.body;
    assert!(
        page.contains("An update was not kept")
            && page.contains("pillarbox-9")
            && page.contains("&#60;no answer&#62;"),
        "{page}"
    );
    assert!(
        ask(&world, request(Method::GET, "/home", &owner, ""))
            .await
            .body
            .contains("tried and not kept")
    );
    assert!(!post(&world, "/system", &owner, "order=seen").await.body.contains("was not kept"));
    assert!(
        !ask(&world, request(Method::GET, "/home", &owner, ""))
            .await
            .body
            .contains("tried and not kept")
    );
    // A reset needs the owner's own address, typed.
    assert_eq!(
        post(&world, "/system", &owner, "order=reset&confirm=yes").await.status,
        StatusCode::BAD_REQUEST
    );
    assert!(!root.path().join("data/system/reset").exists());
    assert!(
        post(&world, "/system", &owner, "order=reset&confirm=ANN@box.test")
            .await
            .body
            .contains("is empty then")
    );
    assert!(root.path().join("data/system/reset").exists());
    let token = token_in(&ask(&world, request(Method::GET, "/system", &owner, "")).await.body);
    let send = async |name: &str, token: &str| {
        ask(&world, multipart("/system/update", &owner, &[("token", token)], &[(name, "bundle")]))
            .await
    };
    assert!(send("pillarbox-2.raucb", &token).await.body.contains("The update is installed"));
    assert!(!root.path().join("pillarbox-2.raucb").exists(), "what was installed takes no room");
    assert!(send("../evil.img", &token).await.body.contains("was not installed"));
    assert_eq!(send("pillarbox-2.raucb", "x").await.status, StatusCode::FORBIDDEN);
    assert!(!root.path().join("pillarbox-2.raucb").exists());
}
