//! Any octets as a From field: what is taken has addresses only, and no name that reads as another.
#![no_main]

#[path = "../../../appliance/office/src/submission/mailbox.rs"]
mod mailbox;

use libfuzzer_sys::fuzz_target;
use pillarbox_vocabulary::Domain;

fuzz_target!(|data: &[u8]| {
    let value = String::from_utf8_lossy(data);
    if let Ok(found) = mailbox::addresses(&value) {
        // Without the quotes of a local part they are keys, not addresses any more; keys have a bound.
        let is_key = |key: &String| {
            key.len() <= 320
                && key.rsplit_once('@').is_some_and(|(_, domain)| Domain::parse(domain).is_ok())
        };
        assert!(!found.is_empty() && found.iter().all(is_key));
        // Without quotes and comments there is one sign of an address for each address.
        if !value.contains(['"', '(', '[', '=']) {
            assert_eq!(value.matches('@').count(), found.len(), "{value}");
        }
    }
});
