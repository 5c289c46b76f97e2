//! What is shown on a screen that is plugged in: how to reach the box, its claim code, how it is.

use std::net::IpAddr;

use fast_qr::QRBuilder;
use pillarbox_host::StatusFile;
use pillarbox_texts::{Language, in_all};

use crate::watch::State;

/// Where the box's pages are: by its name in the office, if it has one, then by address.
pub fn places(name: Option<&str>, addresses: &[IpAddr]) -> Vec<String> {
    let by_address = addresses.iter().map(|address| match address {
        IpAddr::V4(v4) => format!("http://{v4}/"),
        IpAddr::V6(v6) => format!("http://[{v6}]/"),
    });
    name.map(|name| format!("http://{name}.local/")).into_iter().chain(by_address).collect()
}

/// Columns of a screen that shows nothing but text, of the smallest kind.
const COLUMNS: usize = 80;

/// A sentence in all languages: on one line where they have room side by side, else on a line each.
fn sentence(key: &'static str, values: &[(&str, &str)]) -> String {
    let said = |language: Language| language.plain_with(key, values);
    let line = format!("  {}\n", in_all(" / ", said));
    if line.trim_end().chars().count() <= COLUMNS {
        line
    } else {
        in_all("", |language| format!("  {}\n", said(language)))
    }
}

/// The text of the screen.
/// `name`: the one in the office, without its ".local".
pub fn text(
    state: State,
    status_file: &StatusFile,
    name: Option<&str>,
    addresses: &[IpAddr],
) -> String {
    let mut out = String::from("\n  Pillarbox\n\n");
    let key = match state {
        State::Booting => "screen-starting",
        State::Ready => "screen-ready",
        State::Attention => "screen-attention",
        State::NoData => "screen-no-data",
        State::Fault => "screen-fault",
    };
    out.push_str(&sentence(key, &[]));
    out.push('\n');
    for place in places(name, addresses) {
        out.push_str(&format!("  {place}\n"));
    }
    if name.is_none() {
        out.push_str(&sentence("screen-no-name", &[]));
    }
    if addresses.is_empty() {
        out.push_str(&sentence("screen-no-network", &[]));
    }
    if let Some(code) = &status_file.claim_code {
        out.push_str(&format!("\n{}", sentence("screen-code", &[("code", code)])));
    }
    if !status_file.fingerprint.is_empty() {
        let word = in_all(" / ", |language| language.plain("screen-certificate").into());
        out.push_str(&format!("\n  {word} (SHA-256): {}\n", status_file.fingerprint));
    }
    // A telephone's camera reads addresses better than names of the local network.
    let by_address =
        addresses.iter().filter(|address| address.is_ipv4()).take(1).copied().collect::<Vec<_>>();
    let place =
        places(None, &by_address).pop().or_else(|| places(name, addresses).into_iter().next());
    let code = status_file
        .claim_code
        .as_ref()
        .and(place)
        .and_then(|place| QRBuilder::new(place).build().ok());
    if let Some(code) = code {
        out.push('\n');
        out.push_str(&code.to_str());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_says_how_to_reach_the_box() {
        let status_file = StatusFile {
            claim_code: Some("1K3Q9XM".into()),
            fingerprint: "AA:BB".into(),
            ..StatusFile::default()
        };
        let shown =
            text(State::Ready, &status_file, Some("post"), &["192.168.1.7".parse().unwrap()]);
        for wanted in [
            "Ready. / Bereit.", "Ready.", "http://post.local/", "http://192.168.1.7/",
            "Claim code: 1K3Q9XM", "Anspruchscode: 1K3Q9XM", "AA:BB", "█",
        ] {
            assert!(shown.contains(wanted), "{wanted}: {shown}");
        }
        let owned = text(State::Fault, &StatusFile::default(), Some("pillarbox"), &[]);
        let nameless = text(
            State::Ready,
            &status_file,
            None,
            &["192.168.1.7".parse().unwrap(), "fd00::7".parse().unwrap()],
        );
        assert!(
            nameless.contains("use the address")
                && nameless.contains("http://[fd00::7]/")
                && nameless.contains('█')
                && !nameless.contains(".local")
        );
        assert!(
            owned.contains("does not run")
                && owned.contains("No network yet")
                && !owned.contains("Claim code")
                && !owned.contains('█')
        );
    }

    #[test]
    fn long_sentences_have_a_line_for_each_language() {
        let shown = text(State::Fault, &StatusFile::default(), Some("post"), &[]);
        assert!(
            shown.contains(
                "does not run. The box's page says what to do.\n  Der Mailserver läuft nicht."
            ),
            "{shown}"
        );
        assert!(
            shown.contains(
                "  No network yet: is the cable plugged in? / Noch kein Netz: Steckt das Kabel?\n"
            ),
            "{shown}"
        );
    }
}
