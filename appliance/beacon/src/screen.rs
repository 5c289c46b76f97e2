//! What stands on a screen that is plugged in: how to reach the box, its claim code, how it is.

use std::net::IpAddr;

use fast_qr::QRBuilder;
use pillarbox_host::Board;

use crate::watch::State;

/// The text of the screen.
pub fn text(state: State, board: &Board, machine: &str, addresses: &[IpAddr]) -> String {
    let mut out = String::from("\n  Pillarbox\n\n");
    out.push_str(match state {
        State::Booting => "  Starting. / Startet.\n",
        State::Ready => "  Ready. / Bereit.\n",
        State::Attention => "  Mail works, and something needs the owner: see its page.\n  Die Post läuft, und etwas braucht den Besitzer: siehe Seite.\n",
        State::NoData => "  The part of the card that keeps the mail can't be read. Its page says what to do.\n  Der Teil der Karte, auf dem die Post liegt, ist nicht lesbar. Die Seite sagt, was zu tun ist.\n",
        State::Fault => "  The mail server does not run. Its page says what to do.\n  Der Mailserver läuft nicht. Die Seite sagt, was zu tun ist.\n",
    });
    out.push_str(&format!("\n  http://{machine}.local/\n"));
    for address in addresses {
        match address {
            IpAddr::V4(v4) => out.push_str(&format!("  http://{v4}/\n")),
            IpAddr::V6(v6) => out.push_str(&format!("  http://[{v6}]/\n")),
        }
    }
    if addresses.is_empty() {
        out.push_str("  No network yet: is the cable plugged in? / Noch kein Netz: steckt das Kabel?\n");
    }
    if let Some(code) = &board.claim_code {
        out.push_str(&format!("\n  Claim code: {code}\n"));
    }
    if !board.fingerprint.is_empty() {
        out.push_str(&format!("\n  Certificate (SHA-256): {}\n", board.fingerprint));
    }
    // A telephone's camera reads addresses better than names of the local network.
    let place = addresses.iter().find(|address| address.is_ipv4()).map_or(format!("{machine}.local"), ToString::to_string);
    if let (Some(_), Ok(code)) = (&board.claim_code, QRBuilder::new(format!("http://{place}/")).build()) {
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
        let board = Board { claim_code: Some("1K3Q9XM".into()), fingerprint: "AA:BB".into(), ..Board::default() };
        let shown = text(State::Ready, &board, "post", &["192.168.1.7".parse().unwrap()]);
        for wanted in ["Ready.", "http://post.local/", "http://192.168.1.7/", "Claim code: 1K3Q9XM", "AA:BB", "█"] {
            assert!(shown.contains(wanted), "{wanted}: {shown}");
        }
        let owned = text(State::Fault, &Board::default(), "pillarbox", &[]);
        assert!(owned.contains("does not run") && owned.contains("No network yet") && !owned.contains("Claim code") && !owned.contains('█'));
    }
}
