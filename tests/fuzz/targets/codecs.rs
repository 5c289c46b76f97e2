//! Any octets as rows of the store: decoding must not panic or allocate without bound, and what decodes must encode to
//! something that decodes to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| pillarbox_store::check_all(data));
