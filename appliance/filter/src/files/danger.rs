//! Kinds of files that do harm when they are opened: by what they are called, and by how they begin.

use memchr::memmem;

/// What a file can do, or may hide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Danger {
    /// The harmless file that every scanner must find (EICAR).
    TestVirus,
    /// It runs.
    Program,
    /// Orders for a program that every machine has, settings that run something among them.
    Script,
    /// It leads to something that runs.
    Shortcut,
    /// A disk, of which the system does not know that its files came by mail.
    DiskImage,
    Installer,
    /// A notebook that has files within its pages.
    Notebook,
    /// A document with a program in it.
    Macros,
    /// A page with a script or a form, or a picture with a script.
    ActivePage,
    /// An archive or document that opens with a password only.
    Locked,
    /// An archive of a kind that is not looked into.
    Closed,
    /// More within than is looked through, or a broken archive.
    Endless,
}

impl Danger {
    pub const ALL: [Danger; 12] = [
        Danger::TestVirus,
        Danger::Program,
        Danger::Script,
        Danger::Shortcut,
        Danger::DiskImage,
        Danger::Installer,
        Danger::Notebook,
        Danger::Macros,
        Danger::ActivePage,
        Danger::Locked,
        Danger::Closed,
        Danger::Endless,
    ];

    /// What is said of such a file, behind its name.
    pub fn words(self) -> &'static str {
        match self {
            Danger::TestVirus => "is the test file for virus scanners (EICAR)",
            Danger::Program => "is a program",
            Danger::Script => "is a script",
            Danger::Shortcut => "is a shortcut to a program",
            Danger::DiskImage => "is a disk image",
            Danger::Installer => "is an installer",
            Danger::Notebook => "is a notebook with files in it",
            Danger::Macros => "has macros",
            Danger::ActivePage => "is a page with a script or a form",
            Danger::Locked => "opens with a password only",
            Danger::Closed => "is an archive that is not looked into",
            Danger::Endless => "has more in it than is looked through, or is broken",
        }
    }
}

/// What mail programs do not let through: the ends of names that Gmail and Outlook refuse, but for certificates and
/// files without a meaning of their own (`cer`, `crt`, `der`, `tmp`).
const NAMES: [(Danger, &str); 8] = [
    (
        Danger::Program,
        "ade adp apk app class com cpl dll drv ex ex_ exe gadget jar lib mda mde mdz nsh ocx pif scr sys vxd xll",
    ),
    (
        Danger::Script,
        "asp aspx bas bat chm cmd cnt csh diagcab diagcfg diagpkg fxp hlp hpj hta inf ins isp its js jse ksh mcf mjs msc \
         msh msh1 msh1xml msh2 msh2xml mshxml ops osd pcd plg prf prg printerexport ps1 ps1xml ps2 ps2xml psc1 psc2 psd1 \
         psdm1 py pyc pyo pyw pyz pyzw reg sct theme vb vbe vbp vbs vsmacros vsw webpnp ws wsb wsc wsf wsh xbap",
    ),
    (
        Danger::Shortcut,
        "application appref-ms jnlp library-ms lnk scf search-ms searchconnector-ms settingcontent-ms shb shs url website \
         xnk",
    ),
    (Danger::DiskImage, "dmg img iso vhd vhdx"),
    (Danger::Installer, "appx appxbundle cab msi msix msixbundle msp mst msu"),
    (Danger::Notebook, "one onepkg onetoc2"),
    (
        Danger::Macros,
        "accda accdb accde accdr accdu docm dotm mad maf mag mam maq mar mas mat mau mav maw mdb mdt mdw potm ppam ppsm \
         pptm sldm xlam xlm xlsb xlsm xltm",
    ),
    (Danger::Closed, "7z ace arj lha lzh rar xz z"),
];

/// By its name, as the system does that opens it: the end counts, and dots and blanks behind it do not.
pub fn by_name(name: &str) -> Option<Danger> {
    let name = name.trim_end_matches(['.', ' ', '\t', '\u{a0}', '\0']);
    let (_, end) = name.rsplit_once('.')?;
    let end = end.trim().to_lowercase();
    let is_one = |ends: &&str| ends.split(' ').any(|one| one == end);
    NAMES.iter().find(|(_, ends)| is_one(ends)).map(|(danger, _)| *danger)
}

/// How archives and documents begin that are looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Zip,
    Gzip,
    Tar,
    /// The older documents of Office, and mail of Outlook (MS-CFB).
    Compound,
    /// It may be a page, or a picture in SVG.
    Markup,
    /// Nothing within it matters.
    Plain,
}

/// Octets from the beginning by which a file is known.
pub const BEGINNING: usize = 512;

const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
const SHORTCUT: &[u8] = b"\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46";
const NOTEBOOK: &[u8] = b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3";

/// By its first octets: what it is, and how to look into it.
pub fn by_beginning(beginning: &[u8]) -> (Option<Danger>, Form) {
    let starts = |with: &[u8]| beginning.starts_with(with);
    let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start();
    let has_nul = beginning.iter().take(64).any(|&b| b == 0);
    let danger = match () {
        () if is_test_virus(beginning) => Some(Danger::TestVirus),
        () if starts(b"MZ") && has_nul => Some(Danger::Program),
        () if starts(b"\x7fELF") || is_mach_o(beginning) => Some(Danger::Program),
        () if starts(b"ITSF") || starts(b"#!/") => Some(Danger::Script),
        () if starts(SHORTCUT) || text.starts_with(b"[InternetShortcut]") => Some(Danger::Shortcut),
        () if starts(NOTEBOOK) => Some(Danger::Notebook),
        () if starts(b"MSCF") => Some(Danger::Installer),
        () if starts(b"vhdxfile") || starts(b"conectix") => Some(Danger::DiskImage),
        () if starts(b"7z\xbc\xaf\x27\x1c") || starts(b"Rar!\x1a\x07") => Some(Danger::Closed),
        () => None,
    };
    let form = match () {
        () if starts(b"PK\x03\x04") || starts(b"PK\x05\x06") => Form::Zip,
        () if starts(b"\x1f\x8b\x08") => Form::Gzip,
        () if starts(COMPOUND) => Form::Compound,
        () if beginning.get(257..262) == Some(b"ustar") => Form::Tar,
        () if text.starts_with(b"<") => Form::Markup,
        () => Form::Plain,
    };
    (danger, form)
}

