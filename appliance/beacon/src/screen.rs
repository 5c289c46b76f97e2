//! What stands on a screen that is plugged in: how to reach the box, its claim code, how it is.

use std::net::IpAddr;

use fast_qr::QRBuilder;
use pillarbox_host::Board;

use crate::watch::State;

/// Where the box's pages are: by its name in the office, if it has one, then by address.
pub fn places(name: Option<&str>, addresses: &[IpAddr]) -> Vec<String> {
    let by_address = addresses.iter().map(|address| match address {
        IpAddr::V4(v4) => format!("http://{v4}/"),
        IpAddr::V6(v6) => format!("http://[{v6}]/"),
    });
    name.map(|name| format!("http://{name}.local/")).into_iter().chain(by_address).collect()
}

/// The text of the screen. `name`: the one in the office, without its ".local".
pub fn text(state: State, board: &Board, name: Option<&str>, addresses: &[IpAddr]) -> String {
    let mut out = String::from("\n  Pillarbox\n\n");
    out.push_str(match state {
        State::Booting => "  Starting. / Startet.\n",
        State::Ready => "  Ready. / Bereit.\n",
        State::Attention => "  Mail works, and something needs the owner: see its page.\n  Die Post läuft, und etwas braucht den Besitzer: siehe Seite.\n",
        State::NoData => "  The part of the card that keeps the mail can't be read. Its page says what to do.\n  Der Teil der Karte, auf dem die Post liegt, ist nicht lesbar. Die Seite sagt, was zu tun ist.\n",
        State::Fault => "  The mail server does not run. Its page says what to do.\n  Der Mailserver läuft nicht. Die Seite sagt, was zu tun ist.\n",
    });
    out.push('\n');
    for place in places(name, addresses) {
        out.push_str(&format!("  {place}\n"));
    }
    if name.is_none() {
        out.push_str("  Its name is taken by other devices: please use the address. / Der Name ist schon vergeben: bitte die Adresse verwenden.\n");
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
    let by_address = addresses.iter().filter(|address| address.is_ipv4()).take(1).copied().collect::<Vec<_>>();
    let place = places(None, &by_address).pop().or_else(|| places(name, addresses).into_iter().next());
    let code = board.claim_code.as_ref().and(place).and_then(|place| QRBuilder::new(place).build().ok());
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
        let board = Board { claim_code: Some("1K3Q9XM".into()), fingerprint: "AA:BB".into(), ..Board::default() };
        let shown = text(State::Ready, &board, Some("post"), &["192.168.1.7".parse().unwrap()]);
        for wanted in ["Ready.", "http://post.local/", "http://192.168.1.7/", "Claim code: 1K3Q9XM", "AA:BB", "█"] {
            assert!(shown.contains(wanted), "{wanted}: {shown}");
        }
        let owned = text(State::Fault, &Board::default(), Some("pillarbox"), &[]);
        let nameless = text(State::Ready, &board, None, &["192.168.1.7".parse().unwrap(), "fd00::7".parse().unwrap()]);
        assert!(nameless.contains("use the address") && nameless.contains("http://[fd00::7]/") && nameless.contains('█') && !nameless.contains(".local"));
        assert!(owned.contains("does not run") && owned.contains("No network yet") && !owned.contains("Claim code") && !owned.contains('█'));
    }
}
