//! Any text as a file of contacts: few and small ones, and what is written of them is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pillarbox_message::vcard;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (found, _) = vcard::parse(&text);
    assert!(found.len() <= 5_000);
    assert!(
        found.iter().all(|(_, contact)| contact.name.chars().count() <= 200
            && contact.note.chars().count() <= 2_000)
    );
    let again = vcard::write(&found);
    assert!(again.lines().all(|line| line.len() <= 75));
    assert_eq!(vcard::parse(&again).0.len(), found.len());
});
