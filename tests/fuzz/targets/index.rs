//! Any octets as a file of the search index, also with checksums that are right: damage is found, nothing panics, and
//! reading ends.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| pillarbox_store::check_segment(data));
