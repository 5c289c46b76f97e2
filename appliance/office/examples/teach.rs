//! Teaches the store of a server that does not run, so that its filter judges: for measuring what judging costs.
//!
//!     cargo run --release -p pillarbox-office --example teach -- FOLDER < LIST
//!
//! Each line of LIST is `wanted` or `unwanted`, then the path of a message.

#![allow(clippy::unwrap_used)] // a tool for ourselves

use std::convert::Infallible;
use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::PathBuf;

use pillarbox_filter::content::{Content, Features};
use pillarbox_store::{Access, Lesson, MessageId, Options, PutLessons, Store};

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap());
    let store = Store::open(&folder, Access::Server, &Options::default()).unwrap();
    for (number, line) in std::io::stdin().lock().lines().map(Result::unwrap).enumerate() {
        let (label, path) = line.split_once(' ').unwrap();
        let message = std::fs::read(path).unwrap();
        let replay = |take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>| {
            let _ = take(&message);
            Ok::<_, Infallible>(())
        };
        let Ok(content) = Content::read(&message[..message.len().min(16 * 1024)], &replay);
        let features = Features::of(&content).to_octets();
        let lesson = Lesson { is_unwanted: label == "unwanted", is_said: true, features };
        // Numbers that no message of a young store has.
        let change = PutLessons(vec![(MessageId((1 << 40) + number as u64), Some(lesson))]);
        store.change(change).wait().unwrap();
    }
}
