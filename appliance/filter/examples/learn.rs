//! Learns from some messages and judges others: what tests/bench/filter measures.
//!
//!     cargo run --release -p pillarbox-filter --example learn < LIST
//!
//! Each line of LIST is `learn` or `judge`, then `wanted`, `unwanted` or `-`, then the path of a message.
//! Answers each message to be judged with its line and the opinion, then says what it took.

#![allow(clippy::unwrap_used)] // a tool for ourselves

mod memory;

use std::convert::Infallible;
use std::io::BufRead;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use memory::peak;
use pillarbox_filter::content::{Content, Features, Label, Lesson, Model, Opinion};

fn main() {
    let (mut lessons, mut others) = (Vec::new(), Vec::new());
    let (mut octets, mut reading) = (0, Duration::ZERO);
    for line in std::io::stdin().lock().lines().map(Result::unwrap) {
        let mut words = line.splitn(3, ' ');
        let (what, label, path) =
            (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let message = as_sent(&std::fs::read(path).unwrap());
        let begun = Instant::now();
        let features = features(&message);
        reading += begun.elapsed();
        octets += message.len();
        match (what, label) {
            ("learn", "wanted") => lessons.push(Lesson { label: Label::Wanted, features }),
            ("learn", _) => lessons.push(Lesson { label: Label::Unwanted, features }),
            _ => others.push((line, features)),
        }
    }
    let before = peak();
    let begun = Instant::now();
    let Ok(model) = Model::of::<Infallible>(&|take| {
        lessons.iter().for_each(take);
        Ok(())
    });
    let (learning, after) = (begun.elapsed(), peak());
    let begun = Instant::now();
    let messages = lessons.len() + others.len();
    let judged: Vec<(String, Opinion, f32)> = others
        .into_iter()
        .map(|(line, features)| match &model {
            Some(model) => (line, model.judge(&features), model.score(&features)),
            None => (line, Opinion::Unsure, 0.0),
        })
        .collect();
    let judging = begun.elapsed();
    for (line, opinion, score) in &judged {
        println!("{line} {opinion:?} {score:.2}");
    }
    println!(
        "took {messages} messages, {octets} octets, {:.4} ms a message to read, {:.4} ms to judge, {:.2} s to learn {} lessons, {} KB more",
        reading.as_secs_f64() * 1e3 / messages.max(1) as f64,
        judging.as_secs_f64() * 1e3 / judged.len().max(1) as f64,
        learning.as_secs_f64(),
        lessons.len(),
        after.saturating_sub(before)
    );
}

fn features(message: &[u8]) -> Features {
    let replay = |take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>| {
        let _ = message.chunks(64 * 1024).try_for_each(take);
        Ok::<_, Infallible>(())
    };
    let Ok(content) = Content::read(&message[..message.len().min(16 * 1024)], &replay);
    Features::of(&content)
}

/// A message of a file as SMTP carries it: without the line that mailbox files put in front, with CR and LF.
fn as_sent(file: &[u8]) -> Vec<u8> {
    let start = match file.starts_with(b"From ") {
        true => file.iter().position(|octet| *octet == b'\n').map_or(file.len(), |at| at + 1),
        false => 0,
    };
    let mut out = Vec::with_capacity(file.len() + file.len() / 40);
    for line in file[start..].split_inclusive(|octet| *octet == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        out.extend_from_slice(b"\r\n");
    }
    out
}
