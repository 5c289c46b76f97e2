//! Any text as an invitation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pillarbox_message::calendar;

fuzz_target!(|data: &[u8]| {
    if let Some(event) = calendar::event(&String::from_utf8_lossy(data)) {
        assert!(
            [&event.summary, &event.place, &event.organizer]
                .iter()
                .all(|text| text.chars().count() <= 500)
        );
    }
});
