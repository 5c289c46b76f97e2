use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

/// Reads a message in pieces of this size.
fn read(message: &[u8], piece: usize) -> Content {
    let replay = |take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>| {
        let _ = message.chunks(piece).try_for_each(take);
        Ok::<_, Infallible>(())
    };
    let Ok(content) = Content::read(&message[..message.len().min(16 * 1024)], &replay);
    content
}

fn letter(number: usize, label: Label) -> Vec<u8> {
    let (from, text) = match label {
        Label::Wanted => {
            ("carla@werk.test", "the minutes of our meeting and the drawing of the pump")
        }
        Label::Unwanted => {
            ("win@prize.test", "you are a winner, click here to claim your prize money")
        }
    };
    format!(
        "From: <{from}>\r\nSubject: Letter {number}\r\n\r\nDear Bob, number {number}: {text}.\r\n"
    )
    .into()
}

fn lessons(each: usize) -> Vec<Lesson> {
    let numbers = 0..each;
    let all = numbers.flat_map(|number| Label::ALL.map(|label| (number, label)));
    let lesson = |(number, label)| {
        let features = Features::of(&read(&letter(number, label), 4096));
        Lesson { label, features }
    };
    all.map(lesson).collect()
}

fn model(lessons: &[Lesson]) -> Option<Model> {
    let Ok(model) = Model::of::<Infallible>(&|take| {
        lessons.iter().for_each(take);
        Ok(())
    });
    model
}

#[test]
fn it_says_nothing_before_it_has_learned_from_some_of_each() {
    let few = lessons(FEWEST as usize);
    assert!(model(&few).is_some());
    assert!(model(&few[1..]).is_none() && model(&few[..few.len() - 1]).is_none());
    assert!(model(&[]).is_none());
}

#[test]
fn it_tells_what_is_like_unwanted_mail_and_names_the_words() {
    let model = model(&lessons(30)).unwrap();
    let think = |message: &[u8]| model.think(&read(message, 4096));
    let unwanted = think(&letter(99, Label::Unwanted));
    assert_eq!(unwanted.opinion, Opinion::Unwanted);
    let telling = ["prize", "winner", "claim", "click", "money", "prize.test", "win@prize.test"];
    assert_eq!(unwanted.words.len(), TOLD);
    assert!(unwanted.words.iter().any(|word| telling.contains(&&word[..])), "{unwanted:?}");
    let wanted = think(&letter(99, Label::Wanted));
    assert_eq!(wanted, Thought { opinion: Opinion::Wanted, words: Vec::new() });
    // Of what nobody has seen it says nothing.
    let other = think(
        b"From: <x@y.test>\r\nSubject: Hallo\r\n\r\nGuten Tag, wann kommt die Lieferung?\r\n",
    );
    assert!(matches!(other.opinion, Opinion::Wanted | Opinion::Unsure), "{other:?}");
}

#[test]
fn once_somebody_wanted_one_the_next_like_it_is_not_unwanted() {
    for each in [20, 60, 200] {
        let mut lessons = lessons(each);
        let next = Features::of(&read(&letter(999, Label::Unwanted), 4096));
        assert_eq!(model(&lessons).unwrap().judge(&next), Opinion::Unwanted);
        let features = Features::of(&read(&letter(998, Label::Unwanted), 4096));
        lessons.push(Lesson { label: Label::Wanted, features });
        assert_ne!(model(&lessons).unwrap().judge(&next), Opinion::Unwanted, "{each}");
    }
}

#[test]
fn the_same_lessons_make_the_same_model() {
    let lessons = lessons(25);
    let (one, other) = (model(&lessons).unwrap(), model(&lessons).unwrap());
    for label in Label::ALL {
        let features = Features::of(&read(&letter(7, label), 100));
        assert_eq!(one.score(&features).to_bits(), other.score(&features).to_bits());
    }
}

#[test]
fn whatever_is_written_costs_little() {
    let many = |piece: &str| piece.repeat(40_000);
    for message in [
        format!("Content-Type: text/html\r\n\r\n{}", many("<p><font color=0>")),
        format!("Content-Type: text/html\r\n\r\n{}", many("<a href=http://a.b.c/d>")),
        format!("Subject: {}\r\n\r\n{}", many("a b "), many("http://x ")),
        format!("\r\n{}", many("\u{fdfa} ")),
        format!("{}\r\nx", many("Received: from a.b by c\r\n")),
        format!("From: {}\r\n\r\n{}", many("a@b.c, "), many("=?utf-8?q?x?= ")),
    ] {
        let content = read(message.as_bytes(), 64 * 1024);
        let said: usize = content.texts.iter().map(|(text, _)| text.len()).sum();
        assert!(said <= 3 * TEXT, "{said}");
        assert!(Features::of(&content).to_octets().len() < 64 * 1024);
    }
}

proptest! {
    #[test]
    fn a_message_has_the_same_features_however_it_is_cut(
        message in "(Subject: |From: |a@b.test|Content-Type: |multipart/mixed; boundary=b|text/html|\r\n|\r\n\r\n|--b|<a href=http://c.test/d>|buy now |caf\u{e9} ){0,60}",
        piece in 1usize..90,
    ) {
        let (whole, cut) = (read(message.as_bytes(), 1 << 20), read(message.as_bytes(), piece));
        prop_assert_eq!(Features::of(&whole), Features::of(&cut));
    }
}
