//! From what is known of a message to where it goes: one pure decision, and one place that makes placements of it.

use std::net::IpAddr;

use pillarbox_store::{AccountId, Flags, FolderId, Placement};

/// What is known of a message when all of it is there and nothing is stored yet.
pub struct Evidence<'a> {
    pub peer: IpAddr,
    /// The envelope's sender; empty for notices (RFC 5321 §4.5.5).
    pub sender: &'a str,
    /// Who submitted it here; `None`: it comes from another server.
    pub sent_by: Option<AccountId>,
    /// The message's first octets as they were sent: most often the whole header.
    pub front: &'a [u8],
}

/// What is done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Into its recipients' inboxes.
    Inbox,
    /// Into the folders of theirs with the special use `\\Junk` (RFC 6154 §2).
    Junk,
    /// It is refused in the conversation, with this reason in a sentence without its full stop.
    Refuse(String),
}

/// Why a message goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// A decision on messages.
/// It looks at nothing but the evidence.
pub type Decide = fn(&Evidence<'_>) -> Verdict;

/// Everything goes into the inbox: there is no filter yet.
pub fn decide(_: &Evidence<'_>) -> Verdict {
    Verdict::Inbox
}

impl Verdict {
    /// Where copies go: of each account that receives it, and of the one that sent it, among what that sent.
    ///
    /// # Errors
    /// The reason, when the message is refused.
    pub fn placements(
        self,
        accounts: &[AccountId],
        sent_by: Option<AccountId>,
    ) -> Result<Vec<Placement>, Refused> {
        let folder = match self {
            Verdict::Inbox => FolderId::INBOX,
            Verdict::Junk => FolderId::JUNK,
            Verdict::Refuse(why) => return Err(Refused(why)),
        };
        let received =
            accounts.iter().map(|&account| Placement { account, folder, flags: Flags::default() });
        let sent = sent_by.map(|account| Placement {
            account,
            folder: FolderId::SENT,
            flags: Flags::SEEN,
        });
        Ok(received.chain(sent).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_chooses_the_folder_of_those_who_receive() {
        let (ann, bob) = (AccountId(1), AccountId(2));
        let place = |account, folder, flags| Placement { account, folder, flags };
        let none = Flags::default();
        let table = [
            (
                Verdict::Inbox,
                None,
                Ok(vec![place(ann, FolderId::INBOX, none), place(bob, FolderId::INBOX, none)]),
            ),
            (
                Verdict::Junk,
                None,
                Ok(vec![place(ann, FolderId::JUNK, none), place(bob, FolderId::JUNK, none)]),
            ),
            (
                Verdict::Junk,
                Some(ann),
                Ok(vec![
                    place(ann, FolderId::JUNK, none),
                    place(bob, FolderId::JUNK, none),
                    place(ann, FolderId::SENT, Flags::SEEN),
                ]),
            ),
            (Verdict::Refuse("no".into()), Some(ann), Err(Refused("no".to_string()))),
        ];
        for (verdict, sent_by, expected) in table {
            assert_eq!(verdict.placements(&[ann, bob], sent_by), expected);
        }
    }

    #[test]
    fn without_a_filter_everything_goes_into_the_inbox() {
        let evidence = Evidence {
            peer: IpAddr::from([192, 0, 2, 1]),
            sender: "",
            sent_by: None,
            front: b"Subject: Win\r\n",
        };
        assert_eq!(decide(&evidence), Verdict::Inbox);
    }
}
