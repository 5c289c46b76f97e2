//! Any file, looked into: the same is found however it is cut, within bounds, and it ends.
#![no_main]
#![allow(dead_code)] // the target uses some of what it includes

#[path = "../../../appliance/filter/src/files/mod.rs"]
mod files;

use std::convert::Infallible;
use std::ops::ControlFlow;

use files::{Finding, inspect, survey};
use libfuzzer_sys::fuzz_target;

const HEAD: &[u8] = b"Content-Type: application/octet-stream; name=x.dat\r\n\r\n";

fuzz_target!(|data: &[u8]| {
    let Some((&size, content)) = data.split_first() else { return };
    let message = [HEAD, content].concat();
    let whole = found(&message, message.len());
    assert!(whole.len() <= 20 && whole.iter().all(|one| one.name.chars().count() <= 120));
    assert_eq!(found(&message, usize::from(size).max(1)), whole);
});

fn found(message: &[u8], size: usize) -> Vec<Finding> {
    let replay = |take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>| {
        let _ = message.chunks(size).try_for_each(take);
        Ok::<_, Infallible>(())
    };
    let Ok(wanted) = survey(&replay);
    assert!(!wanted.is_empty());
    let Ok(found) = inspect(wanted, &replay);
    found
}
