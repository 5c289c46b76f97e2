//! Any octets as a header that goes out: it stays within bounds, is fit, and what is fit stays.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pillarbox_message::field::{Letters, fit_all};
use pillarbox_message::head;

fuzz_target!(|data: &[u8]| {
    for letters in [Letters::Ascii, Letters::Any] {
        let once = fit_all(data, letters);
        assert!(once.len() <= 20 * data.len() + 200);
        assert!(once.is_ascii() || !data.is_ascii());
        let names = |header: &[u8]| -> Vec<String> {
            head::fields(header).filter_map(head::name).map(str::to_string).collect()
        };
        assert_eq!(names(data), names(&once), "no field comes or goes");
    }
    let _ = head::has_header(data);
});
