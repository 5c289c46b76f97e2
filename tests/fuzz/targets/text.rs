//! Any HTML as text, for the index, lists and quotes: no panic, and no more text than there was HTML.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pillarbox_message::html;

fuzz_target!(|data: &[u8]| {
    let html = String::from_utf8_lossy(data);
    let text = html::to_text(&html);
    assert!(text.len() <= 2 * html.len());
    // What was read once has no tags left but those that were written as text.
    if !html.contains('&') && !text.contains('<') {
        assert_eq!(
            html::to_text(&text).split_whitespace().count(),
            text.split_whitespace().count()
        );
    }
});
