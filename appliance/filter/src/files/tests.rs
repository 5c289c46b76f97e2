//! Whole messages with things in them, however they are cut.

#![allow(clippy::unwrap_used)] // tests may

use std::convert::Infallible;
use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use proptest::prelude::*;

use super::*;

fn found(message: &[u8], piece: usize) -> Vec<(Danger, String)> {
    let replay = |take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>| {
        let _ = message.chunks(piece).try_for_each(take);
        Ok::<_, Infallible>(())
    };
    let Ok(wanted) = survey(&replay);
    let Ok(glanced) = glance(&wanted, &replay);
    let Ok(findings) = inspect(wanted, &replay);
    assert!(glanced.is_none_or(|glanced| glanced == findings));
    findings.into_iter().map(|finding| (finding.danger, finding.name)).collect()
}

/// A message with one file.
fn with_file(name: &str, content: &[u8]) -> Vec<u8> {
    let mut message = format!(
        "From: a@a.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n\
         Content-Type: application/octet-stream; name=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n"
    )
    .into_bytes();
    for line in content.chunks(57) {
        message.extend(pillarbox_proto::smtp::encode_base64(line).as_bytes());
        message.extend(b"\r\n");
    }
    message.extend(b"--b--\r\n");
    message
}

fn in_file(name: &str, content: &[u8]) -> Vec<(Danger, String)> {
    let message = with_file(name, content);
    let whole = found(&message, message.len());
    for piece in [1, 7, 64, 1000] {
        assert_eq!(found(&message, piece), whole, "{name} in pieces of {piece}");
    }
    whole
}

/// How a file is in an archive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Stored,
    Packed,
    /// Packed, with its length behind it.
    Streamed,
    Locked,
}

fn zip(files: &[(&str, &[u8], How)]) -> Vec<u8> {
    let (mut out, mut list) = (Vec::new(), Vec::new());
    for (name, content, how) in files {
        let packed = match how {
            How::Stored => content.to_vec(),
            How::Packed | How::Streamed | How::Locked => deflated(content),
        };
        let flags: u16 = match how {
            How::Streamed => 8,
            How::Locked => 1,
            _ => 0,
        };
        let method: u16 = if *how == How::Stored { 0 } else { 8 };
        let length = if *how == How::Streamed { 0 } else { packed.len() as u32 };
        let start = out.len() as u32;
        let mut facts = Vec::new();
        facts.extend(20u16.to_le_bytes());
        facts.extend(flags.to_le_bytes());
        facts.extend(method.to_le_bytes());
        facts.extend([0; 8]);
        facts.extend(length.to_le_bytes());
        facts.extend((content.len() as u32).to_le_bytes());
        facts.extend((name.len() as u16).to_le_bytes());
        facts.extend([0; 2]);
        out.extend(b"PK\x03\x04");
        out.extend(&facts);
        out.extend(name.as_bytes());
        out.extend(&packed);
        if *how == How::Streamed {
            out.extend(b"PK\x07\x08");
            out.extend([0; 12]);
        }
        list.extend(b"PK\x01\x02\x14\x00");
        list.extend(&facts);
        list.extend([0; 10]);
        list.extend(start.to_le_bytes());
        list.extend(name.as_bytes());
    }
    out.extend(list);
    out.extend(b"PK\x05\x06");
    out.extend([0; 18]);
    out
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
    packer.write_all(content).unwrap();
    packer.finish().unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(content).unwrap();
    packer.finish().unwrap()
}

fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    block[156] = b'0';
    block[257..262].copy_from_slice(b"ustar");
    block.extend(content);
    block.resize(block.len().div_ceil(512) * 512 + 1024, 0);
    block
}

const PROGRAM: &[u8] = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0";

fn one(danger: Danger, name: &str) -> Vec<(Danger, String)> {
    vec![(danger, name.into())]
}

#[test]
fn files_are_known_by_name_and_by_content() {
    assert_eq!(in_file("offer.pdf", b"%PDF-1.7 text"), []);
    assert_eq!(in_file("offer.pdf", PROGRAM), one(Danger::Program, "offer.pdf"));
    assert_eq!(in_file("setup.exe", b"nothing"), one(Danger::Program, "setup.exe"));
    assert_eq!(in_file("list.csv", b"MZ;1;2\r\n"), []);
    let page =
        [&b"<!DOCTYPE html><html>"[..], &b" ".repeat(3000), b"<SCRIPT src=x></SCRIPT>"].concat();
    assert_eq!(in_file("page.dat", &page), one(Danger::ActivePage, "page.dat"));
    assert_eq!(in_file("page.html", b"<p>hello</p><table><tr><td>1</td></tr></table>"), []);
    assert_eq!(in_file("logo.svg", b"<svg onload=x()></svg>"), one(Danger::ActivePage, "logo.svg"));
    let marks = "_VBA_PROJECT".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let document = [&b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..], &[0; 5000], &marks].concat();
    assert_eq!(in_file("old.doc", &document), one(Danger::Macros, "old.doc"));
    assert_eq!(in_file("old.doc", &document[..5000]), []);
}

