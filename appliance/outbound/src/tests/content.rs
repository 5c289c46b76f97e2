//! What servers get that can't take the content, or an address, as it is.

use pillarbox_store::{Notices, Traits};

use super::peer::Script;
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn old_servers_get_seven_bits_and_the_same_text() {
    let world = World::new().await;
    let old = Script { abilities: vec![], ..Script::default() };
    let peer = world.server("a.test", 1, 10, vec![old]).await;
    let content = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n";
    world.submit_as(&["bob@a.test"], Traits::EIGHT_BIT, Notices::default(), content).await;
    world.work().await;
    let taken = &peer.taken()[0].content;
    assert!(
        taken.is_ascii() && taken.contains("Gr=C3=BC=C3=9Fe") && taken.contains("quoted-printable"),
        "{taken}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_too_long_are_encoded_and_wide_ones_stay_wide() {
    let world = World::new().await;
    let peer = world.server("a.test", 1, 10, vec![Script::default()]).await;
    let long = "Gr\u{fc}\u{df}e ".repeat(500);
    let content = format!(
        "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{long}\r\n\
         --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nkurz und gr\u{fc}n\r\n--b--\r\n"
    );
    world
        .submit_as(
            &["bob@a.test"],
            Traits::EIGHT_BIT.with(Traits::LONG_LINES),
            Notices::default(),
            &content,
        )
        .await;
    world.work().await;
    let taken = &peer.taken()[0].content;
    assert!(
        taken.split("\r\n").all(|line| line.len() <= 998)
            && taken.contains("\r\nkurz und gr\u{fc}n\r\n"),
        "{taken}"
    );
    let parsed = mail_parser::MessageParser::new().parse(taken.as_bytes()).unwrap();
    assert_eq!(parsed.body_text(0).unwrap().trim_end(), long.trim_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_beyond_ascii_need_a_server_that_knows_them() {
    let world = World::new().await;
    let old = Script { abilities: vec!["8BITMIME"], ..Script::default() };
    let peer = world.server("a.test", 1, 10, vec![old]).await;
    world
        .submit_as(&["grüße@a.test"], Traits::UTF8, Notices::default(), "Subject: x\r\n\r\n")
        .await;
    world.work().await;
    assert!(peer.taken().is_empty());
    assert!(world.inbox()[0].contains("Status: 5.6.7"));
}