/// Programs of Macs, and of Java, which begin alike.
fn is_mach_o(beginning: &[u8]) -> bool {
    let magic = beginning.first_chunk::<4>().map(|four| u32::from_be_bytes(*four));
    matches!(magic, Some(0xfeed_face | 0xfeed_facf | 0xcefa_edfe | 0xcffa_edfe | 0xcafe_babe))
}

/// The test file may have blanks behind it, and nothing else.
fn is_test_virus(beginning: &[u8]) -> bool {
    // In two pieces, so that no scanner takes this program for it.
    let (front, back) =
        (&br"X5O!P%@AP[4\PZX54(P^)7CC)7}"[..], &b"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"[..]);
    let rest = beginning.strip_prefix(front).and_then(|rest| rest.strip_prefix(back));
    rest.is_some_and(|rest| rest.trim_ascii().is_empty() && rest.len() <= 60)
}

/// Marks within documents of the older kind: text in UTF-16.
pub fn compound_marks() -> [(Danger, Vec<u8>); 2] {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [(Danger::Macros, utf16("_VBA_PROJECT")), (Danger::Locked, utf16("EncryptedPackage"))]
}

/// Words within a page that make it active; in small letters.
pub const ACTIVE: [&[u8]; 7] =
    [b"<script", b"javascript:", b"vbscript:", b"<form", b"<iframe", b"onload=", b"onerror="];

/// Searches a stream for words, over the borders of its pieces.
pub struct Search {
    longest: usize,
    kept: Vec<u8>,
    is_folded: bool,
}

impl Search {
    /// For words of at most so many octets; `is_folded`: capital letters count as small ones.
    pub fn new(longest: usize, is_folded: bool) -> Search {
        Search { longest, kept: Vec::new(), is_folded }
    }

    /// Gives the next piece with the end of the one before to be searched.
    pub fn window(&mut self, piece: &[u8]) -> &[u8] {
        let keep = self.kept.len().min(self.longest.saturating_sub(1));
        self.kept.drain(..self.kept.len() - keep);
        self.kept.extend_from_slice(piece);
        if self.is_folded {
            self.kept.make_ascii_lowercase();
        }
        &self.kept
    }
}

/// Whether a word is in a window.
pub fn has(window: &[u8], word: &[u8]) -> bool {
    memmem::find(window, word).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_counts_as_windows_takes_it() {
        for (name, expected) in [
            ("setup.exe", Some(Danger::Program)),
            ("Rechnung.pdf.EXE", Some(Danger::Program)),
            ("a.scr. . ", Some(Danger::Program)),
            ("x.js", Some(Danger::Script)),
            ("x.json", None),
            ("offer.pdf", None),
            ("exe", None),
            ("a.", None),
            ("b.iso", Some(Danger::DiskImage)),
            ("c.lnk", Some(Danger::Shortcut)),
            ("d.docm", Some(Danger::Macros)),
            ("e.docx", None),
            ("key.crt", None),
            ("f.one", Some(Danger::Notebook)),
            ("g.7z", Some(Danger::Closed)),
        ] {
            assert_eq!(by_name(name), expected, "{name}");
        }
        let mut ends: Vec<&str> =
            NAMES.iter().flat_map(|(_, ends)| ends.split(' ')).filter(|e| !e.is_empty()).collect();
        let count = ends.len();
        ends.sort_unstable();
        ends.dedup();
        assert_eq!(ends.len(), count, "each end is in one list");
    }

    #[test]
    fn the_beginning_counts_whatever_the_name() {
        let eicar = [
            &br"X5O!P%@AP[4\PZX54(P^)7CC)7}"[..],
            b"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*\r\n",
        ]
        .concat();
        for (beginning, danger, form) in [
            (&eicar[..], Some(Danger::TestVirus), Form::Plain),
            (b"MZ\x90\0\x03\0\0\0", Some(Danger::Program), Form::Plain),
            (b"MZ;Betrag;Datum\r\n1;2;3\r\n", None, Form::Plain),
            (b"\x7fELF\x02", Some(Danger::Program), Form::Plain),
            (b"\xca\xfe\xba\xbe\0\0\0\x34", Some(Danger::Program), Form::Plain),
            (b"#!/bin/sh\n", Some(Danger::Script), Form::Plain),
            (b"# a list\n", None, Form::Plain),
            (SHORTCUT, Some(Danger::Shortcut), Form::Plain),
            (b"\r\n[InternetShortcut]\r\nURL=x", Some(Danger::Shortcut), Form::Plain),
            (b"PK\x03\x04....", None, Form::Zip),
            (b"\x1f\x8b\x08\0", None, Form::Gzip),
            (COMPOUND, None, Form::Compound),
            (b"\xef\xbb\xbf <html>", None, Form::Markup),
            (b"%PDF-1.7", None, Form::Plain),
            (b"", None, Form::Plain),
        ] {
            assert_eq!(by_beginning(beginning), (danger, form), "{beginning:?}");
        }
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(by_beginning(&tar), (None, Form::Tar));
    }
}
