//! From a verdict to folders: the one place that makes placements of it.

use pillarbox_filter::verdict::{Action, Kind, REFUSE, Verdict};
use pillarbox_store::{AccountId, Flags, FolderId, Placement};

/// Why a message goes nowhere: a sentence without its full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// Where copies go: of each account that receives it, and of the one that sent it, among what that sent.
/// `knowing`: those that the verdict spares, because they know the author.
///
/// # Errors
/// The reason, when the message is refused.
pub fn placements(
    verdict: &Verdict,
    accounts: &[AccountId],
    knowing: &[AccountId],
    sent_by: Option<AccountId>,
) -> Result<Vec<Placement>, Refused> {
    let folder = match verdict.action {
        Action::Inbox => FolderId::INBOX,
        Action::Junk => FolderId::JUNK,
        Action::Refuse => return Err(Refused(refusal(verdict))),
    };
    let received = accounts.iter().map(|&account| {
        let folder = if knowing.contains(&account) { FolderId::INBOX } else { folder };
        Placement { account, folder, flags: Flags::default() }
    });
    let sent =
        sent_by.map(|account| Placement { account, folder: FolderId::SENT, flags: Flags::SEEN });
    Ok(received.chain(sent).collect())
}

/// What the other server is told, for whoever looks after it.
fn refusal(verdict: &Verdict) -> String {
    let decides = verdict.reasons.iter().find(|reason| reason.weight >= REFUSE);
    let why = decides.map(|reason| {
        let words = ascii(&reason.words());
        let behind =
            if matches!(reason.kind, Kind::File(_)) { ", which is not taken here" } else { "" };
        let (first, rest) = words.split_at(words.len().min(1));
        format!("{}{rest}{behind}", first.to_uppercase())
    });
    why.unwrap_or_else(|| "This is not wanted here".into())
}

/// What others wrote, as replies may have it (RFC 5321 §4.2).
fn ascii(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().map(plain).take(400).collect()
}

#[cfg(test)]
mod tests {
    use pillarbox_filter::files::Danger;
    use pillarbox_filter::verdict::Reason;

    use super::*;

    #[test]
    fn a_verdict_chooses_the_folder_of_those_who_receive() {
        let (ann, bob) = (AccountId(1), AccountId(2));
        let place = |account, folder, flags| Placement { account, folder, flags };
        let none = Flags::default();
        let table = [
            (
                Action::Inbox,
                None,
                vec![place(ann, FolderId::INBOX, none), place(bob, FolderId::INBOX, none)],
            ),
            (
                Action::Junk,
                None,
                vec![place(ann, FolderId::JUNK, none), place(bob, FolderId::JUNK, none)],
            ),
            (
                Action::Junk,
                Some(ann),
                vec![
                    place(ann, FolderId::JUNK, none),
                    place(bob, FolderId::JUNK, none),
                    place(ann, FolderId::SENT, Flags::SEEN),
                ],
            ),
        ];
        for (action, sent_by, expected) in table {
            let verdict = Verdict { action, reasons: Vec::new() };
            assert_eq!(placements(&verdict, &[ann, bob], &[], sent_by), Ok(expected));
        }
        let verdict = Verdict { action: Action::Junk, reasons: Vec::new() };
        let expected = vec![place(ann, FolderId::JUNK, none), place(bob, FolderId::INBOX, none)];
        assert_eq!(placements(&verdict, &[ann, bob], &[bob], None), Ok(expected));
    }

    #[test]
    fn a_refusal_names_the_domain_and_what_it_asks_for() {
        let file = Reason {
            weight: REFUSE,
            ..Reason::of(Kind::File(Danger::Program), "a.zip / \u{fc}.exe")
        };
        let carries = Verdict { action: Action::Refuse, reasons: vec![file] };
        let Err(Refused(why)) = placements(&carries, &[AccountId(1)], &[], None) else { panic!() };
        assert!(why.starts_with("The attachment \"a.zip / ?.exe\" is a program"), "{why}");
        let forged = Verdict {
            action: Action::Refuse,
            reasons: vec![Reason::of(Kind::NoName, ""), Reason::of(Kind::Refused, "bank.test")],
        };
        let Err(Refused(why)) = placements(&forged, &[AccountId(1)], &[], None) else { panic!() };
        assert!(why.contains("from bank.test") && why.ends_with("(DMARC)"), "{why}");
    }
}
