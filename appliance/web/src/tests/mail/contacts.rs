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
    let bobs = world.office.store.read(|r| r.contacts(r.account(BOB)?.unwrap().0)).unwrap();
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
