//! From a verdict to folders: the one place that makes placements of it.

use pillarbox_filter::files::Danger;
use pillarbox_filter::verdict::{Action, Kind, REFUSE, Verdict};
use pillarbox_store::{AccountId, Flags, FolderId, Placement};

/// Why a message goes nowhere: a sentence without its full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// Where copies go: of each account that receives it, and of the one that sent it, among what that sent.
///
/// # Errors
/// The reason, when the message is refused.
pub fn placements(
    verdict: &Verdict,
    accounts: &[AccountId],
    sent_by: Option<AccountId>,
) -> Result<Vec<Placement>, Refused> {
    let folder = match verdict.action {
        Action::Inbox => FolderId::INBOX,
        Action::Junk => FolderId::JUNK,
        Action::Refuse => return Err(Refused(refusal(verdict))),
    };
    let received =
        accounts.iter().map(|&account| Placement { account, folder, flags: Flags::default() });
    let sent =
        sent_by.map(|account| Placement { account, folder: FolderId::SENT, flags: Flags::SEEN });
    Ok(received.chain(sent).collect())
}

/// What the other server is told, for whoever looks after it.
fn refusal(verdict: &Verdict) -> String {
    let why = verdict.reasons.iter().find_map(|reason| match reason.kind {
        Kind::Refused => Some(format!(
            "The message says to be from {0}, neither SPF nor DKIM proves it, and {0} asks to refuse such mail (DMARC)",
            ascii(&reason.about)
        )),
        Kind::File(danger) if reason.weight >= REFUSE => {
            let what = match reason.about.is_empty() {
                true => "The message".to_string(),
                false => format!("The attachment \"{}\"", ascii(&reason.about)),
            };
            Some(format!("{what} {}, which is not taken here by mail", carried(danger)))
        }
        _ => None,
    });
    why.unwrap_or_else(|| "This is not wanted here".into())
}

fn carried(danger: Danger) -> &'static str {
    match danger {
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

/// What others wrote, as replies may have it (RFC 5321 §4.2).
fn ascii(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().map(plain).take(100).collect()
}

#[cfg(test)]
mod tests {
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
            assert_eq!(placements(&verdict, &[ann, bob], sent_by), Ok(expected));
        }
    }

    #[test]
    fn a_refusal_names_the_domain_and_what_it_asks_for() {
        let file = Reason {
            weight: REFUSE,
            ..Reason::of(Kind::File(Danger::Program), "a.zip / \u{fc}.exe")
        };
        let carries = Verdict { action: Action::Refuse, reasons: vec![file] };
        let Err(Refused(why)) = placements(&carries, &[AccountId(1)], None) else { panic!() };
        assert!(why.starts_with("The attachment \"a.zip / ?.exe\" is a program"), "{why}");
        let forged = Verdict {
            action: Action::Refuse,
            reasons: vec![Reason::of(Kind::NoName, ""), Reason::of(Kind::Refused, "bank.test")],
        };
        let Err(Refused(why)) = placements(&forged, &[AccountId(1)], None) else { panic!() };
        assert!(why.contains("from bank.test") && why.ends_with("(DMARC)"), "{why}");
    }
}
