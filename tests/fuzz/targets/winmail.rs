//! Any octets as a `winmail.dat`: the same however it is cut, in bounded memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pillarbox_message::winmail::{Walker, Winmail};

fuzz_target!(|data: &[u8]| {
    let Some((&size, octets)) = data.split_first() else { return };
    let whole = walk(octets, octets.len().max(1));
    assert_eq!(walk(octets, usize::from(size).max(1)), whole);
    assert!(
        whole.files.len() <= 200
            && whole
                .files
                .iter()
                .all(|file| file.start <= file.end && file.name.chars().count() <= 300)
    );
    assert!(whole.text.len() <= 3 * octets.len() && whole.html.len() <= 3 * octets.len());
});

fn walk(octets: &[u8], size: usize) -> Winmail {
    let mut walker = Walker::default();
    octets.chunks(size).for_each(|piece| walker.push(piece));
    walker.finish()
}
