//! A conversation with the edge over a real connection, as a postmaster reads it.

#![allow(clippy::unwrap_used)] // tests may

use pillarbox_filter::verdict::{Action, Verdict};
use pillarbox_office::delivery::DeliveryAgent;
use pillarbox_office::submission::SubmissionAgent;
use pillarbox_office::world::World;
use pillarbox_platform::stream::Patience;
use pillarbox_store::{FolderId, LedgerId, MessageId};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What the peer says, and the code that it gets for it.
const DIALOG: &[(&str, &str)] = &[
    ("", "220"),
    ("HELO client.test\r\n", "250"),
    ("MAIL FROM:<bob@elsewhere.test>\r\n", "250"),
    ("RCPT TO:<ann@box.test>\r\n", "250"),
    ("DATA\r\n", "354"),
    ("Subject: worse\r\n\r\nBuy\r\n.\r\n", "550 5.7.1 This is not wanted here ("),
    ("MAIL FROM:<bob@elsewhere.test>\r\n", "250"),
    ("RCPT TO:<ann@box.test>\r\n", "250"),
    ("DATA\r\n", "354"),
    ("Subject: junk\r\n\r\nBuy\r\n.\r\n", "250"),
    ("MAIL FROM:<bob@elsewhere.test>\r\n", "250"),
    ("RCPT TO:<ann@box.test>\r\n", "250"),
    ("DATA\r\n", "354"),
    ("Subject: hello\r\n\r\nHello\r\n.\r\n", "250"),
    ("QUIT\r\n", "221"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_answered_in_the_conversation_and_junk_has_its_folder() {
    let world = World::new().await;
    let office = &world.office;
    let signer = office.outbound.signer.clone();
    let agent = DeliveryAgent::new(world.store.clone(), signer, world.handles.dns.clone(), 1 << 24);
    let delivery = agent.deciding(|evidence, _| {
        let action = match evidence.front.strip_prefix(b"Subject: ").unwrap_or_default() {
            front if front.starts_with(b"worse") => Action::Refuse,
            front if front.starts_with(b"junk") => Action::Junk,
            _ => Action::Inbox,
        };
        Verdict { action, reasons: Vec::new() }
    });
    let submission = SubmissionAgent {
        settings: office.settings.clone(),
        store: world.store.clone(),
        delivery: Arc::new(delivery),
        outbound: office.outbound.clone(),
    };
    let edge = Arc::new(Edge { submission: Arc::new(submission), ..Edge::new(office) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer =
        BufReader::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
    let (tcp, address) = listener.accept().await.unwrap();
    let serving = tokio::spawn(serve(
        edge,
        Stream::plain(tcp, Patience { send: LOOK, handshake: LOOK }),
        address.ip(),
        Service::Smtp,
    ));
    for (said, expected) in DIALOG {
        peer.get_mut().write_all(said.as_bytes()).await.unwrap();
        let mut reply = String::new();
        peer.read_line(&mut reply).await.unwrap();
        assert!(reply.starts_with(expected), "{said:?} was answered with {reply:?}");
        // What was refused is nowhere when the answer comes.
        let count =
            |folder| world.store.read(|r| r.entries(world.ann, folder, 0, 100)).unwrap().len();
        if reply.starts_with("550") {
            assert_eq!((count(FolderId::INBOX), count(FolderId::JUNK)), (0, 0));
        }
    }
    serving.await.unwrap().unwrap();
    let subjects = |folder| -> Vec<String> {
        let entries = world.store.read(|r| r.entries(world.ann, folder, 0, 100)).unwrap();
        let record = |message: MessageId| {
            world.store.read(|r| r.ledger_record(LedgerId(message.0))).unwrap().unwrap()
        };
        entries.iter().map(|(_, entry)| record(entry.message).subject).collect()
    };
    assert_eq!(
        (subjects(FolderId::INBOX), subjects(FolderId::JUNK)),
        (vec!["hello".to_string()], vec!["junk".to_string()])
    );
}
