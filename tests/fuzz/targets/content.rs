//! What any message says: its features are the same however it is cut, they are bounded, and they are kept as they are.
#![no_main]
#![allow(dead_code, unused_imports)] // the target uses some of what it includes

#[path = "../../../appliance/filter/src/content/mod.rs"]
mod content;
#[path = "../../../appliance/filter/src/files/mod.rs"]
mod files;

use std::convert::Infallible;
use std::ops::ControlFlow;

use content::{Content, Features};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&size, message)) = data.split_first() else { return };
    let whole = features(message, message.len().max(1));
    assert_eq!(features(message, usize::from(size).max(1)), whole);
    let octets = whole.to_octets();
    assert!(octets.len() < 64 * 1024);
    assert_eq!(Features::from_octets(&octets), whole);
    assert!(Features::from_octets(data).ids().is_sorted());
});

fn features(message: &[u8], size: usize) -> Features {
    let replay = |take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>| {
        let _ = message.chunks(size).try_for_each(take);
        Ok::<_, Infallible>(())
    };
    let Ok(content) = Content::read(&message[..message.len().min(16 * 1024)], &replay);
    Features::of(&content)
}
