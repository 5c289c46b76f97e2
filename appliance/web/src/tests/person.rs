//! A person's own matters: passwords, second factor, sign-ins, the mail programs and what they ask for.

use pillarbox_store::{AddDomain, BeginSession, SeeSession, Service, SetSetting};

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
async fn mail_programs_find_their_settings_and_names_stay_in_their_place() {
    let world = world().await;
    let answer = ask(
        &world,
        request(Method::GET, "/mail/config-v1.1.xml?emailaddress=x@evil%22%3E.example", "", ""),
    )
    .await;
    assert!(
        answer.body.contains("<emailProvider id=\"box.test\">")
            && answer.body.contains("%EMAILADDRESS%")
    );
    let owner = cookie(&world, Role::Owner).await;
    let answer =
        ask(&world, request(Method::GET, "/find?q=%3Cscript%3Ealert(1)%3C/script%3E", &owner, ""))
            .await;
    assert!(!answer.body.contains("<script>alert"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_asked_for_and_programs_need_their_own_passwords() {
    use pillarbox_office::auth::Refusal;
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let page = post(&world, "/security", &bob, "order=offer").await.body;
    let sealed = hidden_in(&page, "sealed");
    let wrong =
        post(&world, "/security", &bob, &format!("order=confirm&sealed={sealed}&code=000000"))
            .await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    // Another's sealed secret is nobody else's.
    let owner = cookie(&world, Role::Owner).await;
    assert_eq!(
        post(&world, "/security", &owner, &format!("order=confirm&sealed={sealed}&code=000000"))
            .await
            .status,
        StatusCode::FORBIDDEN
    );
    let octets: Vec<u8> = (0..sealed.len() / 2)
        .map(|n| u8::from_str_radix(&sealed[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    let account = world.office.store.read(|r| r.account(BOB)).unwrap().unwrap().0;
    let secret =
        world.office.handles.secrets.open_sealed(&format!("offer:{}", account.0), &octets).unwrap();
    let code = |step: u64| code_of(&secret, step);
    let step = clock::now() / 30;
    let page = post(
        &world,
        "/security",
        &bob,
        &format!("order=confirm&sealed={sealed}&code={}", code(step)),
    )
    .await
    .body;
    let recovery = page
        .split("<li><code class=\"big\">")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_string();
    // Now the password alone opens nothing.
    let form = format!("user={}&password={}", encoded(BOB), encoded(PASSWORD));
    let half = async || ask(&world, request(Method::POST, "/login", "", &form)).await;
    let answer = half().await;
    assert!(answer.cookie.is_empty() && answer.body.contains("name=\"pending\""));
    let pending = hidden_in(&answer.body, "pending");
    let try_code = async |pending: &str, code: &str| {
        ask(
            &world,
            request(Method::POST, "/login/code", "", &format!("pending={pending}&code={code}")),
        )
        .await
    };
    assert_eq!(
        try_code(&pending, &code(step)).await.status,
        StatusCode::FORBIDDEN,
        "the code that switched it on is used up"
    );
    assert_eq!(try_code("nonsense", "000000").await.status, StatusCode::FORBIDDEN);
    let inside = try_code(&pending, &recovery).await;
    assert!(inside.status.is_redirection() && !inside.cookie.is_empty());
    assert_eq!(try_code(&pending, &recovery).await.status, StatusCode::FORBIDDEN);
    // Five wrong codes end the half sign-in.
    let pending = hidden_in(&half().await.body, "pending");
    for _ in 0..5 {
        assert!(try_code(&pending, "111111").await.body.contains("That code is wrong"));
    }
    assert!(try_code(&pending, "111111").await.body.contains("too many wrong codes"));
    let program = world
        .office
        .sign_ins
        .verify(Service::Pop3, BOB, PASSWORD, "192.168.1.9".parse().unwrap())
        .await;
    assert_eq!(program, Err(Refusal::NeedsDevicePassword));
    assert!(Refusal::NeedsDevicePassword.to_string().contains("password for this program"));
    let page = ask(&world, request(Method::GET, "/security", &bob, "")).await.body;
    assert!(page.contains("7 recovery codes are left"), "{page}");
    assert_eq!(
        post(&world, "/security", &bob, "order=off&password=wrong").await.status,
        StatusCode::FORBIDDEN
    );
    assert!(
        post(&world, "/security", &bob, &format!("order=off&password={}", encoded(PASSWORD)))
            .await
            .status
            .is_redirection()
    );
    assert!(half().await.status.is_redirection());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coach_tells_a_person_what_their_program_did() {
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
    // And it is in the history of sign-ins, which nobody waits for: one more write, and it is there.
    world.office.store.change(SetSetting { key: "x".into(), value: None }).done().await.unwrap();
    let page = ask(&world, request(Method::GET, "/security", &bob, "")).await.body;
    assert!(page.contains("192.168.1.77") && page.contains("refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_and_servers_find_what_they_ask_for() {
    let world = world().await;
    let pox =
        "<Autodiscover><Request><EMailAddress>ann@box.test</EMailAddress></Request></Autodiscover>";
    let mut outlook = request(Method::POST, "/autodiscover/autodiscover.xml", "", pox);
    outlook.headers_mut().remove(header::ORIGIN);
    let answer = ask_from(&world, "203.0.113.9", outlook).await;
    assert!(
        answer.status == StatusCode::OK
            && answer.body.contains("<LoginName>ann@box.test</LoginName>"),
        "{}",
        answer.body
    );
    let json = ask(
        &world,
        request(
            Method::GET,
            "/autodiscover/autodiscover.json?Email=a@box.test&Protocol=AutodiscoverV1",
            "",
            "",
        ),
    )
    .await;
    assert!(json.body.contains("\"Protocol\":\"AutodiscoverV1\""));
    // In any case, and with the address behind; from the internet, too.
    for path in [
        "/AUTODISCOVER/autodiscover.xml", "/AutoDiscover/AutoDiscover.xml",
        "/autodiscover/Autodiscover.xml",
    ] {
        let mut outlook = request(Method::POST, path, "", pox);
        outlook.headers_mut().remove(header::ORIGIN);
        assert!(
            ask_from(&world, "203.0.113.9", outlook)
                .await
                .body
                .contains("<LoginName>ann@box.test</LoginName>"),
            "{path}"
        );
    }
    for path in [
        "/autodiscover/autodiscover.json/v1.0/ann@box.test?Protocol=Autodiscoverv1",
        "/AutoDiscover/AutoDiscover.json/V1.0/ann%40box.test?protocol=autodiscoverv1",
    ] {
        let json = ask_from(&world, "203.0.113.9", request(Method::GET, path, "", "")).await;
        assert!(
            json.status == StatusCode::OK
                && json.body.contains("\"Url\":\"https://box.test/autodiscover/autodiscover.xml\""),
            "{path}: {}",
            json.body
        );
    }
    let settings = |host: &'static str, path: &'static str, is_secure: bool| {
        let mut request = request(Method::GET, path, "", "");
        request.headers_mut().insert(header::HOST, axum::http::HeaderValue::from_static(host));
        request.extensions_mut().insert(Link { peer: "203.0.113.9".parse().unwrap(), is_secure });
        router(world.site.clone()).oneshot(request)
    };
    world
        .office
        .store
        .change(AddDomain { name: "second.test".into(), at: 1 })
        .done()
        .await
        .unwrap();
    let answer = settings("autoconfig.second.test", "/mail/config-v1.1.xml", true).await.unwrap();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("<domain>second.test</domain>"));
    let bob = cookie(&world, Role::Worker).await;
    let profile =
        ask(&world, request(Method::GET, "/programs/pillarbox.mobileconfig", &bob, "")).await;
    assert!(
        profile.body.contains("<string>bob@box.test</string>")
            && profile.headers["content-type"].to_str().unwrap().contains("aspen")
    );
    // No policy is promised with a certificate that others don't believe.
    let policy = |host: &'static str| {
        let mut request = request(Method::GET, "/.well-known/mta-sts.txt", "", "");
        request.headers_mut().insert(header::HOST, axum::http::HeaderValue::from_static(host));
        request
    };
    assert_eq!(ask(&world, policy("mta-sts.box.test")).await.status, StatusCode::NOT_FOUND);
    world.install_certificate(&["box.test"]);
    // A domain's own name is rarely in the certificate: its settings are told without TLS.
    let plain = settings("second.test", "/.well-known/autoconfig/mail/config-v1.1.xml", false)
        .await
        .unwrap();
    assert_eq!(plain.status(), StatusCode::OK);
    let answer = ask_from(&world, "203.0.113.9", policy("mta-sts.box.test")).await;
    assert!(answer.body.contains("mode: enforce\r\nmx: box.test\r\n"), "{}", answer.body);
    assert_eq!(ask(&world, policy("box.test")).await.status, StatusCode::NOT_FOUND);
}

/// Switches Bob's second factor on: his secret, the step that was used for that, and his recovery codes.
async fn with_factor(world: &World, bob: &str) -> (Vec<u8>, u64, Vec<String>) {
    let page = post(world, "/security", bob, "order=offer").await.body;
    let sealed = hidden_in(&page, "sealed");
    let octets: Vec<u8> = (0..sealed.len() / 2)
        .map(|n| u8::from_str_radix(&sealed[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    let account = world.office.store.read(|r| r.account(BOB)).unwrap().unwrap().0;
    let secret =
        world.office.handles.secrets.open_sealed(&format!("offer:{}", account.0), &octets).unwrap();
    let step = clock::now() / 30;
    let page = post(
        world,
        "/security",
        bob,
        &format!("order=confirm&sealed={sealed}&code={}", code_of(&secret, step)),
    )
    .await
    .body;
    let codes = page
        .split("<li><code class=\"big\">")
        .skip(1)
        .map(|rest| rest.split('<').next().unwrap().to_string())
        .collect();
    (secret, step, codes)
}

fn code_of(secret: &[u8], step: u64) -> String {
    pillarbox_office::auth::factor::code(secret, step)
}

/// Signs in half: what the form for the code holds.
async fn half(world: &World) -> String {
    let form = format!("user={}&password={}", encoded(BOB), encoded(PASSWORD));
    hidden_in(&ask(world, request(Method::POST, "/login", "", &form)).await.body, "pending")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_counts_once_also_for_many_at_the_same_moment() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let (secret, step, codes) = with_factor(&world, &bob).await;
    for code in [code_of(&secret, step + 1), codes[0].clone(), codes[1].clone()] {
        let mut pending = Vec::new();
        for _ in 0..12 {
            pending.push(half(&world).await);
        }
        let tries = pending.into_iter().map(|pending| {
            let (site, form) = (world.site.clone(), format!("pending={pending}&code={code}"));
            tokio::spawn(async move {
                let mut request = request(Method::POST, "/login/code", "", &form);
                request
                    .extensions_mut()
                    .insert(Link { peer: "192.168.1.5".parse().unwrap(), is_secure: true });
                router(site)
                    .oneshot(request)
                    .await
                    .unwrap()
                    .headers()
                    .contains_key(header::SET_COOKIE)
            })
        });
        let tries: Vec<_> = tries.collect();
        let mut inside = 0;
        for one in tries {
            inside += usize::from(one.await.unwrap());
        }
        assert_eq!(inside, 1, "{code}");
        // Eleven wrong ones of one account: the wait that follows is not what is tried here.
        *world.site.memory.pending.lock().unwrap() = Default::default();
    }
    let page = ask(&world, request(Method::GET, "/security", &bob, "")).await.body;
    assert!(page.contains("6 recovery codes are left"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_programs_password_takes_no_second_factor_off_and_an_open_browser_puts_no_other_in_its_place()
 {
    use pillarbox_office::auth::factor;
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    with_factor(&world, &bob).await;
    let page = post(&world, "/programs/device", &bob, "name=PC").await.body;
    let device =
        page.split("<code class=\"big\">").last().unwrap().split('<').next().unwrap().to_string();
    let off =
        post(&world, "/security", &bob, &format!("order=off&password={}", encoded(&device))).await;
    let account = world.office.store.read(|r| r.account(BOB)).unwrap().unwrap().0;
    let now = || world.office.store.read(|r| r.factor(account)).unwrap();
    let known = now().unwrap();
    assert_eq!(off.status, StatusCode::FORBIDDEN);
    let secret = factor::generate().unwrap();
    let sealed = crate::session::hex(
        &world.office.handles.secrets.seal(&format!("offer:{}", account.0), &secret).unwrap(),
    );
    let other = post(
        &world,
        "/security",
        &bob,
        &format!("order=confirm&sealed={sealed}&code={}", code_of(&secret, clock::now() / 30)),
    )
    .await;
    assert_eq!((other.status, now()), (StatusCode::FORBIDDEN, Some(known)));
    let page = ask(&world, request(Method::GET, "/security", &bob, "")).await.body;
    assert!(page.contains("Passwords of mail programs stay as they are"), "{page}");
    assert!(
        post(&world, "/security", &bob, &format!("order=off&password={}", encoded(PASSWORD)))
            .await
            .status
            .is_redirection()
    );
    assert_eq!(now(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_sign_in_outlives_a_change_of_the_password() {
    use pillarbox_store::{Error, WebSession};
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let (secret, step, _) = with_factor(&world, &bob).await;
    let pending = half(&world).await;
    let store = &world.office.store;
    let (account, key) =
        store.read(|r| Ok((r.account(BOB)?.unwrap().0, r.sessions()?[0].0.clone()))).unwrap();
    let old = store.read(|r| Ok(r.credentials(account)?[0].1.hash.clone())).unwrap();
    let hash = tokio::task::block_in_place(|| hash::password("another long one").unwrap());
    store.change(SetPassword { address: BOB.into(), hash, at: clock::now() }).done().await.unwrap();
    // The half sign-in with the old password, its code right.
    let answer = ask(
        &world,
        request(
            Method::POST,
            "/login/code",
            "",
            &format!("pending={pending}&code={}", code_of(&secret, step + 1)),
        ),
    )
    .await;
    assert!(
        answer.cookie.is_empty() && answer.status == StatusCode::FORBIDDEN,
        "{}",
        answer.status
    );
    // One whose password was checked a moment before, and one that was only seen.
    let session =
        WebSession { account, form_token: "f".into(), created: 1, seen: 1, agent: String::new() };
    let begin =
        store.change(BeginSession { key: "k".into(), session, credential: old }).done().await;
    assert!(matches!(begin, Err(Error::NotFound { .. })));
    store.change(SeeSession { key, at: clock::now() }).done().await.unwrap();
    assert!(store.read(|r| r.sessions()).unwrap().is_empty());
    assert_eq!(ask(&world, request(Method::GET, "/security", &bob, "")).await.location, "/login");
}
