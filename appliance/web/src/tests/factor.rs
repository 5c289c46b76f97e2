//! Second factors: codes, recovery codes, half sign-ins.

use pillarbox_store::{BeginSession, SeeSession, Service, Timestamp};

use super::*;

/// A secret that Bob is offered: as the form has it, sealed, and open.
async fn offered(world: &World, bob: &str) -> (String, Vec<u8>) {
    let sealed = hidden_in(&post(world, "/security", bob, "order=offer").await.body, "sealed");
    let octets: Vec<u8> = (0..sealed.len() / 2)
        .map(|n| u8::from_str_radix(&sealed[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    let account = world.office.store.read(|r| r.account(BOB)).unwrap().unwrap().0;
    let purpose = format!("offer:{}", account.0);
    let secret = world.office.handles.secrets.open_sealed(&purpose, &octets).unwrap();
    (sealed, secret)
}

/// Switches Bob's second factor on: his secret, the step that was used for that, and his recovery codes.
async fn with_factor(world: &World, bob: &str) -> (Vec<u8>, u64, Vec<String>) {
    let (sealed, secret) = offered(world, bob).await;
    let step = clock::now().0 / 30;
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

/// Finishes a half sign-in.
async fn try_code(world: &World, pending: &str, code: &str) -> Answer {
    let form = format!("pending={pending}&code={code}");
    ask(world, request(Method::POST, "/login/code", "", &form)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_switched_on_with_a_code_by_whom_it_was_offered_to() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let (sealed, _) = offered(&world, &bob).await;
    let confirm = format!("order=confirm&sealed={sealed}&code=000000");
    let wrong = post(&world, "/security", &bob, &confirm).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    // A secret that was sealed for one person is of no use to another.
    let owner = cookie(&world, Role::Owner).await;
    let other = post(&world, "/security", &owner, &confirm).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_alone_opens_nothing_and_each_code_counts_once() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let (secret, step, codes) = with_factor(&world, &bob).await;
    let form = format!("user={}&password={}", encoded(BOB), encoded(PASSWORD));
    let answer = ask(&world, request(Method::POST, "/login", "", &form)).await;
    assert!(answer.cookie.is_empty() && answer.body.contains("name=\"pending\""));
    let pending = hidden_in(&answer.body, "pending");
    assert_eq!(
        try_code(&world, &pending, &code_of(&secret, step)).await.status,
        StatusCode::FORBIDDEN,
        "the code that switched it on is used up"
    );
    assert_eq!(try_code(&world, "nonsense", "000000").await.status, StatusCode::FORBIDDEN);
    let inside = try_code(&world, &pending, &codes[0]).await;
    assert!(inside.status.is_redirection() && !inside.cookie.is_empty());
    assert_eq!(try_code(&world, &pending, &codes[0]).await.status, StatusCode::FORBIDDEN);
    let page = ask(&world, request(Method::GET, "/security", &bob, "")).await.body;
    assert!(page.contains("7 recovery codes are left"), "{page}");
    // Five wrong codes end a half sign-in.
    let pending = half(&world).await;
    for _ in 0..5 {
        let answer = try_code(&world, &pending, "111111").await;
        assert!(answer.body.contains("That code is wrong"));
    }
    assert!(try_code(&world, &pending, "111111").await.body.contains("too many wrong codes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_second_factor_programs_need_their_own_passwords() {
    use pillarbox_office::auth::Refusal;
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    with_factor(&world, &bob).await;
    let peer = "192.168.1.9".parse().unwrap();
    let program = world.office.sign_ins.verify(Service::Pop3, BOB, PASSWORD, peer).await;
    assert_eq!(program, Err(Refusal::NeedsDevicePassword));
    assert!(Refusal::NeedsDevicePassword.to_string().contains("password for this program"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_switched_off_with_the_password() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    with_factor(&world, &bob).await;
    let off = async |password: &str| {
        post(&world, "/security", &bob, &format!("order=off&password={}", encoded(password))).await
    };
    assert_eq!(off("wrong").await.status, StatusCode::FORBIDDEN);
    assert!(off(PASSWORD).await.status.is_redirection());
    let form = format!("user={}&password={}", encoded(BOB), encoded(PASSWORD));
    let answer = ask(&world, request(Method::POST, "/login", "", &form)).await;
    assert!(answer.status.is_redirection());
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
async fn a_second_factor_is_neither_switched_off_by_a_programs_password_nor_replaced() {
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
        &format!("order=confirm&sealed={sealed}&code={}", code_of(&secret, clock::now().0 / 30)),
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
    let answer = try_code(&world, &pending, &code_of(&secret, step + 1)).await;
    assert!(
        answer.cookie.is_empty() && answer.status == StatusCode::FORBIDDEN,
        "{}",
        answer.status
    );
    // One whose password was checked a moment before, and one that was only seen.
    let session = WebSession {
        account,
        form_token: "f".into(),
        created: Timestamp(1),
        seen: Timestamp(1),
        agent: String::new(),
    };
    let begin =
        store.change(BeginSession { key: "k".into(), session, credential: old }).done().await;
    assert!(matches!(begin, Err(Error::NotFound { .. })));
    store.change(SeeSession { key, at: clock::now() }).done().await.unwrap();
    assert!(store.read(|r| r.sessions()).unwrap().is_empty());
    assert_eq!(ask(&world, request(Method::GET, "/security", &bob, "")).await.location, "/login");
}