#[test]
fn archives_are_looked_into_and_what_is_in_them_too() {
    use How::{Locked, Packed, Stored, Streamed};
    let text = b"text ".repeat(3000);
    for how in [Stored, Packed, Streamed] {
        let harmless = zip(&[("a.txt", &text, how), ("b/c.pdf", b"%PDF", how)]);
        assert_eq!(in_file("a.zip", &harmless), []);
        let within =
            zip(&[("a.txt", &text, how), ("pay/offer.pdf", PROGRAM, how), ("c.js", b"x", how)]);
        assert_eq!(
            in_file("a.zip", &within),
            [
                (Danger::Program, "a.zip / pay/offer.pdf".to_string()),
                (Danger::Script, "a.zip / c.js".to_string())
            ]
        );
        let twice = zip(&[("inner.dat", &within, how)]);
        assert_eq!(
            in_file("x.dat", &twice)[0],
            (Danger::Program, "x.dat / inner.dat / pay/offer.pdf".into())
        );
        let document =
            zip(&[("word/document.xml", &text, how), ("word/vbaProject.bin", b"x", how)]);
        assert_eq!(in_file("letter.docx", &document), one(Danger::Macros, "letter.docx"));
    }
    assert_eq!(in_file("a.zip", &zip(&[("a.txt", b"x", Locked)])), one(Danger::Locked, "a.zip"));
    let locked = in_file("a.zip", &zip(&[("a.exe", b"x", Locked)]));
    assert_eq!(
        locked,
        [(Danger::Locked, "a.zip".into()), (Danger::Program, "a.zip / a.exe".into())]
    );
    assert_eq!(in_file("a.tar", &tar("b.pdf", PROGRAM)), one(Danger::Program, "a.tar / b.pdf"));
    let packed = gzip(&tar("b.exe", &text));
    assert_eq!(in_file("a.tgz", &packed), one(Danger::Program, "a.tgz / a.tar / b.exe"));
    assert_eq!(in_file("a.txt.gz", &gzip(&text)), []);
    // Members one behind the other are one file.
    let whole = tar("b.exe", &text);
    let (front, back) = whole.split_at(100);
    let members = [gzip(front), gzip(back)].concat();
    assert_eq!(in_file("a.tgz", &members), one(Danger::Program, "a.tgz / a.tar / b.exe"));
    // Octets behind the packed ones hide nothing.
    let mut long = zip(&[("a.pdf", PROGRAM, Packed)]);
    let length = deflated(PROGRAM).len();
    long.splice(35 + length..35 + length, [0; 20]);
    long[18..22].copy_from_slice(&(length as u32 + 20).to_le_bytes());
    assert_eq!(in_file("a.zip", &long), one(Danger::Program, "a.zip / a.pdf"));
    assert_eq!(in_file("a.rar", b"Rar!\x1a\x07\x01\0"), one(Danger::Closed, "a.rar"));
}

#[test]
fn plain_text_is_not_looked_into() {
    for front in [
        "Subject: x\r\n\r\nbody",
        "Content-Type: TEXT/plain; charset=utf-8\r\n\r\n",
        "X-Content-Type: image/png\r\n\r\n",
    ] {
        assert!(is_plain_text(front.as_bytes()), "{front}");
        assert!(
            survey::<Infallible>(&|take| {
                let _ = take(front.as_bytes());
                Ok(())
            })
            .unwrap()
            .is_empty()
        );
    }
    for front in [
        "Content-Type: multipart/mixed; boundary=text/plain\r\n\r\n",
        "content-type : application/zip\r\n\r\n",
        "Content-Type: text/plain; name=a.exe\r\n\r\n",
        "Content-Type: text/plain;\r\n\tname*0=a\r\n\r\n",
        "Content-Disposition: attachment; filename=a.exe\r\n\r\n",
        "Subject: no end",
    ] {
        assert!(!is_plain_text(front.as_bytes()), "{front}");
    }
}

#[test]
fn what_is_beyond_the_bounds_is_said() {
    let program = with_file("setup.exe", b"x");
    let program = String::from_utf8(program).unwrap();
    let within = |count: usize| "Content-Type: message/rfc822\r\n\r\n".repeat(count) + &program;
    assert_eq!(found(within(7).as_bytes(), 1000), one(Danger::Program, "setup.exe"));
    assert_eq!(found(within(8).as_bytes(), 1000), one(Danger::Endless, ""));
    let deep: String = (0..25)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=x{n}\r\n\r\n--x{n}\r\n"))
        .collect();
    assert_eq!(found((deep + &program).as_bytes(), 1000), one(Danger::Endless, ""));
    let parts = "--b\r\nContent-Type: image/png\r\n\r\nx\r\n".repeat(600);
    let many = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
    assert_eq!(found(many.as_bytes(), 1000), one(Danger::Endless, ""));
}

