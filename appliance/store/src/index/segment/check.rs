//! Any octets as a file, for fuzzing and property tests.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::MAGIC;
use super::read::Segment;
use crate::error::Error;

/// Reads any octets as a file of the index, and as the frames of one whose checksums are right: it is one, or damaged.
///
/// # Panics
/// When something else comes of it.
pub fn check_segment(octets: &[u8]) {
    read(octets);
    read(&sealed(octets));
}

fn read(octets: &[u8]) {
    let Ok(mut file) = memfd_create("segment", MFdFlags::MFD_CLOEXEC).map(File::from) else {
        return;
    };
    if std::io::Write::write_all(&mut file, octets).is_err() {
        return;
    }
    let read = Segment::of(file, PathBuf::from("any octets")).and_then(|segment| {
        let messages = segment.messages();
        let some = segment.visit(b"a", &mut |entries| {
            entries.places(&mut |_| {}).map(|()| ControlFlow::Continue(()))
        });
        segment.verify(&mut || true)?;
        messages.and(some)
    });
    assert!(matches!(read, Ok(_) | Err(Error::Damaged { .. })), "{read:?}");
}

/// Octets as frames: a kind, a length, a payload; the last one is the root.
fn sealed(mut octets: &[u8]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    let mut root = 0;
    while let Some((&[kind, length], rest)) = octets.split_first_chunk() {
        let (payload, rest) = rest.split_at(usize::from(length).min(rest.len()));
        octets = rest;
        root = file.len();
        let mut frame = vec![kind % 6];
        frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        frame.extend_from_slice(payload);
        frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
        file.extend(frame);
    }
    let mut foot = (root as u64).to_be_bytes().to_vec();
    foot.push(2);
    foot.extend_from_slice(&1u64.to_be_bytes());
    foot.extend_from_slice(&crc32fast::hash(&foot).to_be_bytes());
    [file, foot].concat()
}
