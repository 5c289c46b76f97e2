//! Any message taken apart: the same however it is cut, its parts within it, and not many of them; each part's text and
//! octets come out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pillarbox_message::choice::Form;
use pillarbox_message::extract::Extractor;
use pillarbox_message::structure::{Structure, Walker};

fuzz_target!(|data: &[u8]| {
    let Some((&size, message)) = data.split_first() else { return };
    let whole = walk(message, message.len().max(1));
    assert_eq!(walk(message, usize::from(size).max(1)), whole);
    assert!(whole.parts.len() <= 500);
    for form in [Form::Html, Form::Plain] {
        // Each part at most once, in order.
        let shown = whole.shown(form);
        assert!(shown.is_sorted_by(|a, b| a < b) && shown.iter().all(|&at| at < whole.parts.len()));
    }
    assert!(whole.attachments().len() <= whole.parts.len());
    for part in &whole.parts {
        assert!(part.start <= part.end && part.end <= message.len() as u64);
        assert!(part.file_name.chars().count() <= 500 && part.kind.chars().count() <= 80);
        let (mut extractor, mut out) = (Extractor::new(part), Vec::new());
        message.chunks(usize::from(size).max(1)).for_each(|piece| extractor.push(piece, &mut out));
        extractor.finish(&mut out);
        assert!(out.len() as u64 <= part.end - part.start);
    }
});

fn walk(message: &[u8], size: usize) -> Structure {
    let mut walker = Walker::new();
    message.chunks(size).for_each(|piece| walker.push(piece));
    walker.finish()
}