#[test]
fn many_small_dangers_hide_no_large_one() {
    let names: Vec<String> = (0..60).map(|n| format!("{n}.xlsm")).collect();
    let mut files: Vec<(&str, &[u8], How)> =
        names.iter().map(|name| (&name[..], &b"x"[..], How::Stored)).collect();
    files.push(("last.exe", b"x", How::Stored));
    let found = in_file("a.zip", &zip(&files));
    assert_eq!(found.len(), MOST_FINDINGS);
    assert!(found.contains(&(Danger::Program, "a.zip / last.exe".into())), "{found:?}");
}

#[test]
fn messages_within_messages_are_looked_into() {
    let inner = with_file("setup.exe", b"x");
    let mut message = b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: message/rfc822\r\n\r\n".to_vec();
    message.extend(&inner);
    message.extend(b"\r\n--c--\r\n");
    for piece in [1, 50, message.len()] {
        assert_eq!(found(&message, piece), one(Danger::Program, "setup.exe"));
    }
}

#[test]
fn what_has_no_end_is_given_up_and_said() {
    let zeros = vec![0; 32 << 20];
    let bomb = zip(&[
        ("a", &zeros, How::Packed),
        ("b", &zeros, How::Streamed),
        ("c", &zeros, How::Streamed),
        ("d", &zeros, How::Streamed),
    ]);
    assert!(bomb.len() < 200_000);
    let message = with_file("bomb.zip", &bomb);
    assert_eq!(found(&message, 60_000), one(Danger::Endless, "bomb.zip"));
    // Archives in archives in archives.
    let mut nested = zip(&[("x.txt", b"x", How::Packed)]);
    for _ in 0..8 {
        nested = zip(&[("n.zip", &nested, How::Packed)]);
    }
    let deep = found(&with_file("n.zip", &nested), 60_000);
    assert_eq!(deep.len(), 1);
    assert_eq!(deep[0].0, Danger::Endless);
    // Names without end: more than are read.
    let names: Vec<String> = (0..30_000).map(|n| format!("{n}.txt")).collect();
    let files: Vec<(&str, &[u8], How)> =
        names.iter().map(|name| (&name[..], &b""[..], How::Stored)).collect();
    assert_eq!(
        found(&with_file("many.zip", &zip(&files)), 60_000),
        one(Danger::Endless, "many.zip")
    );
    // Broken ones.
    let broken =
        [&zip(&[("a.txt", &b"text ".repeat(500), How::Packed)])[..40], &[0xff; 3000]].concat();
    assert_eq!(found(&with_file("broken.zip", &broken), 60_000)[0].0, Danger::Endless);
}

proptest! {
    #[test]
    fn nothing_ends_the_process_and_no_cut_changes_anything(
        seed in prop::collection::vec(any::<u8>(), 0..300),
        kind in 0usize..5,
        at in any::<prop::sample::Index>(),
        piece in 1usize..500,
    ) {
        let text = b"<html><p>text".repeat(40);
        let mut content = match kind {
            0 => zip(&[("a.txt", &text, How::Packed), ("b.exe", &text, How::Streamed), ("c", &seed, How::Stored)]),
            1 => [gzip(&tar("x", &text)), gzip(&text)].concat(),
            2 => tar("x.js", &text),
            3 => text,
            _ => [&b"PK\x03\x04"[..], &seed].concat(),
        };
        let at = at.index(content.len());
        content.splice(at..(at + seed.len() / 4).min(content.len()), seed.iter().copied().take(seed.len() / 8));
        let message = with_file("x.dat", &content);
        prop_assert_eq!(found(&message, piece), found(&message, message.len()));
    }
}

#[test]
fn names_are_known_however_they_are_written() {
    for fields in [
        "Content-Type: application/octet-stream; name=\"=?utf-8?B?c2V0dXAuZXhl?=\"",
        "Content-Disposition: attachment; filename=\"=?utf-8?Q?setup=2Eexe?=\"",
        "Content-Disposition: attachment; filename*=utf-8''setup%2Eexe",
        "Content-Disposition: attachment; filename*0=set; filename*1=\"up.exe\"",
        "Content-Type: application/octet-stream; name=setup.exe\r\nContent-Disposition: attachment; filename=a.pdf",
        "Content-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=setup.exe",
        "Content-Type: text/plain; name=setup.exe",
        "Content-Type: text/html; name=\"setup.exe \"",
    ] {
        let message = format!("{fields}\r\n\r\nx\r\n");
        let dangers: Vec<Danger> = found(message.as_bytes(), 7).into_iter().map(|f| f.0).collect();
        assert_eq!(dangers, [Danger::Program], "{fields}");
    }
}

#[test]
fn a_file_is_known_by_the_same_octets_however_it_comes() {
    // What makes a page of it stands right at, and right behind, the end of what is looked at.
    for before in 495..520 {
        let content = ["<x>", &" ".repeat(before), "<html><script>"].concat();
        in_file("x.dat", content.as_bytes());
        for first in [300, 480, 511, 512, 513] {
            let message = with_file("x.dat", content.as_bytes());
            assert_eq!(found(&message, first), found(&message, message.len()), "{before} {first}");
        }
    }
}
