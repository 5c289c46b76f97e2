//! Lists of messages: what is found, moved and deleted, folders, news of what changed.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_found_before_and_after_it_is_indexed() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    // It is read from now on.
    bob.page("/mail/1/1").await;
    assert!(bob.page("/mail/1?q=gru").await.contains("<mark>Grüße</mark>"));
    for _ in 0..2 {
        for (q, is_found) in [
            ("grusse", true),
            ("GRÜS from:cy", true),
            ("hello has:attachment", true),
            ("is:unread", false),
            ("from:ann", false),
            ("offer.pdf", true),
            ("before:2020-01-01", false),
            ("gruesse", true),
            ("filename:offer", true),
            ("pdf -nothing", true),
            ("-grusse", false),
            ("nothing OR grusse", true),
            ("larger:1M", false),
            ("in:nowhere", false),
            ("in:inbox grusse", true),
        ] {
            let page = bob.page(&format!("/mail/1?q={}", encoded(q))).await;
            assert_eq!(page.contains("Grüße"), is_found, "{q}");
        }
        index(&world);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_moved_taken_back_and_deleted_and_stays_its_owners() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    index(&world);
    // To the trash, back, and for good.
    let moved = bob.post("/mail/act", "id=1.1&order=delete&back=/mail/1").await.location;
    assert_eq!(moved, "/mail/1?undo=4:1-1:1");
    assert!(
        bob.page("/mail/4").await.contains("Grüße")
            && bob.get("/mail/1/1").await.status == StatusCode::NOT_FOUND
    );
    assert!(bob.page("/mail/1?q=grusse").await.contains("Trash"), "found where it is now");
    bob.post("/mail/act", "undo=4:1-1:1&back=/mail/1").await;
    assert!(bob.page("/mail/1").await.contains("Grüße"));
    let folder = bob.post("/mail/folders", "order=make&name=Project").await.location;
    assert_eq!(folder, "/mail/16");
    bob.post("/mail/act", "id=1.2&order=move&to=16").await;
    assert!(bob.page("/mail/16").await.contains("Grüße"));
    let full = bob.post("/mail/folders", "order=remove&folder=16").await;
    assert_eq!(full.status, StatusCode::CONFLICT);
    bob.post("/mail/act", "id=16.1&order=delete").await;
    bob.post("/mail/act", "id=4.2&order=delete").await;
    assert!(
        !bob.page("/mail/4").await.contains("Grüße")
            && !bob.page("/mail/1?q=grusse").await.contains("Grüße")
    );
    assert!(bob.post("/mail/folders", "order=remove&folder=16").await.status.is_redirection());
    // Ann's copy is hers: Bob's orders changed nothing of it, and its number opens nothing for him.
    let ann = Browser::of(&world, Role::Owner).await;
    assert!(ann.page("/mail/1").await.contains("Grüße"));
    assert_eq!(bob.get("/mail/1/1").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_lie_within_others_and_judgements_are_kept() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    for name in ["Customers", "Berlin", "Old"] {
        bob.post("/mail/folders", &format!("order=make&name={name}")).await;
    }
    bob.post("/mail/folders", "order=rename&folder=17&name=Berlin&within=16").await;
    bob.post("/mail/folders", "order=rename&folder=16&name=Clients&within=18").await;
    // Not into one of its own.
    bob.post("/mail/folders", "order=rename&folder=18&name=Old&within=17").await;
    let names = || {
        world
            .office
            .store
            .read(|r| r.folders(r.account(BOB)?.unwrap().0))
            .unwrap()
            .into_iter()
            .map(|(_, name, _)| name)
            .skip(5)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(), ["Old/Clients", "Old/Clients/Berlin", "Old"]);
    assert!(bob.page("/mail/17").await.contains("within-2"));
    let judged = |world: &World| {
        world.office.store.read(|r| {
            let account = r.account(BOB)?.unwrap().0;
            let message = r
                .entries_before(account, pillarbox_store::FolderId::JUNK, u32::MAX - 1, 1)?
                .first()
                .map(|(_, entry)| entry.message);
            r.judgement(account, message.unwrap_or(pillarbox_store::MessageId(2)))
        })
    };
    assert_eq!(judged(&world).unwrap(), None);
    bob.post("/mail/act", "id=1.1&order=junk").await;
    assert!(
        judged(&world).unwrap().unwrap().is_junk && bob.page("/mail/5").await.contains("Grüße")
    );
    bob.post("/mail/act", "id=5.1&order=not-junk").await;
    assert!(bob.page("/mail/1").await.contains("Grüße"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_window_hears_of_its_persons_new_mail_alone() {
    use http_body_util::BodyExt;
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    let listen = async || {
        let mut request = request(Method::GET, "/mail/events", &bob.cookie, "");
        request
            .extensions_mut()
            .insert(Link { peer: "192.168.1.5".parse().unwrap(), is_secure: true });
        router(world.site.clone()).oneshot(request).await.unwrap().into_body()
    };
    let mut windows = [listen().await, listen().await];
    let heard = async |body: &mut Body| {
        String::from_utf8(body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec())
            .unwrap()
    };
    for window in &mut windows {
        assert_eq!(heard(window).await, ": \n\n", "now it listens");
    }
    tokio::task::block_in_place(|| {
        [ANN, BOB].into_iter().for_each(|address| deliver(&world, address, MESSAGE))
    });
    for window in &mut windows {
        assert_eq!(heard(window).await, "event: mail\ndata: 2\n\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_has_as_many_pages_as_it_finds_and_survives_a_damaged_index() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    let (store, data) = (world.office.store.clone(), world.office.settings.get().data.clone());
    let write = |numbers: std::ops::Range<usize>| {
        for n in numbers {
            let words = if n % 4 == 0 { "of the new tender, which" } else { "tender of the new" };
            deliver(
                &world,
                BOB,
                &format!("From: dee@a.test\r\nSubject: n{n}\r\n\r\nIt is {words} stands\r\n"),
            );
        }
    };
    tokio::task::block_in_place(|| {
        write(0..130);
        pillarbox_office::mail::index::rebuild(&store, &data).unwrap();
        // Of these the index knows nothing.
        write(130..200);
    });
    let pages = async |q: &str| {
        let (mut found, mut path, mut count) = (Vec::new(), format!("/mail/1?q={}", encoded(q)), 0);
        loop {
            let page = bob.page(&path).await;
            found.extend(
                page.split("data-id=\"1.")
                    .skip(1)
                    .filter_map(|row| row.split('"').next()?.parse::<usize>().ok()),
            );
            count += 1;
            let Some(next) =
                page.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next())
            else {
                return (found, count);
            };
            path = next.replace("&amp;", "&").replace("&#38;", "&");
        }
    };
    let (all, first) = (pages("tender").await, pages("from:dee").await);
    assert!(
        all.0.len() == 200 && all == first && (4..=5).contains(&all.1),
        "{} in {}",
        all.0.len(),
        all.1
    );
    assert!(all.0.is_sorted_by(|a, b| a > b), "newest first, each once");
    let (phrase, _) = pages("\"new tender\"").await;
    assert_eq!(
        (phrase.len(), phrase.iter().max()),
        (50, all.0.iter().find(|uid| (**uid - all.0[199]) % 4 == 0))
    );
    assert_eq!(pages("-\"new tender\" stands").await.0.len(), 150);
    assert_eq!(pages("subject:n150 OR subject:n20 stands").await.0.len(), 2);
    let files: Vec<_> =
        std::fs::read_dir(data.join("index")).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty());
    files.iter().for_each(|file| std::fs::write(file, b"worn out").unwrap());
    pages("tender").await;
    assert_eq!(
        pages("tender").await.0.len(),
        200,
        "what the index lost is looked at until it is made anew"
    );
}
