//! Any HTML made harmless: nothing that runs or fetches comes through, and a small letter makes no large document.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use pillarbox_message::html::{Remote, clean, written};

fuzz_target!(|data: &[u8]| {
    let html = String::from_utf8_lossy(data);
    let pictures = HashMap::from([("p@a".to_string(), "data:image/png;base64,AAAA".to_string())]);
    for out in [clean(&html, &pictures, Remote::Blocked).map(|clean| clean.html), written(&html)]
        .into_iter()
        .flatten()
    {
        // `rel` and `target` of links are ours; elements that a table implies stand in no letter.
        assert!(out.len() <= 40 * html.len() + 200, "{} octets of {}", out.len(), html.len());
        let lower = out.to_ascii_lowercase();
        for bad in [
            "<script", "<iframe", "<style", "<svg", "<form", "<link", "<meta", "<base", "<object",
            "<template", "<math",
        ] {
            assert!(!tags(&lower).any(|tag| tag.starts_with(bad)), "{bad} in {out}");
        }
    }
});

/// Tags as the writer writes them: a `<` within quotes is none, and none stands in text.
fn tags(html: &str) -> impl Iterator<Item = &str> {
    let mut rest = html;
    std::iter::from_fn(move || {
        let at = rest.find('<')?;
        let tag = &rest[at..];
        let mut quoted = false;
        let end = tag.char_indices().find(|(_, c)| {
            quoted ^= *c == '"';
            *c == '>' && !quoted
        });
        let end = end.map_or(tag.len(), |(end, _)| end);
        rest = &tag[end..];
        Some(&tag[..end])
    })
}
