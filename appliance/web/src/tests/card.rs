//! What pages say while the card takes nothing more: one answer for all of them.

use pillarbox_office::claim;
use pillarbox_store::Error;

use super::gates::FORMS;
use super::*;

type Fault = fn() -> Error;

/// What writes fail with, and what people read then, in English and German.
const FAULTS: [(Fault, [&str; 2]); 3] = [
    (|| Error::Unwritable { why: "a test".into() }, UNWRITABLE),
    (|| Error::Spent, UNWRITABLE),
    (|| Error::Full, ["disk is full", "Speicher der Box ist voll"]),
];
const UNWRITABLE: [&str; 2] = ["card takes nothing any more", "Karte der Box nimmt nichts mehr an"];

/// Forms that change nothing in the store, or have a test of their own.
const OTHERS: [&str; 9] = [
    // With files: below.
    "/compose", "/mail/contacts/file", "/system/update",
    // Asked of the machine, or of the world.
    "/network", "/system", "/doctor", "/certificate", // Nothing is under way.
    "/setup/next",
    // Whoever leaves a box whose card only reads is signed out all the same.
    "/logout",
];

fn in_language(mut request: Request<Body>, language: &str) -> Request<Body> {
    request.headers_mut().insert(header::ACCEPT_LANGUAGE, language.parse().unwrap());
    request
}

/// Asserts that an answer has the status and the sentence.
fn assert_said(answer: &Answer, sentence: &str, what: &str) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{what}: {}", answer.body);
    assert!(answer.body.contains(sentence), "{what}: {}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_says_the_same_of_a_card_that_takes_nothing() {
    let world = world().await;
    // Another browser of the owner's, for what ends sessions.
    let (owner, _) = (cookie(&world, Role::Owner).await, cookie(&world, Role::Owner).await);
    let page = ask(&world, request(Method::GET, "/security", &owner, "")).await.body;
    let token = token_in(&page);
    let password = format!("old={}&new=another+long+one", encoded(PASSWORD));
    for (fault, said) in FAULTS {
        world.office.store.break_writes(Some(fault));
        for (path, form) in FORMS.iter().filter(|(path, _)| !OTHERS.contains(path)) {
            let form = if *path == "/programs/password" { &password } else { *form };
            for (language, sentence) in ["en", "de"].into_iter().zip(said) {
                let form = format!("token={token}&{form}");
                let request = request(Method::POST, path, &owner, &form);
                let answer = ask(&world, in_language(request, language)).await;
                assert_said(&answer, sentence, &format!("{path}, {language}, {}", fault()));
            }
        }
        let card = [("a.vcf", "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:x\r\nEMAIL:x@a.test\r\nEND:VCARD")];
        let request = multipart("/mail/contacts/file", &owner, &[("token", &token)], &card);
        assert_said(&ask(&world, request).await, said[0], "/mail/contacts/file");
    }
    world.office.store.break_writes(None);
    let form = format!("token={token}&{password}");
    let changed = ask(&world, request(Method::POST, "/programs/password", &owner, &form)).await;
    assert_eq!(changed.status, StatusCode::SEE_OTHER, "{}", changed.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_set_up_says_so_too() {
    let world = World::around(pillarbox_office::world::World::empty().await);
    let data = world.office.settings.get().data.clone();
    claim::prepare(&data, &world.office.store).unwrap();
    let claim = format!(
        "code={}&domain=box.test&local=ann&name=Ann&password={}",
        claim::current(&data).unwrap(),
        encoded(PASSWORD)
    );
    let claimed = async || ask(&world, request(Method::POST, "/setup", "", &claim)).await;
    for (fault, said) in FAULTS {
        world.office.store.break_writes(Some(fault));
        assert_said(&claimed().await, said[0], "/setup");
    }
    world.office.store.break_writes(None);
    let owner = claimed().await.cookie.split(';').next().unwrap().to_string();
    for (fault, said) in FAULTS {
        world.office.store.break_writes(Some(fault));
        for (path, form) in [("/setup/next", "step=name"), ("/name", "name=mail.box.test")] {
            assert_said(&post(&world, path, &owner, form).await, said[0], path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_not_taken_stays_in_its_form() {
    let world = world().await;
    let bob = Browser::of(&world, Role::Worker).await;
    let token = token_in(&bob.page("/compose").await);
    let faults: [(Fault, StatusCode, &str); 4] = [
        (
            || Error::Unwritable { why: "a test".into() },
            StatusCode::SERVICE_UNAVAILABLE,
            "card takes nothing any more",
        ),
        (|| Error::Spent, StatusCode::SERVICE_UNAVAILABLE, "card takes nothing any more"),
        (|| Error::Full, StatusCode::SERVICE_UNAVAILABLE, "disk of the box is full"),
        (|| Error::Closed, StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong"),
    ];
    for (fault, status, said) in faults {
        world.office.store.break_writes(Some(fault));
        for order in ["send", "anyway", "draft", "autosave"] {
            for files in [&[][..], &[("a.txt", "file content")]] {
                let fields = [
                    ("token", token.as_str()),
                    ("to", "ann@box.test, x@a.test"),
                    ("subject", "My subject"),
                    ("body", "My words\nwere many."),
                    ("order", order),
                ];
                let answer = bob.send("/compose", &fields, files).await;
                let what = format!("{order} {} {}: {}", files.len(), fault(), answer.body);
                assert_eq!(answer.status, status, "{what}");
                for text in [said, "My words\nwere many.", "My subject", "ann@box.test, x@a.test"] {
                    assert!(answer.body.contains(text), "{text}, {what}");
                }
            }
        }
    }
    world.office.store.break_writes(None);
    assert!(!bob.page("/mail/1").await.contains("My subject"), "nothing was taken");
}
