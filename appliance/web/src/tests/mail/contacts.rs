//! People that a person writes to.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn who_was_written_to_is_a_contact_and_counts_once() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    let token = token_in(&bob.page("/compose").await);
    let fields = [
        ("token", token.as_str()),
        ("to", "Zoë Quick <zoe@a.test>"),
        ("body", "b"),
        ("order", "send"),
    ];
    bob.send("/compose", &fields, &[]).await;
    assert!(
        bob.page("/mail/contacts").await.contains("Zoë Quick")
            && bob.page("/compose").await.contains("Zoë Quick &#60;zoe@a.test&#62;")
    );
    // The index meets the message in the folder of sent mail, too; it counts once.
    send_due(&world, 61).await;
    index(&world);
    let bobs =
        world.office.store.read(|r| r.contacts_after(r.account(BOB)?.unwrap().0, "", 10)).unwrap();
    assert_eq!(
        bobs.iter()
            .map(|(address, contact)| (address.as_str(), contact.written))
            .collect::<Vec<_>>(),
        [("zoe@a.test", 1)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_edited_found_removed_and_come_and_go_as_cards() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    let token = token_in(&bob.page("/mail/contacts").await);
    bob.post("/mail/contacts", "order=save&address=zoe@a.test&name=Zoe").await;
    // With another address, too.
    let edited = "order=save&was=zoe@a.test&address=Zoe@new.test&name=Zoe+Q&note=tel+1";
    bob.post("/mail/contacts", edited).await;
    let page = bob.page("/mail/contacts?q=tel+zoe").await;
    assert!(
        page.contains("zoe@new.test")
            && !page.contains("zoe@a.test")
            && bob.page("/mail/contacts?q=nobody").await.contains("Nothing found")
    );
    assert!(
        bob.post("/mail/contacts", "order=save&address=nobody")
            .await
            .body
            .contains("not an e-mail address")
    );
    let cards = "BEGIN:VCARD\r\nFN:Cy <b>\r\nEMAIL:cy@a.test\r\nEND:VCARD\r\nBEGIN:VCARD\r\n\
        FN:No\r\nEND:VCARD\r\n";
    let taken = bob.send("/mail/contacts/file", &[("token", &token)], &[("c.vcf", cards)]).await;
    assert!(
        taken.body.contains("Contacts taken in: 1. Left out for want of an address: 1.")
            && !taken.body.contains("Cy <b>"),
        "{}",
        taken.body
    );
    let file = bob.page("/mail/contacts/file").await;
    assert!(file.contains("FN:Cy <b>") && file.contains("NOTE:tel 1"), "{file}");
    bob.post("/mail/contacts", "order=remove&was=cy@a.test").await;
    assert!(!bob.page("/mail/contacts").await.contains("cy@a.test"));
    let ann = Browser::of(&world, Role::Owner).await;
    assert!(!ann.page("/mail/contacts").await.contains("zoe@new.test"), "Bob's are Bob's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_of_cards_is_taken_in_as_a_whole_or_not_at_all() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    let token = token_in(&bob.page("/mail/contacts").await);
    let cards = |name: &str, count: usize| -> String {
        (0..count)
            .map(|n| {
                format!("BEGIN:VCARD\r\nFN:{name}\r\nEMAIL:{name}{n}@a.test\r\nNOTE:n{n}\r\nEND:VCARD\r\n")
            })
            .collect()
    };
    let import = async |text: &str| {
        bob.send("/mail/contacts/file", &[("token", &token)], &[("c.vcf", text)]).await
    };
    assert!(import(&cards("x", 1_203)).await.body.contains("Contacts taken in: 1203."));
    let file = bob.page("/mail/contacts/file").await;
    for n in 0..1_203 {
        assert!(file.contains(&format!("NOTE:n{n}\r\nEND")), "{n}");
    }
    assert_eq!(file.matches("END:VCARD").count(), 1_203);
    // Known ones are no new ones.
    assert!(import(&cards("x", 1_203)).await.body.contains("Contacts taken in: 1203."));
    let refused = import(&cards("y", 3_798)).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(bob.page("/mail/contacts/file").await.matches("END:VCARD").count(), 1_203);
    assert!(import(&cards("y", 3_797)).await.body.contains("Contacts taken in: 3797."));
    let page = bob.page("/mail/contacts?q=y3796").await;
    assert!(page.contains("y3796@a.test") && !page.contains("y3795@a.test"), "{page}");
}
